"""The training loop: epochs until the last one or until stopping, and the weights to keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from torch import Tensor, nn

from skrgvae.training.batches import Rows
from skrgvae.training.history import Epoch, History
from skrgvae.training.trainer import Trainer


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
