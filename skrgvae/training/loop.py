"""The training loop: epochs until the last one or until stopping, and the weights to keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from skrgvae.training.batches import Rows
from skrgvae.training.history import Epoch, History
from skrgvae.training.trainer import Trainer


@dataclass(frozen=True)
class Stopping:
    """When to stop on held-out rows: absolute, in nats per row."""

    n_iter_no_change: int
    tol: float


class Validation(NamedTuple):
    """Of held-out rows, in nats per row.

    Attributes
    ----------
    elbo : float
        What is told.
    objective : float
        What chooses: the ELBO, or where entries are hidden, what training maximises at the full
        weight of the KL, but for the penalty.
    """

    elbo: float
    objective: float


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
        Number (1 = first) of the epoch whose weights are kept: the best by the objective on
        held-out rows, or the last one where there are none.
    best_objective : float
        Of that epoch; -inf where there is none.
    kept : dict of str to Tensor
        State of the module after that epoch.
    reference : float
        Held-out objective (nats per row) that the next epochs must exceed by the tolerance.
    waited : int
        Epochs since one did.
    ended : bool
        Whether training came to its own end, by `max_iter` or by stopping.
    interrupted : bool
        Whether a KeyboardInterrupt ended it.
    """

    history: History = field(default_factory=History)
    best: int = 0
    best_objective: float = -math.inf
    kept: dict[str, Tensor] = field(default_factory=dict)
    reference: float = -math.inf
    waited: int = 0
    ended: bool = False
    interrupted: bool = False


def fit_epochs(
    trainer: Trainer,
    rows: Rows,
    max_iter: int,
    validate: Callable[[], Validation] | None = None,
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
        Looks at held-out rows; with it, the weights of the best epoch are restored.
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
            epoch, objective = _epoch(trainer, rows, validate)
            run = _after_epoch(run, epoch, objective, trainer, max_iter, stopping)
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


def _epoch(
    trainer: Trainer, rows: Rows, validate: Callable[[], Validation] | None
) -> tuple[Epoch, float]:
    """One pass with what follows its steps, and the objective on held-out rows (NaN: none)."""
    epoch = trainer.epoch(rows)
    started = time.perf_counter()
    trainer.take_moments(rows)
    elbo, objective = (math.nan, math.nan) if validate is None else validate()
    seconds = epoch.seconds + time.perf_counter() - started
    return replace(epoch, validation_elbo=elbo, seconds=seconds), objective


def _after_epoch(
    run: Run,
    epoch: Epoch,
    objective: float,
    trainer: Trainer,
    max_iter: int,
    stopping: Stopping | None,
) -> Run:
    """Where training stands now: a new object, so that an interruption never finds half of it."""
    history = History([*run.history.epochs, epoch])
    number = len(history.epochs)
    best, best_objective, kept = run.best, run.best_objective, run.kept
    if objective > best_objective or best_objective == -math.inf:
        best, kept = number, _copy_state(trainer.module)
        best_objective = -math.inf if math.isnan(objective) else objective
    reference, waited = run.reference, run.waited
    if stopping is not None and trainer.schedule.settled(trainer.step):
        if objective > reference + stopping.tol:
            reference, waited = objective, 0
        else:
            waited += 1
    stops = stopping is not None and waited >= stopping.n_iter_no_change
    ended = stops or number >= max_iter
    return Run(history, best, best_objective, kept, reference, waited, ended)


def _copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
