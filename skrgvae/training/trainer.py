"""Epochs of training. They know the network's records and nothing else of the model."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.second_thread import aside, wait
from skrgvae.training.advice import advice
from skrgvae.training.average import Average
from skrgvae.training.batches import Rows
from skrgvae.training.history import Epoch
from skrgvae.training.recorded import RecordedSteps
from skrgvae.training.schedules import Schedule
from skrgvae.training.steps import Batch, Settings, Steps
from skrgvae.training.threads import threads_for

# Batches of rows seen whole that running moments are taken from.
MOMENT_BATCHES = 20


class Trainer:
    """Steps of one optimiser on one module, epoch by epoch.

    Parameters
    ----------
    module : nn.Module
        Called as `module(rows, noise, hidden)`, answers `BoundTerms`; noise is a list of standard
        normal tensors of shape (n_rows, n_units), one per layer, bottom first, and `hidden` True
        for entries that the way up is not to see, or None. Where there are such entries, its
        method `take_moments` is given rows of which all is seen, for its running moments. It may
        have a method `fused_pass` that gives a faster way to the same, and to its gradients.
    layer_sizes : sequence of int
        Units per layer, bottom first.
    schedule : Schedule
    settings : Settings
    seed : int
        Of the order of the rows and of the noise.
    sizes : collection of int or None
        Numbers of rows that many batches will have; None: the batch size.
    """

    def __init__(
        self,
        module: nn.Module,
        layer_sizes: Sequence[int],
        schedule: Schedule,
        settings: Settings,
        seed: int,
        sizes: Collection[int] | None = None,
    ) -> None:
        self.module = module
        self.layer_sizes = tuple(layer_sizes)
        self.schedule = schedule
        self.settings = settings
        self.device = next(module.parameters()).device
        make = RecordedSteps if self.device.type == "cuda" else Steps
        self.steps = make(module, layer_sizes, settings)
        self.sizes = sizes or {settings.batch_size}
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self.step = 0

    def epoch(self, rows: Rows, average: Average | None = None) -> Epoch:
        """One pass over the rows in random order, after each step of which an average hears."""
        started = time.perf_counter()
        self.module.train()
        # Kernels are started on the CUDA device that is current, wherever their arguments lie.
        current = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with current, self._threads(rows):
            self.steps.begin()
            for batch in self.batches(rows):
                rate = self.schedule.learning_rate_at(self.step)
                self.steps.take(batch, rate, self.schedule.kl_weight_at(self.step))
                self.step += 1
                self._check()
                if average is not None:
                    average.after_step(self.step)
            totals = self.steps.end()
            self._check()
        self.module.eval()
        n_rows = totals.n_rows or math.nan  # without a single good step there is no bound
        reconstruction, kl = totals.reconstruction / n_rows, totals.kl / n_rows
        return Epoch(
            elbo=float(reconstruction - kl.sum()),
            validation_elbo=math.nan,
            reconstruction=float(reconstruction),
            kl=tuple(kl.tolist()),
            kl_weight=self.schedule.kl_weight_at(self.step - 1),
            learning_rate=self.steps.rate_factor * self.schedule.learning_rate_at(self.step - 1),
            seconds=time.perf_counter() - started,
        )

    def take_moments(self, rows: Rows) -> None:
        """Let running moments be those of rows of which all is seen, where steps hide entries.

        If these are not finite, those of the steps stay.
        """
        if self.settings.input_dropout > 0.0:
            self.steps.remember_buffers()
            batches = islice(rows.shuffled(self.settings.batch_size, self.rng), MOMENT_BATCHES)
            module: Any = self.module
            with self._threads(rows):
                module.take_moments(
                    (table, self.noise(len(table)).split(self.layer_sizes, dim=1))
                    for table, _ in batches
                )
            self.steps.mend_buffers()

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on beside the module's own state, without tensors."""
        return {
            "step": self.step,
            "rate_factor": self.steps.rate_factor,
            "dropped": self.steps.dropped,
            "rng": self.rng.bit_generator.state,
            "generator": self.generator.get_state().cpu().numpy(),
            "optimizer": self.steps.optimizer.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.step = state["step"]
        self.steps.rate_factor = state["rate_factor"]
        self.steps.dropped = state["dropped"]
        self.rng.bit_generator.state = state["rng"]
        noise = torch.tensor(state["generator"])
        if noise.shape == self.generator.get_state().shape:
            self.generator.set_state(noise)
        else:  # that of another kind of device
            self.generator.manual_seed(int(self.rng.integers(2**31)))
        self.steps.optimizer.load_state(state["optimizer"])

    def batches(self, rows: Rows) -> Iterator[Batch]:
        """One pass in random order, each batch made ready while the one before is worked on."""
        ready: Batch | None = None
        for table, complete in rows.shuffled(self.settings.batch_size, self.rng):
            fused = self.steps.fused_pass(len(table), recurrent=len(table) in self.sizes)
            batch = Batch(table, complete, fused)
            aside(self._make_ready, batch)
            if ready is not None:
                yield ready
            wait()
            ready = batch
        if ready is not None:
            yield ready

    def noise(self, n_rows: int) -> Tensor:
        """Standard normal noise of all layers side by side, (n_rows, n_units of all layers)."""
        return torch.randn(
            n_rows,
            sum(self.layer_sizes),
            generator=self.generator,
            device=self.device,
            dtype=self.steps.flat.dtype,
        )

    def hidden(self, rows: Tensor) -> Tensor | None:
        """Entries of rows to hide, each with the same probability, or None where it is 0."""
        share = self.settings.input_dropout
        if share == 0.0:
            return None
        uniform = torch.rand(rows.shape, generator=self.generator, device=self.device)
        return uniform < share

    def _threads(self, rows: Rows) -> AbstractContextManager[None]:
        """As many threads as products with batches of rows are worth."""
        n_in_batch = min(self.settings.batch_size, len(rows))
        on_cpu = self.device.type == "cpu"  # other devices are only told what to do
        return threads_for(n_in_batch * self.steps.flat.numel() if on_cpu else 0.0)

    def _make_ready(self, batch: Batch) -> None:
        batch.noise = self.noise(len(batch.rows))
        batch.hidden = self.hidden(batch.rows)
        if batch.fused is not None:
            batch.reading = batch.fused.read(batch.rows, batch.complete, batch.hidden)

    def _check(self) -> None:
        if self.steps.has_given_up():
            raise self.no_finite_loss()

    def no_finite_loss(self) -> ValueError:
        """The error that ends a training without finite losses."""
        return ValueError(
            f"Training gave no finite loss in {self.steps.dropped} steps in a row, although the "
            "learning rate was halved after each, down to "
            f"{self.steps.rate_factor * self.schedule.learning_rate:.3g}. "
            f"{advice(self.settings, self.schedule.kl_weight)}"
        )
