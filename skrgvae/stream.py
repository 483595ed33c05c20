"""Training on a stream of tables, a pass over each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from skrgvae.data.sources import n_batches
from skrgvae.fitting import Plan, new_trainer
from skrgvae.model import Model
from skrgvae.network import Hierarchy
from skrgvae.torch_modes import own_modes
from skrgvae.training import Average, Epoch, Rows


@dataclass(frozen=True)
class Progress:
    """Where a stream of `partial_fit` calls stands.

    Attributes
    ----------
    n_rows : int
        Rows of the first call, over which the warm-up is planned.
    seed : int
    warm : bool
        Whether the stream started from a fitted model, so that the KL needs no warm-up.
    n_seen : int
        Rows that the usual values of units are taken from.
    optimizer : str
        Of the last call.
    trainer, average : dict or None
        State of the trainer, and of the average over its steps, after the last call.
    """

    n_rows: int
    seed: int
    warm: bool
    n_seen: int = 0
    optimizer: str = "adamax"
    trainer: dict[str, Any] | None = None
    average: dict[str, Any] | None = None


@own_modes()
def train_on(
    module: Hierarchy, rows: Rows, plan: Plan, progress: Progress
) -> tuple[Model, Epoch, Progress]:
    """One pass over some rows of a stream, at a constant learning rate.

    The model has the average over the steps: a stream has no end to lower the rate towards.
    """
    first = n_batches(progress.n_rows, plan.settings.batch_size)
    trainer = new_trainer(module, plan, first, progress.seed, rows.device)
    average = Average(module)
    if progress.trainer is not None and progress.average is not None:
        state = dict(progress.trainer)
        # What made steps of earlier calls useless, as a junk cell may, is over after a good one.
        if not state["dropped"]:
            state["rate_factor"] = 1.0
        # Moments of another one mean something else.
        if progress.optimizer != plan.settings.optimizer:
            state["optimizer"] = {}
        trainer.load_state(state)
        average.load_state(progress.average)
    epoch = trainer.epoch(rows, average)
    progress = replace(
        progress,
        n_seen=progress.n_seen + len(rows),
        optimizer=plan.settings.optimizer,
        trainer=trainer.state(),
        average=average.state(),
    )
    average.apply()
    return Model.from_module(module, progress.seed, str(rows.device)), epoch, progress
