"""The elementwise work of one layer's units in a training step, forward and backward.

It computes what `merge.structured`, `rectified_gaussian_sample` and `rectified_gaussian_kl` give
one after the other, a few rows at a time, so that what one operation leaves behind is still in
the cache when the next one reads it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from skrgvae.distributions.rectified_gaussian import KLSlopes, rectified_gaussian_kl_and_slopes
from skrgvae.network.modules import LOG_RANGE

# Numbers of each tensor in one piece of work: all that are in use at a time fit in the cache of a
# core.
PIECE = 2**14


class _Kept(NamedTuple):
    """What the backward pass needs of a piece, beside what the forward pass was given."""

    gain: Tensor
    gap: Tensor  # message less prior
    deviation: Tensor  # scale_q times noise
    slopes: KLSlopes


class Units:
    """Merge, sample and KL of one layer.

    Parameters
    ----------
    n_rows : int
    columns : slice
        Where the layer's units stand in the matrices of all layers' units.
    lowest : float
        Smallest location of a prior.
    values, grad_values : Tensor of shape (n_rows, n_units of all layers)
        The samples, and the gradient of what is differentiated by them.
    kl : Tensor of shape (n_units of all layers,)
        Mean over the rows.
    """

    def __init__(
        self,
        n_rows: int,
        columns: slice,
        lowest: float,
        values: Tensor,
        kl: Tensor,
        grad_values: Tensor,
    ) -> None:
        self.columns, self.lowest = columns, lowest
        self.values, self.grad_values = values[:, columns], grad_values[:, columns]
        self.kl = kl[columns]
        n_units = len(self.kl)
        n_pieces = 1  # but on the CPU
        if values.device.type == "cpu":
            n_pieces = -(-n_rows * n_units // (PIECE * max(1, torch.get_num_threads())))
        step = -(-n_rows // n_pieces)
        self.pieces = [slice(start, start + step) for start in range(0, n_rows, step)]
        self.grads = values.new_empty(2, n_rows, 2 * n_units)

    def forward(
        self, prior: Tensor, message: Tensor, informed: Tensor | None, noise: Tensor
    ) -> None:
        """Write the layer's samples and its KL.

        Parameters
        ----------
        prior, message : Tensor of shape (n_rows, 2 n_units)
            Locations, and beside them the logarithms of scales or precisions.
        informed : Tensor of shape (n_rows, 1) or None
            False where the message has no precision.
        noise : Tensor of shape (n_rows, n_units of all layers)
        """
        self.prior, self.message = prior, message
        self.kl.zero_()
        self.kept = [
            self._forward_piece(
                prior[rows],
                message[rows],
                None if informed is None else informed[rows],
                noise[rows, self.columns],
                self.values[rows],
            )
            for rows in self.pieces
        ]
        self.kl /= len(prior)

    def _forward_piece(
        self,
        prior: Tensor,
        message: Tensor,
        informed: Tensor | None,
        noise: Tensor,
        values: Tensor,
    ) -> _Kept:
        loc_p, raw_scale_p = prior.chunk(2, dim=1)
        loc, raw_precision = message.chunk(2, dim=1)
        loc_p = loc_p.clamp(min=self.lowest)
        scale_p = _clamped(raw_scale_p).exp_()
        evidence = _clamped(raw_precision).exp_().mul_(scale_p).mul_(scale_p)
        if informed is not None:
            evidence *= informed
        total = evidence + 1
        gain = evidence.div_(total)
        gap = loc - loc_p
        loc_q = torch.addcmul(loc_p, gain, gap)
        scale_q = total.rsqrt_().mul_(scale_p)
        deviation = scale_q * noise
        torch.add(loc_q, deviation, out=values).relu_()
        kl, slopes = rectified_gaussian_kl_and_slopes(loc_q, scale_q, loc_p, scale_p)
        assert slopes is not None
        self.kl += kl.sum(dim=0)
        return _Kept(gain, gap, deviation, slopes)

    def backward(self, kl_weights: Tensor) -> Tensor:
        """Gradients of prior and message, (2, n_rows, 2 n_units).

        Parameters
        ----------
        kl_weights : Tensor of shape (n_units of all layers,)
            Of the KL of every unit in what is differentiated, the same in all rows.
        """
        weights = kl_weights[self.columns]
        for rows, (gain, gap, deviation, slopes) in zip(self.pieces, self.kept, strict=True):
            by_loc_q, by_scale_q, by_loc_p, by_scale_p = (slope.mul_(weights) for slope in slopes)
            loc_p, raw_scale_p = self.prior[rows].chunk(2, dim=1)
            raw_precision = self.message[rows].chunk(2, dim=1)[1]
            grad_loc_p, grad_scale_p = self.grads[0, rows].chunk(2, dim=1)
            grad_loc, grad_precision = self.grads[1, rows].chunk(2, dim=1)
            grad_merged = where_above(self.grad_values[rows], self.values[rows], 0.0)
            grad_spread = deviation.mul_(grad_merged)  # of the logarithm of scale_q
            grad_spread += by_scale_q
            grad_merged += by_loc_q
            torch.mul(grad_merged, gain, out=grad_loc)
            grad_rest = grad_merged.sub_(grad_loc)
            # of the logarithm of scale_p^2 precision
            grad_evidence = gap.mul_(grad_rest).sub_(grad_spread, alpha=0.5).mul_(gain)
            grad_loc_p.copy_(where_above(grad_rest.add_(by_loc_p), loc_p, self.lowest))
            grad_spread.add_(grad_evidence, alpha=2).add_(by_scale_p)
            grad_scale_p.copy_(_where_inside(grad_spread, raw_scale_p))
            grad_precision.copy_(_where_inside(grad_evidence, raw_precision))
        return self.grads


def where_above(grad: Tensor, x: Tensor, threshold: float) -> Tensor:
    """The gradient of a rectifier's input, from its input or its result."""
    passed: Tensor = torch.ops.aten.threshold_backward(grad, x, threshold)
    return passed


def _clamped(raw: Tensor) -> Tensor:
    return raw.clamp(-LOG_RANGE, LOG_RANGE)


def _where_inside(grad: Tensor, raw: Tensor) -> Tensor:
    """The gradient of what `_clamped` was given."""
    passed: Tensor = torch.ops.aten.hardtanh_backward(grad, raw, -LOG_RANGE, LOG_RANGE)
    return passed
