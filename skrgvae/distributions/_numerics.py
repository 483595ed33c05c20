"""Tail-safe functions of the standard normal law.

Everything is built on one function that neither underflows nor cancels, the scaled tail
``exp(t**2 / 2) * Phi(-t)`` for ``t >= 0``: times ``exp(-t**2 / 2)`` it is a tail probability, its
logarithm less ``t**2 / 2`` is a log probability, and its inverse is the hazard up to a constant.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
HALF_LOG_2PI = math.log(2 * math.pi) / 2

# Beyond it exp(-x**2 / 2) is exactly 0 in float32 and float64, and so is every product with it:
# clamping an argument there changes no value but keeps inf * 0 away.
UNDERFLOW = 50.0

# exp(t**2 / 2) * Phi(-t) ~ c0 / (t + d0 + c1 / (t + d1 + ... c4 / (t + d4))), pairs (c, d).
# Own minimax fit for t in [0, inf): the rational function of degrees (4, 5) whose largest relative
# error is smallest, by iteratively reweighted least squares on 3000 Chebyshev nodes of
# (t - 2.5) / (t + 2.5) against scipy.special.erfcx, then expanded into a continued fraction with
# mpmath. Relative error 4.2e-8 in exact arithmetic, at most 3.3e-7 (rms 6e-8) in float32.
TAIL_FRACTION = (
    (0.39894229729492225, 2.005570663788113e-05),
    (0.9984032867873018, -0.052195070076323916),
    (2.9515489354427067, 3.8579328023219137),
    (-16.020165362156828, 2.0035022554953055),
    (24.96100757228423, 3.101194377181939),
)


def scaled_tail(t: Tensor) -> Tensor:
    """``exp(t**2 / 2) * Phi(-t)`` for ``t >= 0``; not differentiable.

    Double precision asks the library; single precision takes the fit above, because torch does
    not vectorise ``erfcx`` and ``log_ndtr`` on CPU and they would dominate a training step.
    """
    if t.dtype == torch.float64:
        return torch.special.erfcx(t * math.sqrt(0.5)).mul_(0.5)
    one = t.new_ones(())
    coefficient, shift = TAIL_FRACTION[-1]
    level = t + shift
    for outer_coefficient, outer_shift in reversed(TAIL_FRACTION[:-1]):
        level = torch.addcdiv(t, one, level, value=coefficient).add_(outer_shift)
        coefficient = outer_coefficient
    return level.reciprocal_().mul_(coefficient)


def tail_limit(dtype: torch.dtype) -> float:
    """Where both phi(x) and Phi(-x) are negligible (1e-32, in double 1e-299) but still normal."""
    return 37.0 if dtype == torch.float64 else 12.0


def is_negative(x: Tensor) -> Tensor:
    """1 where ``x < 0``, else 0, in the dtype of ``x``.

    Arithmetic on it replaces `torch.where`, which costs ten elementwise passes on CPU; so would
    converting a boolean tensor, hence the comparison straight into a float one.
    """
    return torch.lt(x, 0, out=torch.empty_like(x))


class NormalParts(NamedTuple):
    """Density, lower and upper tail of the standard normal law at the same points."""

    pdf: Tensor
    cdf: Tensor
    sf: Tensor


class _NormalParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        bell = torch.exp(-0.5 * x * x)
        tail = bell * scaled_tail(x.abs())
        negative = is_negative(x)
        pdf = bell * INV_SQRT_2PI
        ctx.save_for_backward(x, pdf)
        return pdf, (1 - negative - tail).abs_(), (negative - tail).abs_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_pdf: Tensor, grad_cdf: Tensor, grad_sf: Tensor) -> Tensor:
        x, pdf = ctx.saved_tensors
        return pdf * (grad_cdf - grad_sf - x.clamp(-UNDERFLOW, UNDERFLOW) * grad_pdf)


def normal_parts(x: Tensor) -> NormalParts:
    """phi(x), Phi(x) and Phi(-x), each with full relative accuracy; once differentiable."""
    return NormalParts(*_NormalParts.apply(x))


class _NormalLogSf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        tail = scaled_tail(x.abs())
        # log1p keeps the relative accuracy of a mass close to one.
        bell = torch.exp(-0.5 * x * x)
        log_sf = torch.where(x > 0, tail.log() - 0.5 * x * x, torch.log1p(-bell * tail))
        hazard = INV_SQRT_2PI * torch.where(x > 0, 1 / tail, bell / (1 - bell * tail))
        ctx.save_for_backward(hazard)
        return log_sf

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (hazard,) = ctx.saved_tensors
        return -grad * hazard


def normal_log_sf(x: Tensor) -> Tensor:
    """log Phi(-x), its derivative the hazard ``-phi(x) / Phi(-x)``; once differentiable."""
    log_sf: Tensor = _NormalLogSf.apply(x)
    return log_sf
