"""The elementwise work of one layer's units in a training step, forward and backward.

It computes what `merge.structured`, `rectified_gaussian_sample` and `rectified_gaussian_kl` give
one after the other, a few rows at a time, so that what one operation leaves behind is still in
the cache when the next one reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from skrgvae.distributions.rectified_gaussian import KLSlopes, rectified_gaussian_kl_and_slopes
from skrgvae.network.modules import LOG_RANGE

# Numbers of each tensor in one piece of work: all that are in use at a time fit in the cache of a
# core.
PIECE = 2**14


class UnitInputs(NamedTuple):
    """What a layer's units are given, (n_rows, n_units) each.

    Raw scales and precisions are logarithms, before they are clamped.
    """

    loc_p: Tensor
    raw_scale_p: Tensor
    loc: Tensor  # the message's pseudo-observation
    raw_precision: Tensor
    informed: Tensor | None  # (n_rows, 1), False where the message has no precision
    noise: Tensor


class UnitGradients(NamedTuple):
    """Where the gradients of `UnitInputs` go, (n_rows, n_units) each."""

    loc_p: Tensor
    raw_scale_p: Tensor
    loc: Tensor
    raw_precision: Tensor


class _Kept(NamedTuple):
    """What the backward pass needs of a piece, beside its inputs."""

    gain: Tensor
    gap: Tensor  # message less prior
    deviation: Tensor  # scale_q times noise
    slopes: KLSlopes


class Units:
    """Merge, sample and KL of one layer.

    Parameters
    ----------
    n_rows, n_units : int
    """

    def __init__(self, n_rows: int, n_units: int) -> None:
        n_pieces = -(-n_rows * n_units // (PIECE * max(1, torch.get_num_threads())))
        self.n_rows_each = -(-n_rows // n_pieces)

    def forward(self, inputs: UnitInputs, value: Tensor, kl: Tensor) -> None:
        """Write the sample and the KL of every unit, (n_rows, n_units) each."""
        self.inputs, self.value = inputs, value
        self.kept: list[_Kept] = []
        for rows in self._pieces():
            loc_p = inputs.loc_p[rows]
            scale_p = _clamped(inputs.raw_scale_p[rows]).exp_()
            evidence = _clamped(inputs.raw_precision[rows]).exp_().mul_(scale_p).mul_(scale_p)
            if inputs.informed is not None:
                evidence *= inputs.informed[rows]
            total = evidence + 1
            gain = evidence.div_(total)
            gap = inputs.loc[rows] - loc_p
            loc_q = torch.addcmul(loc_p, gain, gap)
            scale_q = total.rsqrt_().mul_(scale_p)
            deviation = scale_q * inputs.noise[rows]
            torch.add(loc_q, deviation, out=value[rows]).relu_()
            kl[rows], slopes = rectified_gaussian_kl_and_slopes(loc_q, scale_q, loc_p, scale_p)
            assert slopes is not None
            self.kept.append(_Kept(gain, gap, deviation, slopes))

    def backward(self, grad_value: Tensor, kl_weights: Tensor, out: UnitGradients) -> None:
        """Write the gradients of the inputs.

        Parameters
        ----------
        grad_value : Tensor of shape (n_rows, n_units)
        kl_weights : Tensor of shape (n_units,)
            Of the KL of every unit in what is differentiated, the same in all rows.
        out : UnitGradients
        """
        for rows, (gain, gap, deviation, slopes) in zip(self._pieces(), self.kept, strict=True):
            by_loc_q, by_scale_q, by_loc_p, by_scale_p = (
                slope.mul_(kl_weights) for slope in slopes
            )
            grad_merged = _where_positive(grad_value[rows], self.value[rows])
            grad_spread = deviation.mul_(grad_merged)  # of the logarithm of scale_q
            grad_spread += by_scale_q
            grad_merged += by_loc_q
            torch.mul(grad_merged, gain, out=out.loc[rows])
            grad_loc = grad_merged.sub_(out.loc[rows])
            # of the logarithm of scale_p^2 precision
            grad_evidence = gap.mul_(grad_loc).sub_(grad_spread, alpha=0.5).mul_(gain)
            torch.add(grad_loc, by_loc_p, out=out.loc_p[rows])
            grad_raw = grad_spread.add_(grad_evidence, alpha=2).add_(by_scale_p)
            _where_inside(grad_raw, self.inputs.raw_scale_p[rows], out.raw_scale_p[rows])
            _where_inside(grad_evidence, self.inputs.raw_precision[rows], out.raw_precision[rows])

    def _pieces(self) -> Iterator[slice]:
        for start in range(0, len(self.value), self.n_rows_each):
            yield slice(start, start + self.n_rows_each)


def _clamped(raw: Tensor) -> Tensor:
    return raw.clamp(-LOG_RANGE, LOG_RANGE)


def _where_positive(grad: Tensor, x: Tensor) -> Tensor:
    """The gradient of a rectifier's input, from its result."""
    passed: Tensor = torch.ops.aten.threshold_backward(grad, x, 0.0)
    return passed


def _where_inside(grad: Tensor, raw: Tensor, out: Tensor) -> None:
    """Write the gradient of what `_clamped` was given."""
    torch.ops.aten.hardtanh_backward.grad_input(grad, raw, -LOG_RANGE, LOG_RANGE, grad_input=out)
