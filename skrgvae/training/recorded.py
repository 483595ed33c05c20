"""Training steps on a CUDA device, recorded once and replayed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.training.graphs import Recorded
from skrgvae.training.objective import FusedObjective
from skrgvae.training.optimizer import Adam, Adamax
from skrgvae.training.steps import (
    MAX_DROPPED,
    MAX_FUSED,
    Batch,
    FusedPass,
    Settings,
    Steps,
    Totals,
)


class RecordedSteps(Steps):
    """Steps on a CUDA device, told what to do and not asked for anything before the end.

    A step is recorded as a graph when batches of its shape first come, and is replayed for all
    others: hundreds of kernels are started by one call. Passes that can't be recorded take the
    steps of the base class.
    """

    def __init__(self, module: nn.Module, layer_sizes: Sequence[int], settings: Settings) -> None:
        super().__init__(module, layer_sizes, settings)
        self._step = _DeviceStep(self.optimizer, self.objective, len(self.layer_sizes))
        self._recorded: dict[object, Recorded] = {}
        self._most_dropped = 0

    def begin(self) -> None:
        super().begin()
        self._step.begin(self.rate_factor, self.dropped)

    def has_given_up(self) -> bool:
        return super().has_given_up() or self._most_dropped > MAX_DROPPED

    def take(self, batch: Batch, rate: float, kl_weight: float) -> None:
        fused = batch.fused
        if fused is None or not fused.recordable:
            super().take(batch, rate, kl_weight)
            return
        self._step.rate.fill_(rate)
        self._step.kl_weight.fill_(kl_weight)
        given = batch.reading, batch.noise
        shapes = Recorded.shapes(given)
        if shapes not in self._recorded:
            if len(self._recorded) == MAX_FUSED:
                self._recorded.pop(next(iter(self._recorded)))
            # It must not hold these steps, which hold it: graphs are freed with their last owner.
            self._recorded[shapes] = Recorded(partial(self._step.take, fused), given)
        self._recorded[shapes].run(given)

    def end(self) -> Totals:
        if not self._recorded:
            return super().end()
        self.rate_factor, self.dropped, self._most_dropped, totals = self._step.end()
        return totals


class _DeviceStep:
    """A step whose every decision is computed where its results are.

    Parameters
    ----------
    optimizer : Adam or Adamax
    objective : FusedObjective
    n_layers : int

    Attributes
    ----------
    rate, kl_weight : Tensor of shape ()
        Of the next step.
    """

    def __init__(self, optimizer: Adam | Adamax, objective: FusedObjective, n_layers: int) -> None:
        self.optimizer, self.objective = optimizer, objective
        scalar = optimizer.values.detach().new_zeros(())
        self.rate, self.kl_weight = scalar.clone(), scalar.clone()
        # Rate factor; steps dropped in a row, now and at most; rows; reconstruction; KL by layer.
        self._account = scalar.double().new_zeros(5 + n_layers)

    def begin(self, rate_factor: float, dropped: int) -> None:
        """Before a pass."""
        self._account.zero_()[:2].copy_(torch.tensor([rate_factor, dropped], dtype=torch.float64))

    def take(self, fused: FusedPass, reading: Any, noise: Tensor) -> None:
        """Move the parameters, unless the loss or a gradient is not finite, and keep account."""
        n_rows = len(noise)
        terms = fused.forward(reading, noise)
        loss, summary, slopes = self.objective(terms, self.kl_weight)
        fused.backward(*slopes)
        factor, dropped, most = self._account[:3].unbind()
        good = torch.isfinite(loss) & self.optimizer.has_finite_gradients()
        self.optimizer.step_where(good, (self.rate * factor).to(self.rate.dtype))
        factor.mul_(torch.where(good, 1.0, 0.5))
        dropped.add_(1.0).mul_(~good)
        torch.maximum(most, dropped, out=most)
        sums = torch.cat([summary.reconstruction.reshape(1), summary.kl]).double() * n_rows
        self._account[4:] += torch.where(good, sums, 0.0)
        self._account[3] += n_rows * good

    def end(self) -> tuple[float, int, int, Totals]:
        """After a pass: rate factor, steps dropped in a row, last and at most, and the totals."""
        factor, dropped, most, n_rows, reconstruction, *kl = self._account.tolist()
        return factor, int(dropped), int(most), Totals(n_rows, reconstruction, np.array(kl))
