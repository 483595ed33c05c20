"""Arithmetic that compilers turn into vector instructions.

They do so for loops in which all that is called is arithmetic itself: hence an exponential and a
logarithm, right to one or two units in the last place. What is not a number must come out as
such: comparisons are written so that they let it pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from skrgvae.distributions._numerics import TAIL_FRACTION

f = np.float32
i = np.int32

compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(
    error_model="numpy",
    fastmath={"contract"},  # a * b + c in one instruction; nothing is reordered
    nogil=True,
    cache=True,
)

ZERO, HALF, ONE = f(0), f(0.5), f(1)
(C0, D0), (C1, D1), (C2, D2), (C3, D3), (C4, D4) = (
    (f(coefficient), f(shift)) for coefficient, shift in TAIL_FRACTION
)
LARGEST_TAIL = f(1e7)
LOG2_E = f(1.4426950408889634)
LN2_HIGH, LN2_LOW = f(0.693359375), f(-2.12194440e-4)  # their sum is log 2
ROUNDING = f(12582912.0)  # 1.5 * 2^23: added and taken away again, it rounds to integers
EXPONENT, BIAS = i(23), i(127)
ROOT_HALF = i(0x3F3504F3)  # bits of sqrt(1/2)


@compiled
def exp(x):
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
def log(x):
    """log(x) for positive normal x, and for no other (coefficients of Cephes, S. Moshier)."""
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
def scaled_tail(t):
    """exp(t^2 / 2) Phi(-t) for t >= 0, with a single division and no overflow."""
    t = LARGEST_TAIL if t > LARGEST_TAIL else t
    n4 = t + D4
    n3 = (t + D3) * n4 + C4
    n2 = (t + D2) * n3 + C3 * n4
    n1 = (t + D1) * n2 + C2 * n3
    n0 = (t + D0) * n1 + C1 * n2
    return C0 * n1 / n0


@compiled
def clamped(x, limit):
    """x between minus and plus the limit."""
    x = limit if x > limit else x
    return -limit if x < -limit else x
