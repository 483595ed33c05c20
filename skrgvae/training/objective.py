"""The bound and what training maximises instead of it in its early epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skrgvae.network.records import BoundTerms, SampledTerms


class BatchSummary(NamedTuple):
    """Means over a batch's rows at weight 1, in nats; tensors, so that nothing waits for them."""

    reconstruction: Tensor  # mean log p(x | z), shape ()
    kl: Tensor  # mean KL per layer, shape (n_layers,)


def objective(
    terms: BoundTerms, kl_weight: float, free_bits: Sequence[float], sparsity_penalty: float
) -> tuple[Tensor, BatchSummary]:
    """Loss of a batch (nats per row, smaller is better) and the batch's terms of the bound.

    ::

        loss = - mean_i log p(x_i | z_i)
               + w sum_l sum_j max(mean_i KL_ilj, free_bits_l)
               + sparsity_penalty sum_l sum_j mean_i |z_ilj| / sqrt(mean_i z_ilj^2)

    The floor stands on the batch mean of every single unit (Kingma et al. 2016, IAF, appendix
    C.8, put it on groups of units): a floor on a whole layer is filled by a few of its units and
    leaves the others unused.

    The penalty is the L1 norm of a unit over the batch in proportion to its L2 norm (Hoyer 2004,
    "Non-negative matrix factorization with sparseness constraints", section 3): 1 for a unit of
    constant size, 0.80 for a centred Gaussian one, sqrt(a) for one that is zero but in a share a
    of the rows and of constant size there. The L1 norm alone would do nothing for sparseness: it
    falls when all values of a unit shrink, which leaves the KL as it was and which the weights
    that read the unit make good.

    Parameters
    ----------
    terms : BoundTerms
    kl_weight : float
        w, the current weight of the KL.
    free_bits : sequence of float
        Floor per unit (nats), one per layer, bottom first.
    sparsity_penalty : float
        Weight of the L1 norm of the sampled units over their L2 norm (nats); 0 leaves it out.
    """
    reconstruction = terms.log_likelihood.mean()
    per_unit = [kl.mean(dim=0) for kl in terms.kl]
    floored = [
        kl.clamp(min=floor) if floor > 0 else kl
        for kl, floor in zip(per_unit, free_bits, strict=True)
    ]
    loss = kl_weight * torch.stack([kl.sum() for kl in floored]).sum() - reconstruction
    if sparsity_penalty > 0:
        density = torch.stack([_relative_norm(value).sum() for value in terms.values])
        loss = loss + sparsity_penalty * density.sum()
    with torch.no_grad():
        summary = BatchSummary(
            reconstruction.detach(), torch.stack([kl.detach().sum() for kl in per_unit])
        )
    return loss, summary


class Slopes(NamedTuple):
    """Derivatives of the loss by the terms of the bound, layers side by side."""

    log_likelihood: float  # of each row
    kl: Tensor  # of each unit in each row, (n_units,)
    values: Tensor | None  # (n_rows, n_units); None: zeros


class FusedObjective:
    """The same for terms whose layers stand side by side, its derivatives written out.

    Parameters
    ----------
    layer_sizes : sequence of int
    free_bits : sequence of float
    sparsity_penalty : float
    like : Tensor
        Of the dtype and the device to compute on.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        free_bits: Sequence[float],
        sparsity_penalty: float,
        like: Tensor,
    ) -> None:
        self.sparsity_penalty = sparsity_penalty
        layer = torch.repeat_interleave(torch.tensor(layer_sizes))
        # No floor is not one at zero, below which rounding may bring a KL.
        floors = torch.tensor([floor or -math.inf for floor in free_bits], dtype=like.dtype)
        self.floors = floors[layer].to(like)
        self.members = nn.functional.one_hot(layer).T.to(like)  # (n_layers, n_units)

    def __call__(
        self, terms: SampledTerms, kl_weight: float | Tensor
    ) -> tuple[Tensor, BatchSummary, Slopes]:
        """Loss of a batch, its terms of the bound, and the derivatives of the loss."""
        n_rows, per_unit = len(terms.values), terms.kl
        reconstruction = terms.log_likelihood.mean()
        loss = self.floored(per_unit, kl_weight) - reconstruction
        by_kl = per_unit.ge(self.floors).to(per_unit.dtype).mul_(kl_weight / n_rows)
        by_values = None
        if self.sparsity_penalty > 0:
            with torch.enable_grad():
                values = terms.values.detach().requires_grad_()
                penalty = self.sparsity_penalty * _relative_norm(values).sum()
                (by_values,) = torch.autograd.grad(penalty, values)
            loss = loss + penalty.detach()
        summary = BatchSummary(reconstruction, torch.mv(self.members, per_unit))
        return loss, summary, Slopes(-1 / n_rows, by_kl, by_values)

    def floored(self, per_unit: Tensor, kl_weight: float | Tensor) -> Tensor:
        """What the loss has of the units' mean KLs, (n_units,)."""
        return kl_weight * torch.maximum(per_unit, self.floors.to(per_unit)).sum()


def _relative_norm(value: Tensor) -> Tensor:
    """L1 over L2 norm of every unit, shape (n_units,), for values of shape (n_rows, n_units)."""
    # A unit that is zero in all rows has no direction to go: it counts 0, with gradient 0.
    mean_square = value.square().mean(dim=0).clamp(min=torch.finfo(value.dtype).tiny)
    return value.abs().mean(dim=0) * mean_square.rsqrt()
