"""The work of `units` in one pass over the memory, compiled by numba where it is installed.

The formulas are those of `units` and `rectified_gaussian`, for one unit of one row at a time.
Compilers turn loops into vector instructions only if all that is called in them is arithmetic:
hence an exponential and a logarithm, right to one or two units in the last place. What is not a
number must come out as such: comparisons are written so that they let it pass.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from skrgvae.distributions._numerics import INV_SQRT_2PI, TAIL_FRACTION, tail_limit
from skrgvae.network.modules import LOG_RANGE

f = np.float32
i = np.int32

compiled = njit(
    error_model="numpy",
    fastmath={"contract"},  # a * b + c in one instruction; nothing is reordered
    nogil=True,
    cache=True,
)

ZERO, HALF, ONE, TWO = f(0), f(0.5), f(1), f(2)
RANGE, LIMIT, INV_ROOT = f(LOG_RANGE), f(tail_limit(torch.float32)), f(INV_SQRT_2PI)
(C0, D0), (C1, D1), (C2, D2), (C3, D3), (C4, D4) = (
    (f(coefficient), f(shift)) for coefficient, shift in TAIL_FRACTION
)
LARGEST_TAIL = f(1e7)
# Smallest logarithm whose exponential is a normal number.
LOWEST = f(-87.0)
LOG2_E = f(1.4426950408889634)
LN2_HIGH, LN2_LOW = f(0.693359375), f(-2.12194440e-4)  # their sum is log 2
ROUNDING = f(12582912.0)  # 1.5 * 2^23: added and taken away again, it rounds to integers
EXPONENT, BIAS = i(23), i(127)
ROOT_HALF = i(0x3F3504F3)  # bits of sqrt(1/2)


@compiled
def _exp(x):
    """exp(x) for x in [-87, 88] (coefficients of Cephes, S. Moshier)."""
    n = x * LOG2_E + ROUNDING - ROUNDING
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = f(1.9875691500e-4)
    p = p * r + f(1.3981999507e-3)
    p = p * r + f(8.3334519073e-3)
    p = p * r + f(4.1665795894e-2)
    p = p * r + f(1.6666665459e-1)
    p = p * r + f(5.0000001201e-1)
    return (p * r * r + r + ONE) * i((i(n) + BIAS) << EXPONENT).view(np.float32)


@compiled
def _log(x):
    """log(x) for positive normal x (coefficients of Cephes, S. Moshier)."""
    bits = f(x).view(np.int32)
    exponent = i((bits - ROOT_HALF) >> EXPONENT)
    m = i(bits - i(exponent << EXPONENT)).view(np.float32) - ONE
    n = f(exponent)
    p = f(7.0376836292e-2)
    p = p * m + f(-1.1514610310e-1)
    p = p * m + f(1.1676998740e-1)
    p = p * m + f(-1.2420140846e-1)
    p = p * m + f(1.4249322787e-1)
    p = p * m + f(-1.6668057665e-1)
    p = p * m + f(2.0000714765e-1)
    p = p * m + f(-2.4999993993e-1)
    p = p * m + f(3.3333331174e-1)
    return m + (p * m * m * m + n * LN2_LOW - HALF * m * m) + n * LN2_HIGH


@compiled
def _scaled_tail(t):
    """exp(t^2 / 2) Phi(-t) for t >= 0, with a single division and no overflow."""
    t = LARGEST_TAIL if t > LARGEST_TAIL else t
    n4 = t + D4
    n3 = (t + D3) * n4 + C4
    n2 = (t + D2) * n3 + C3 * n4
    n1 = (t + D1) * n2 + C2 * n3
    n0 = (t + D0) * n1 + C1 * n2
    return C0 * n1 / n0


@compiled
def _clamped(x, limit):
    x = limit if x > limit else x
    return -limit if x < -limit else x


@compiled
def _forward(first, lowest, priors, messages, informed, noise, values, kls, kept):
    n_rows, n_units = len(priors), priors.shape[1] // 2
    for row in range(n_rows):
        loc_p, raw_scale_p = priors[row, :n_units], priors[row, n_units:]
        loc, raw_precision = messages[row, :n_units], messages[row, n_units:]
        eps = noise[row, first : first + n_units]
        value = values[row, first : first + n_units]
        kl = kls[row, first : first + n_units]
        gains, gaps, deviations = kept[0, row], kept[1, row], kept[2, row]
        by_loc_q, by_scale_q = kept[3, row], kept[4, row]
        by_loc_p, by_scale_p = kept[5, row], kept[6, row]
        says = informed[row]
        for unit in range(n_units):
            m = lowest if loc_p[unit] < lowest else loc_p[unit]
            s = _exp(_clamped(raw_scale_p[unit], RANGE))
            per_s = ONE / s
            evidence = says * _exp(_clamped(raw_precision[unit], RANGE)) * s * s
            total = ONE + evidence
            per_total = ONE / total
            root = np.sqrt(total)
            gain = evidence * per_total
            ratio = root * per_total
            gap = loc[unit] - m
            mu = m + gain * gap
            deviation = s * ratio * eps[unit]
            sample = mu + deviation
            value[unit] = ZERO if sample <= ZERO else sample

            per_sigma = per_s * root
            a = _clamped(mu * per_sigma, LIMIT)
            log_bell_q = -HALF * a * a
            bell_q = _exp(log_bell_q)
            pdf = bell_q * INV_ROOT
            lesser = _scaled_tail(abs(a)) * bell_q
            p_zero = ONE - lesser if a < ZERO else lesser
            p_active = lesser if a < ZERO else ONE - lesser

            b = m * per_s
            below = ZERO if b > ZERO else b
            log_bell_p = -HALF * below * below
            bell_p = _exp(log_bell_p if log_bell_p > LOWEST else LOWEST)
            tail = _scaled_tail(abs(b))
            survival = ONE - tail * bell_p if b < ZERO else tail

            log_ratio = -HALF * _log(total)
            shift = gain * gap * per_s
            mass_ratio = p_zero / survival
            log_mass_ratio = _log(mass_ratio)
            a_pdf = a * pdf
            spread = p_active - a_pdf
            edge = ratio * pdf
            offset = edge + shift * p_active
            square_gap = shift * (edge + offset) - spread * gain
            above = ZERO if b < ZERO else b
            kl[unit] = (
                p_zero * (log_mass_ratio + HALF * b * above)
                - p_active * log_ratio
                + HALF * square_gap
            )

            log_hazard_ratio = log_bell_q - log_mass_ratio - log_bell_p - log_ratio
            moved = ratio * shift
            edge_p = mass_ratio * bell_p * INV_ROOT
            gains[unit] = gain
            gaps[unit] = gap
            deviations[unit] = deviation
            by_loc_q[unit] = ((log_hazard_ratio - gain) * pdf + moved * p_active) * per_sigma
            by_scale_q[unit] = moved * pdf - log_hazard_ratio * a_pdf - spread * gain
            by_loc_p[unit] = (edge_p - offset) * per_s
            by_scale_p[unit] = a_pdf - square_gap - b * edge_p


@compiled
def _backward(
    first, lowest, priors, messages, values, kept, grad_values, weights, grad_priors, grad_messages
):
    n_rows, n_units = len(priors), priors.shape[1] // 2
    weight = weights[first : first + n_units]
    for row in range(n_rows):
        loc_p, raw_scale_p = priors[row, :n_units], priors[row, n_units:]
        raw_precision = messages[row, n_units:]
        value = values[row, first : first + n_units]
        grad_value = grad_values[row, first : first + n_units]
        gains, gaps, deviations = kept[0, row], kept[1, row], kept[2, row]
        by_loc_q, by_scale_q = kept[3, row], kept[4, row]
        by_loc_p, by_scale_p = kept[5, row], kept[6, row]
        grad_loc_p, grad_scale_p = grad_priors[row, :n_units], grad_priors[row, n_units:]
        grad_loc, grad_precision = grad_messages[row, :n_units], grad_messages[row, n_units:]
        for unit in range(n_units):
            w = weight[unit]
            passed = ZERO if value[unit] <= ZERO else grad_value[unit]
            spread = passed * deviations[unit] + w * by_scale_q[unit]
            merged = passed + w * by_loc_q[unit]
            message = merged * gains[unit]
            rest = merged - message
            evidence = (rest * gaps[unit] - HALF * spread) * gains[unit]
            scale = spread + TWO * evidence + w * by_scale_p[unit]
            prior = rest + w * by_loc_p[unit]
            grad_loc[unit] = message
            grad_loc_p[unit] = ZERO if loc_p[unit] <= lowest else prior
            grad_scale_p[unit] = ZERO if abs(raw_scale_p[unit]) >= RANGE else scale
            grad_precision[unit] = ZERO if abs(raw_precision[unit]) >= RANGE else evidence


class CompiledUnits:
    """`Units` in single precision on the CPU."""

    def __init__(self, n_rows: int, columns: slice, lowest: float) -> None:
        self.first, self.lowest = columns.start, f(lowest)
        self.kept = np.empty((7, n_rows, columns.stop - columns.start), dtype=np.float32)
        self.all_informed = np.ones(n_rows, dtype=np.float32)

    def forward(
        self,
        prior: Tensor,
        message: Tensor,
        informed: Tensor | None,
        noise: Tensor,
        values: Tensor,
        kl: Tensor,
    ) -> None:
        says = self.all_informed
        if informed is not None:
            says = informed.squeeze(1).numpy().astype(np.float32)
        self.given = self.first, self.lowest, prior.numpy(), message.numpy()
        self.values = values.numpy()
        _forward(*self.given, says, noise.numpy(), self.values, kl.numpy(), self.kept)

    def backward(
        self, grad_values: Tensor, kl_weights: Tensor, grad_prior: Tensor, grad_message: Tensor
    ) -> None:
        grads = grad_values, kl_weights, grad_prior, grad_message
        _backward(*self.given, self.values, self.kept, *(grad.numpy() for grad in grads))
