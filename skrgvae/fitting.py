"""From an array and resolved parameters to a trained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skrgvae.model import Model, score_rows
from skrgvae.network import Architecture, Hierarchy
from skrgvae.torch_modes import own_modes
from skrgvae.training import (
    Epoch,
    Hooks,
    Rows,
    Run,
    Schedule,
    Settings,
    Snapshot,
    Stopping,
    Trainer,
    fit_epochs,
    restore,
    take_snapshot,
)

# Rows (at most) on which a trained network must have a finite bound.
MAX_CHECKED_ROWS = 1000


@dataclass(frozen=True)
class Plan:
    """How to train: the estimator's parameters after "auto" is resolved."""

    optimizer: str
    learning_rate: float
    batch_size: int
    max_iter: int
    kl_weight: float
    kl_warmup: float
    free_bits: tuple[float, ...]
    sparsity_penalty: float
    stopping: Stopping | None


def resolve_device(name: str) -> str:
    """Name of the device to compute on; "auto" takes a CUDA device where there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={name!r} can't be used on this machine ({error}). Use device='auto' or 'cpu'."
        ) from error
    return name


@own_modes()
def initial_module(
    table: NDArray[np.floating], architecture: Architecture, seed: int
) -> Hierarchy:
    """A module with drawn weights and the statistics of the training rows."""
    module = Hierarchy(architecture)
    module.likelihood.set_statistics(table)
    module.draw(torch.Generator().manual_seed(seed))
    return module


def new_trainer(
    module: Hierarchy, plan: Plan, n_rows: int, seed: int, device: str, decay: bool = True
) -> Trainer:
    """A trainer for a module, planned for `max_iter` passes over `n_rows` rows."""
    schedule = Schedule(
        n_steps=plan.max_iter * -(-n_rows // plan.batch_size),
        learning_rate=plan.learning_rate,
        kl_weight=plan.kl_weight,
        kl_warmup=plan.kl_warmup,
        decay=decay,
    )
    settings = Settings(plan.optimizer, plan.batch_size, plan.free_bits, plan.sparsity_penalty)
    module = module.to(torch.device(device))
    return Trainer(module, module.architecture.layer_sizes, schedule, settings, seed)


@own_modes()
def train(
    module: Hierarchy,
    table: NDArray[np.floating],
    held_out: NDArray[np.floating] | None,
    plan: Plan,
    seed: int,
    device: str,
    hooks: Hooks | None = None,
    snapshot: Snapshot | None = None,
    save: Callable[[Snapshot], None] | None = None,
) -> tuple[Model, Run]:
    """Train a module and copy the weights that are kept.

    Parameters
    ----------
    module : Hierarchy
        With the weights to start from; trained in place.
    table, held_out : ndarray of shape (n_rows, n_columns)
        Rows to train on, and rows to choose and stop on.
    plan : Plan
    seed : int
    device : str
    hooks : Hooks or None
    snapshot : Snapshot or None
        Of an earlier training like this one, to go on from.
    save : callable or None
        Keeps the snapshot it is given, after every epoch.

    Returns
    -------
    model : Model
    run : Run

    Raises
    ------
    ValueError
        If training gives no finite loss, or weights without a finite bound.
    """
    trainer = new_trainer(module, plan, len(table), seed, device)

    def validate() -> float:
        assert held_out is not None
        return float(score_rows(module, held_out, seed).mean(dtype=np.float64))

    run = fit_epochs(
        trainer,
        Rows(table, torch.device(device)),
        plan.max_iter,
        validate if held_out is not None else None,
        plan.stopping,
        hooks,
        None if snapshot is None else restore(trainer, snapshot),
        None if save is None else lambda run: save(take_snapshot(trainer, run)),
    )
    _check_bound(module, table, seed)
    return Model.from_module(module, seed, device), run


def _check_bound(module: Hierarchy, table: NDArray[np.floating], seed: int) -> None:
    """Refuse weights that only the steps themselves have seen: the last one may be too long."""
    if not np.isfinite(score_rows(module, table[:MAX_CHECKED_ROWS], seed)).all():
        raise ValueError(
            "The trained network gives no finite bound. Try a smaller learning_rate, "
            "batch_norm=True, or columns scaled to comparable ranges."
        )


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
    trainer : dict or None
        State of the trainer after the last call.
    """

    n_rows: int
    seed: int
    warm: bool
    trainer: dict[str, Any] | None = None


@own_modes()
def train_on(
    module: Hierarchy, table: NDArray[np.floating], plan: Plan, progress: Progress, device: str
) -> tuple[Model, Epoch, Progress]:
    """One pass over some rows of a stream, at a constant learning rate."""
    trainer = new_trainer(module, plan, progress.n_rows, progress.seed, device, decay=False)
    if progress.trainer is not None:
        trainer.load_state(progress.trainer)
    epoch = trainer.epoch(Rows(table, torch.device(device)))
    model = Model.from_module(module, progress.seed, device)
    return model, epoch, replace(progress, trainer=trainer.state())
