"""The work of `network.fused.units.Units`, a tile of rows and units at a time.

The backward pass computes again what the forward pass had at hand: reading it back would take
longer than the arithmetic.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from skrgvae.distributions._numerics import INV_SQRT_2PI, tail_limit
from skrgvae.kernels.arithmetic import clamped, scaled_tail
from skrgvae.kernels.tiles import tiles

LIMIT = tl.constexpr(tail_limit(torch.float32))
INV_ROOT = tl.constexpr(INV_SQRT_2PI)
# Smallest logarithm whose exponential is a normal number.
LOWEST = tl.constexpr(-87.0)


@triton.jit
def _terms(loc_p, raw_scale_p, loc, raw_precision, says, eps, lowest, widest):
    """Merge, sample, KL and its slopes by q and p, of units given their prior and message."""
    m = tl.where(loc_p < lowest, lowest, loc_p)
    s = tl.exp(clamped(raw_scale_p, widest))
    per_s = 1.0 / s
    evidence = says * tl.exp(clamped(raw_precision, widest)) * s * s
    both = 1.0 + evidence
    per_both = 1.0 / both
    root = tl.sqrt(both)
    gain = evidence * per_both
    ratio = root * per_both
    gap = loc - m
    mu = m + gain * gap
    deviation = s * ratio * eps
    sample = mu + deviation
    value = tl.where(sample <= 0, 0.0, sample)

    per_sigma = per_s * root
    a = clamped(mu * per_sigma, LIMIT)
    log_bell_q = -0.5 * a * a
    bell_q = tl.exp(log_bell_q)
    pdf = bell_q * INV_ROOT
    lesser = scaled_tail(tl.abs(a)) * bell_q
    p_zero = tl.where(a < 0, 1.0 - lesser, lesser)
    p_active = tl.where(a < 0, lesser, 1.0 - lesser)

    b = m * per_s
    below = tl.where(b > 0, 0.0, b)
    log_bell_p = -0.5 * below * below
    bell_p = tl.exp(tl.where(log_bell_p > LOWEST, log_bell_p, LOWEST))
    tail = scaled_tail(tl.abs(b))
    survival = tl.where(b < 0, 1.0 - tail * bell_p, tail)

    log_ratio = -0.5 * tl.log(both)
    shift = gain * gap * per_s
    mass_ratio = p_zero / survival
    log_mass_ratio = tl.log(mass_ratio)
    a_pdf = a * pdf
    spread = p_active - a_pdf
    edge = ratio * pdf
    offset = edge + shift * p_active
    square_gap = shift * (edge + offset) - spread * gain
    above = tl.where(b < 0, 0.0, b)
    kl = p_zero * (log_mass_ratio + 0.5 * b * above) - p_active * log_ratio + 0.5 * square_gap

    log_hazard_ratio = log_bell_q - log_mass_ratio - log_bell_p - log_ratio
    moved = ratio * shift
    edge_p = mass_ratio * bell_p * INV_ROOT
    by_loc_q = ((log_hazard_ratio - gain) * pdf + moved * p_active) * per_sigma
    by_scale_q = moved * pdf - log_hazard_ratio * a_pdf - spread * gain
    by_loc_p = (edge_p - offset) * per_s
    by_scale_p = a_pdf - square_gap - b * edge_p
    return value, kl, gain, gap, deviation, by_loc_q, by_scale_q, by_loc_p, by_scale_p


@triton.jit
def _places(n_rows, n_units, n_all, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """The program's rows and units, which there are, and where in halves and among all units."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    unit = (tl.program_id(1) * UNITS + tl.arange(0, UNITS))[None, :]
    inside = (row < n_rows) & (unit < n_units)
    half, wide = row * (2 * n_units) + unit, row * n_all + unit
    return row, unit, inside, half, wide


@triton.jit
def _given(prior, message, informed, noise, half, wide, row, inside, n_units, SOME: tl.constexpr):
    """What a tile's terms are computed from."""
    loc_p = tl.load(prior + half, inside, 0.0)
    raw_scale_p = tl.load(prior + half + n_units, inside, 0.0)
    loc = tl.load(message + half, inside, 0.0)
    raw_precision = tl.load(message + half + n_units, inside, 0.0)
    eps = tl.load(noise + wide, inside, 0.0)
    says = tl.full([1, 1], 1.0, tl.float32)
    if SOME:
        says = tl.load(informed + row, inside, 0).to(tl.float32)
    return loc_p, raw_scale_p, loc, raw_precision, says, eps


@triton.jit
def _forward(
    prior,
    message,
    informed,
    noise,
    values,
    kls,
    n_rows,
    n_units,
    n_all,
    lowest,
    widest,
    SOME: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    row, unit, inside, half, wide = _places(n_rows, n_units, n_all, ROWS, UNITS)
    loc_p, raw_scale_p, loc, raw_precision, says, eps = _given(
        prior, message, informed, noise, half, wide, row, inside, n_units, SOME
    )
    value, kl, _, _, _, _, _, _, _ = _terms(
        loc_p, raw_scale_p, loc, raw_precision, says, eps, lowest, widest
    )
    tl.store(values + wide, value, inside)
    mean = tl.sum(tl.where(inside, kl, 0.0), 0) / n_rows
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    tl.store(kls + tl.program_id(0) * n_units + unit, mean, unit < n_units)


@triton.jit
def _backward(
    prior,
    message,
    informed,
    noise,
    grad_values,
    weights,
    grad_priors,
    grad_messages,
    n_rows,
    n_units,
    n_all,
    lowest,
    widest,
    SOME: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    row, unit, inside, half, wide = _places(n_rows, n_units, n_all, ROWS, UNITS)
    loc_p, raw_scale_p, loc, raw_precision, says, eps = _given(
        prior, message, informed, noise, half, wide, row, inside, n_units, SOME
    )
    value, _, gain, gap, deviation, by_loc_q, by_scale_q, by_loc_p, by_scale_p = _terms(
        loc_p, raw_scale_p, loc, raw_precision, says, eps, lowest, widest
    )
    w = tl.load(weights + unit, unit < n_units, 0.0)
    passed = tl.where(value <= 0, 0.0, tl.load(grad_values + wide, inside, 0.0))
    by_spread = passed * deviation + w * by_scale_q
    merged = passed + w * by_loc_q
    by_loc = merged * gain
    rest = merged - by_loc
    by_evidence = (rest * gap - 0.5 * by_spread) * gain
    by_scale = by_spread + 2.0 * by_evidence + w * by_scale_p
    by_prior = rest + w * by_loc_p
    tl.store(grad_priors + half, tl.where(loc_p <= lowest, 0.0, by_prior), inside)
    by_scale = tl.where(tl.abs(raw_scale_p) >= widest, 0.0, by_scale)
    tl.store(grad_priors + half + n_units, by_scale, inside)
    tl.store(grad_messages + half, by_loc, inside)
    by_evidence = tl.where(tl.abs(raw_precision) >= widest, 0.0, by_evidence)
    tl.store(grad_messages + half + n_units, by_evidence, inside)


class KernelUnits:
    """`network.fused.units.Units` in single precision on a CUDA device."""

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
        self.columns, self.limits = columns, (lowest, widest)
        self.values, self.grad_values = values[:, columns], grad_values[:, columns]
        self.kl = kl[columns]
        self.sizes = n_rows, len(self.kl), values.shape[1]
        self.tile = tiles(n_rows, len(self.kl))
        self.grid = triton.cdiv(n_rows, self.tile[0]), triton.cdiv(len(self.kl), self.tile[1])
        self.parts = kl.new_empty(self.grid[0], len(self.kl))  # of the KL, by some of the rows
        self.grads = values.new_empty(2, n_rows, 2 * len(self.kl))

    def forward(
        self, prior: Tensor, message: Tensor, informed: Tensor | None, noise: Tensor
    ) -> None:
        known = message if informed is None else informed.to(torch.uint8)
        self.given = prior, message, known, noise[:, self.columns]
        self.options = *self.limits, informed is not None, *self.tile
        _forward[self.grid](*self.given, self.values, self.parts, *self.sizes, *self.options)
        torch.sum(self.parts, dim=0, out=self.kl)

    def backward(self, kl_weights: Tensor) -> Tensor:
        slopes = self.grad_values, kl_weights[self.columns], *self.grads
        _backward[self.grid](*self.given, *slopes, *self.sizes, *self.options)
        return self.grads
