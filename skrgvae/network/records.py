"""Typed records that leave the network: what training and the trained model read of it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Message(NamedTuple):
    """Pseudo-observation of one layer's units by the bottom-up pass, (n_rows, n_units) each."""

    loc: Tensor
    precision: Tensor


class LayerPass(NamedTuple):
    """One stochastic layer of a top-down pass, tensors of shape (..., n_rows, n_units).

    `loc_*` and `scale_*` are those of the Gaussian before any rectification.
    """

    value: Tensor  # what the layers below were given: a sample, or the median
    loc_q: Tensor
    scale_q: Tensor
    loc_p: Tensor
    scale_p: Tensor


class BoundTerms(NamedTuple):
    """Every term of the bound under its own name, in nats and not yet averaged."""

    log_likelihood: Tensor  # log p(x | z), (n_rows,)
    kl: tuple[Tensor, ...]  # per layer, bottom first, (n_rows, n_units)
    values: tuple[Tensor, ...]  # the sample of every layer, (n_rows, n_units)


class SampledTerms(NamedTuple):
    """The same for training: units of all layers side by side, the KL averaged over the rows."""

    log_likelihood: Tensor  # (n_rows,)
    kl: Tensor  # (n_units of all layers,)
    values: Tensor  # (n_rows, n_units of all layers)
