"""The bound and what training maximises instead of it in its early epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skrgvae.network.records import BoundTerms


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
               + sparsity_penalty mean_i sum_lj |z_ilj|

    The floor stands on the batch mean of every single unit (Kingma et al. 2016, IAF, appendix
    C.8, put it on groups of units): a floor on a whole layer is filled by a few of its units and
    leaves the others unused.

    Parameters
    ----------
    terms : BoundTerms
    kl_weight : float
        w, the current weight of the KL.
    free_bits : sequence of float
        Floor per unit (nats), one per layer, bottom first.
    sparsity_penalty : float
        Weight of the L1 norm of the sampled units; 0 leaves it out.
    """
    reconstruction = terms.log_likelihood.mean()
    per_unit = [kl.mean(dim=0) for kl in terms.kl]
    floored = [
        kl.clamp(min=floor) if floor > 0 else kl
        for kl, floor in zip(per_unit, free_bits, strict=True)
    ]
    loss = kl_weight * torch.stack([kl.sum() for kl in floored]).sum() - reconstruction
    if sparsity_penalty > 0:
        activity = torch.stack([value.abs().sum(dim=-1).mean() for value in terms.values])
        loss = loss + sparsity_penalty * activity.sum()
    with torch.no_grad():
        summary = BatchSummary(
            reconstruction.detach(), torch.stack([kl.detach().sum() for kl in per_unit])
        )
    return loss, summary
