"""The work of `network.fused.units.Units` on one unit of one row at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skrgvae.compiled.arithmetic import (
    HALF,
    ONE,
    ZERO,
    clamped,
    compiled,
    exp,
    f,
    log,
    scaled_tail,
)
from skrgvae.distributions._numerics import INV_SQRT_2PI, tail_limit

LIMIT, INV_ROOT, TWO = f(tail_limit(torch.float32)), f(INV_SQRT_2PI), f(2)
# Smallest logarithm whose exponential is a normal number.
LOWEST = f(-87)


@compiled
def _forward(first, lowest, widest, priors, messages, informed, noise, values, kls, kept):
    n_rows, n_units = len(priors), priors.shape[1] // 2
    total, kl = np.zeros(n_units), np.empty(n_units, np.float32)
    for row in range(n_rows):
        loc_p, raw_scale_p = priors[row, :n_units], priors[row, n_units:]
        loc, raw_precision = messages[row, :n_units], messages[row, n_units:]
        eps = noise[row, first : first + n_units]
        value = values[row, first : first + n_units]
        gains, gaps, deviations = kept[0, row], kept[1, row], kept[2, row]
        by_loc_q, by_scale_q = kept[3, row], kept[4, row]
        by_loc_p, by_scale_p = kept[5, row], kept[6, row]
        says = informed[row]
        for unit in range(n_units):
            m = lowest if loc_p[unit] < lowest else loc_p[unit]
            s = exp(clamped(raw_scale_p[unit], widest))
            per_s = ONE / s
            evidence = says * exp(clamped(raw_precision[unit], widest)) * s * s
            both = ONE + evidence
            per_both = ONE / both
            root = np.sqrt(both)
            gain = evidence * per_both
            ratio = root * per_both
            gap = loc[unit] - m
            mu = m + gain * gap
            deviation = s * ratio * eps[unit]
            sample = mu + deviation
            value[unit] = ZERO if sample <= ZERO else sample

            per_sigma = per_s * root
            a = clamped(mu * per_sigma, LIMIT)
            log_bell_q = -HALF * a * a
            bell_q = exp(log_bell_q)
            pdf = bell_q * INV_ROOT
            lesser = scaled_tail(abs(a)) * bell_q
            p_zero = ONE - lesser if a < ZERO else lesser
            p_active = lesser if a < ZERO else ONE - lesser

            b = m * per_s
            below = ZERO if b > ZERO else b
            log_bell_p = -HALF * below * below
            bell_p = exp(log_bell_p if log_bell_p > LOWEST else LOWEST)
            tail = scaled_tail(abs(b))
            survival = ONE - tail * bell_p if b < ZERO else tail

            log_ratio = -HALF * log(both)
            shift = gain * gap * per_s
            mass_ratio = p_zero / survival
            log_mass_ratio = log(mass_ratio)
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

        for unit in range(n_units):  # apart, as it takes other registers
            total[unit] += kl[unit]
    for unit in range(n_units):
        kls[first + unit] = total[unit] / n_rows


@compiled
def _backward(
    first,
    lowest,
    widest,
    priors,
    messages,
    values,
    kept,
    grad_values,
    weights,
    grad_priors,
    grad_messages,
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
            grad_scale_p[unit] = ZERO if abs(raw_scale_p[unit]) >= widest else scale
            grad_precision[unit] = ZERO if abs(raw_precision[unit]) >= widest else evidence


class CompiledUnits:
    """`network.fused.units.Units` in single precision on the CPU."""

    def __init__(
        self,
        n_rows: int,
        columns: slice,
        lowest: float,
        values: Tensor,
        kl: Tensor,
        grad_values: Tensor,
        widest: float,
    ) -> None:
        n_units = columns.stop - columns.start
        self.constants = columns.start, f(lowest), f(widest)
        self.values, self.kl, self.grad_values = values.numpy(), kl.numpy(), grad_values.numpy()
        self.kept = np.empty((7, n_rows, n_units), dtype=np.float32)
        self.all_informed = np.ones(n_rows, dtype=np.float32)
        self.grads = values.new_empty(2, n_rows, 2 * n_units)
        self.written = self.grads.numpy()

    def forward(
        self, prior: Tensor, message: Tensor, informed: Tensor | None, noise: Tensor
    ) -> None:
        says = self.all_informed
        if informed is not None:
            says = informed.squeeze(1).numpy().astype(np.float32)
        self.given = *self.constants, prior.numpy(), message.numpy()
        _forward(*self.given, says, noise.numpy(), self.values, self.kl, self.kept)

    def backward(self, kl_weights: Tensor) -> Tensor:
        weights = kl_weights.numpy()
        known = *self.given, self.values, self.kept, self.grad_values
        _backward(*known, weights, *self.written)
        return self.grads
