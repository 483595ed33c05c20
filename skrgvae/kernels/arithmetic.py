"""Functions of single numbers, as in `skrgvae.compiled.arithmetic`."""

from __future__ import annotations

import triton
import triton.language as tl

from skrgvae.distributions._numerics import TAIL_FRACTION

((C0, D0), (C1, D1), (C2, D2), (C3, D3), (C4, D4)) = (
    (tl.constexpr(c), tl.constexpr(d)) for c, d in TAIL_FRACTION
)
# Beyond it the fraction's parts overflow, and nothing is left of the tail.
FURTHEST = tl.constexpr(1e7)


@triton.jit
def clamped(x, limit):
    """x between minus and plus the limit; what is no number stays so."""
    x = tl.where(x > limit, limit, x)
    return tl.where(x < -limit, -limit, x)


@triton.jit
def scaled_tail(t):
    """exp(t^2 / 2) Phi(-t) for t >= 0, with a single division and no overflow."""
    t = tl.where(t > FURTHEST, FURTHEST, t)
    n4 = t + D4
    n3 = (t + D3) * n4 + C4
    n2 = (t + D2) * n3 + C3 * n4
    n1 = (t + D1) * n2 + C2 * n3
    n0 = (t + D0) * n1 + C1 * n2
    return C0 * n1 / n0
