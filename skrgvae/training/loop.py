"""The training loop. It knows the network's records and nothing else of the model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.second_thread import aside, wait
from skrgvae.training.average import Average
from skrgvae.training.batches import Rows
from skrgvae.training.history import Epoch, History
from skrgvae.training.schedules import Schedule
from skrgvae.training.steps import Batch, RecordedSteps, Settings, Steps
from skrgvae.training.threads import threads_for


class Trainer:
    """Steps of one optimiser on one module, epoch by epoch.

    Parameters
    ----------
    module : nn.Module
        Called as `module(rows, noise)`, answers `BoundTerms`; noise is a list of standard normal
        tensors of shape (n_rows, n_units), one per layer, bottom first. It may have a method
        `fused_pass` that gives a faster way to the same, and to its gradients.
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
        self.average: Average | None = None

    def epoch(self, rows: Rows) -> Epoch:
        """One pass over the rows in random order."""
        started = time.perf_counter()
        self.module.train()
        n_in_batch = min(self.settings.batch_size, len(rows))
        on_cpu = self.device.type == "cpu"  # other devices are only told what to do
        n_products = n_in_batch * self.steps.flat.numel() if on_cpu else 0.0
        # Kernels are started on the CUDA device that is current, wherever their arguments lie.
        current = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with current, threads_for(n_products):
            self.steps.begin()
            for batch in self.batches(rows):
                rate = self.schedule.learning_rate_at(self.step)
                self.steps.take(batch, rate, self.schedule.kl_weight_at(self.step))
                self.step += 1
                self._check()
                if self.average is not None:
                    self.average.after_step(self.step)
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

    def _make_ready(self, batch: Batch) -> None:
        batch.noise = self.noise(len(batch.rows))
        if batch.fused is not None:
            batch.reading = batch.fused.read(batch.rows, batch.complete)

    def _check(self) -> None:
        if self.steps.has_given_up():
            raise self.no_finite_loss()

    def no_finite_loss(self) -> ValueError:
        """The error that ends a training without finite losses."""
        return ValueError(
            f"Training gave no finite loss in {self.steps.dropped} steps in a row, although the "
            "learning rate was halved after each, down to "
            f"{self.steps.rate_factor * self.schedule.learning_rate:.3g}. Try a smaller "
            "learning_rate, batch_norm=True, or columns scaled to comparable ranges."
        )


@dataclass(frozen=True)
class Stopping:
    """When to stop on held-out rows: absolute, in nats per row."""

    n_iter_no_change: int
    tol: float


class Hooks(Protocol):
    """What others may do around an epoch."""

    def begin_epoch(self) -> None:
        """Before an epoch."""

    def end_epoch(self, history: History) -> bool:
        """After an epoch, given the history up to it; True ends training."""


@dataclass(frozen=True)
class Run:
    """Where a training stands after a whole epoch, apart from its trainer.

    Attributes
    ----------
    history : History
    best : int
        Number (1 = first) of the epoch whose weights are kept: the best by the held-out ELBO, or
        the last one where there is none.
    kept : dict of str to Tensor
        State of the module after that epoch.
    reference : float
        Held-out ELBO (nats per row) that the next epochs must exceed by the tolerance.
    waited : int
        Epochs since one did.
    ended : bool
        Whether training came to its own end, by `max_iter` or by stopping.
    interrupted : bool
        Whether a KeyboardInterrupt ended it.
    """

    history: History = field(default_factory=History)
    best: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)
    reference: float = -math.inf
    waited: int = 0
    ended: bool = False
    interrupted: bool = False

    def best_elbo(self) -> float:
        """Held-out ELBO of the kept weights; -inf where there is none."""
        elbo = self.history.epochs[self.best - 1].validation_elbo if self.best else math.nan
        return -math.inf if math.isnan(elbo) else elbo


def fit_epochs(
    trainer: Trainer,
    rows: Rows,
    max_iter: int,
    validate: Callable[[], float] | None = None,
    stopping: Stopping | None = None,
    hooks: Hooks | None = None,
    run: Run | None = None,
    save: Callable[[Run], None] | None = None,
) -> Run:
    """Train for at most `max_iter` epochs and leave the best weights in the trainer's module.

    A KeyboardInterrupt ends training after the last whole epoch, if there was one.

    Parameters
    ----------
    trainer : Trainer
    rows : Rows
    max_iter : int
    validate : callable or None
        Gives the held-out ELBO at weight 1; with it, the weights of the best epoch are restored.
    stopping : Stopping or None
    hooks : Hooks or None
    run : Run or None
        Where to go on from, with the trainer in the state it had there.
    save : callable or None
        Keeps where training stands, after every epoch and before the hooks hear of it.

    Returns
    -------
    Run
    """
    run = run or Run()
    try:
        while not run.ended:
            if hooks is not None:
                hooks.begin_epoch()
            epoch = trainer.epoch(rows)
            if validate is not None:
                epoch = _with_validation(epoch, validate)
            run = _after_epoch(run, epoch, trainer, max_iter, stopping)
            if save is not None:
                save(run)
            if hooks is not None and hooks.end_epoch(run.history):
                run = replace(run, ended=True)
                if save is not None:
                    save(run)
    except KeyboardInterrupt:
        if not run.history.epochs:
            raise
        run = replace(run, interrupted=True)
    if all(math.isnan(epoch.elbo) for epoch in run.history.epochs):
        raise trainer.no_finite_loss()
    trainer.module.load_state_dict(run.kept)
    trainer.module.eval()  # a run that had ended before has had no epoch here
    return run


def _after_epoch(
    run: Run, epoch: Epoch, trainer: Trainer, max_iter: int, stopping: Stopping | None
) -> Run:
    """Where training stands now: a new object, so that an interruption never finds half of it."""
    history = History([*run.history.epochs, epoch])
    number = len(history.epochs)
    best, kept = run.best, run.kept
    if epoch.validation_elbo > run.best_elbo() or run.best_elbo() == -math.inf:
        best, kept = number, _copy_state(trainer.module)
    reference, waited = run.reference, run.waited
    if stopping is not None and trainer.schedule.settled(trainer.step):
        if epoch.validation_elbo > reference + stopping.tol:
            reference, waited = epoch.validation_elbo, 0
        else:
            waited += 1
    stops = stopping is not None and waited >= stopping.n_iter_no_change
    return Run(history, best, kept, reference, waited, ended=stops or number >= max_iter)


def _with_validation(epoch: Epoch, validate: Callable[[], float]) -> Epoch:
    started = time.perf_counter()
    elbo = validate()
    seconds = epoch.seconds + time.perf_counter() - started
    return replace(epoch, validation_elbo=elbo, seconds=seconds)


def _copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
