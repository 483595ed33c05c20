"""Training steps, and what becomes of those that are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skrgvae.network.records import SampledTerms
from skrgvae.training.flat import flatten_parameters, n_weights, write_gradients
from skrgvae.training.objective import BatchSummary, FusedObjective, objective
from skrgvae.training.optimizer import OPTIMIZERS

# Numbers of rows whose buffers are kept: the batches of a pass have two, a stream's may have more.
MAX_FUSED = 4
# Steps dropped in a row, each at half the rate of the one before, until training is given up.
MAX_DROPPED = 20


@dataclass(frozen=True)
class Settings:
    """What the steps need to know; the names are the estimator's."""

    optimizer: str
    batch_size: int
    free_bits: tuple[float, ...]
    sparsity_penalty: float
    weight_decay: float
    input_dropout: float = 0.0


class FusedPass(Protocol):
    """What a module may offer instead of a pass that autograd goes back through.

    Attributes
    ----------
    recordable : bool
        Whether the kernels that it runs depend on nothing but the shapes of what it is given.
    """

    recordable: bool

    def read(self, rows: Tensor, complete: bool | None, hidden: Tensor | None) -> Any:
        """All that `forward` needs of rows and that no parameter has a part in.

        `complete` tells whether no entry is missing (None: it has to look), and `hidden` which
        entries the way up doesn't see (None: it sees all).
        """

    def forward(self, reading: Any, noise: Tensor) -> SampledTerms:
        """Terms of the bound; the noise of all layers stands side by side."""

    def backward(self, by_log_likelihood: float, by_kl: Tensor, by_values: Tensor | None) -> None:
        """Write the parameters' gradients, from `Slopes`, to their `grad`."""


@dataclass
class Batch:
    """Rows of one step, and what is made ready for it.

    Attributes
    ----------
    rows : Tensor of shape (n_rows, n_columns)
    complete : bool or None
        Whether no entry is missing, where that is known.
    fused : FusedPass or None
    noise : Tensor of shape (n_rows, n_units of all layers)
        Standard normal.
    hidden : Tensor of bool of shape (n_rows, n_columns) or None
        Entries that the way up doesn't see; None: it sees all.
    reading : object
        Of the fused pass.
    """

    rows: Tensor
    complete: bool | None
    fused: FusedPass | None
    noise: Tensor = field(init=False)
    hidden: Tensor | None = None
    reading: Any = None


class Totals(NamedTuple):
    """Sums over the rows of all good steps of a pass, at weight 1, in nats."""

    n_rows: float
    reconstruction: float
    kl: NDArray[np.float64]  # per layer


class Steps:
    """Steps of one optimiser on one module.

    A step whose loss or gradients are not finite moves nothing, and halves the learning rate of
    those after it.

    Parameters
    ----------
    module : nn.Module
        As for `Trainer`.
    layer_sizes : sequence of int
        Units per layer, bottom first.
    settings : Settings

    Attributes
    ----------
    flat : nn.Parameter
        All parameters of the module.
    rate_factor : float
        What the learning rate is multiplied by.
    dropped : int
        Last steps in a row that moved nothing.
    """

    def __init__(self, module: nn.Module, layer_sizes: Sequence[int], settings: Settings) -> None:
        self.module = module
        self.layer_sizes = tuple(layer_sizes)
        self.settings = settings
        self.flat = flatten_parameters(module)
        decays = n_weights(module), settings.weight_decay
        self.optimizer = OPTIMIZERS[settings.optimizer](self.flat, *decays)
        self.objective = FusedObjective(
            self.layer_sizes, settings.free_bits, settings.sparsity_penalty, self.flat.detach()
        )
        self.rate_factor = 1.0
        self.dropped = 0
        self._fused: dict[int, FusedPass | None] = {}

    def fused_pass(self, n_rows: int, recurrent: bool) -> FusedPass | None:
        """The module's own one for so many rows, if it has any.

        `recurrent` tells whether many batches will have as many.
        """
        if n_rows not in self._fused:
            if len(self._fused) == MAX_FUSED:
                self._fused.pop(next(iter(self._fused)))
            make = getattr(self.module, "fused_pass", None)
            self._fused[n_rows] = None if make is None else make(n_rows, recurrent)
        return self._fused[n_rows]

    def begin(self) -> None:
        """Before the first step of a pass."""
        self.remember_buffers()
        self._n_rows, self._reconstruction = 0.0, 0.0
        self._kl = np.zeros(len(self.layer_sizes))

    def remember_buffers(self) -> None:
        """Keep the normalisation's running moments for when a batch spoils them."""
        self._buffers = [buffer.clone() for buffer in self.module.buffers()]

    def mend_buffers(self) -> None:
        """Put those that are not finite back to what was remembered."""
        for buffer, last in zip(self.module.buffers(), self._buffers, strict=True):
            if not torch.isfinite(buffer).all():
                buffer.copy_(last)

    def take(self, batch: Batch, rate: float, kl_weight: float) -> None:
        """One step at a learning rate and a weight of the KL."""
        loss, summary = self._write_gradients(batch, kl_weight)
        if not (math.isfinite(loss) and self.optimizer.step(self.rate_factor * rate)):
            self._drop()
            return
        self.dropped = 0
        n_rows = len(batch.rows)
        self._n_rows += n_rows
        self._reconstruction += n_rows * float(summary.reconstruction)
        self._kl += n_rows * summary.kl.double().cpu().numpy()

    def has_given_up(self) -> bool:
        """Whether too many steps in a row moved nothing."""
        return self.dropped > MAX_DROPPED

    def end(self) -> Totals:
        """After the last step of a pass."""
        return Totals(self._n_rows, self._reconstruction, self._kl)

    def _write_gradients(self, batch: Batch, kl_weight: float) -> tuple[float, BatchSummary]:
        """Loss of a batch and its terms of the bound; the gradients are left in the buffer."""
        if batch.fused is None:
            noise = batch.noise.split(self.layer_sizes, dim=1)
            terms = self.module(batch.rows, list(noise), batch.hidden)
            options = self.settings.free_bits, self.settings.sparsity_penalty
            loss, summary = objective(terms, kl_weight, *options)
            write_gradients(loss, self.module, self.flat)
            return loss.item(), summary
        terms = batch.fused.forward(batch.reading, batch.noise)
        loss, summary, slopes = self.objective(terms, kl_weight)
        batch.fused.backward(*slopes)
        return loss.item(), summary

    def _drop(self) -> None:
        """Take a step that was not finite back, and go on at half the rate."""
        self.dropped += 1
        self.rate_factor *= 0.5
        self.mend_buffers()  # the running moments have already seen the batch
