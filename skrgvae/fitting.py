"""From rows and resolved parameters to a trained model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from skrgvae.data.sources import ArrayRows, Source
from skrgvae.data.summary import Summary
from skrgvae.model import HeldOut, Model, score_rows
from skrgvae.network import Architecture, Hierarchy
from skrgvae.recipe import stands_on_rows
from skrgvae.torch_modes import own_modes, what_is_wrong_with
from skrgvae.training import (
    Hooks,
    Rows,
    Run,
    Schedule,
    Settings,
    Snapshot,
    Stopping,
    Trainer,
    Validation,
    advice,
    fall_for,
    fit_epochs,
    restore,
    take_snapshot,
)

# Rows (at most) on which a trained network must have a finite bound.
MAX_CHECKED_ROWS = 1000
# Rows (at most) that units may start from.
MAX_STARTING_ROWS = 2000
# Of an architecture, what may change because something else does.
FOLLOWING = ("n_categories", "direct_inputs")


@dataclass(frozen=True)
class Plan:
    """How to train: the estimator's parameters after "auto" is resolved."""

    settings: Settings
    learning_rate: float
    max_iter: int
    kl_weight: float
    kl_warmup: float
    stopping: Stopping | None


def resolve_device(name: str) -> str:
    """Name of the device to compute on; "auto" takes a CUDA device where there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if (error := what_is_wrong_with(name)) is not None:
        raise ValueError(
            f"device={name!r} can't be used on this machine ({error}). Use device='auto' or 'cpu'."
        ) from error
    return name


def on_device(rows: Source, device: str, weights: NDArray[np.float64] | None) -> Rows:
    """Rows with their weights, to be handed out on a device."""
    return Rows(rows, torch.device(device), weights)


@own_modes()
def initial_module(summary: Summary, architecture: Architecture, seed: int) -> Hierarchy:
    """A module with the statistics of the training rows and weights to start from."""
    try:
        module = Hierarchy(architecture)
    except RuntimeError as error:  # what torch calls a lack of memory
        raise MemoryError(
            f"The weights of layer_sizes={architecture.layer_sizes} over "
            f"{len(architecture.families)} columns need more memory than there is."
        ) from error
    module.likelihood.set_statistics(summary)
    generator = torch.Generator().manual_seed(seed)
    module.draw(generator)
    if stands_on_rows(architecture.families):
        rows = torch.randperm(len(summary.rows), generator=generator)[:MAX_STARTING_ROWS]
        module.start_from(torch.from_numpy(summary.rows[rows.numpy()]), generator)
    return module


def module_to_go_on_with(
    previous: Model, architecture: Architecture, summary: Summary, to_start_anew: str
) -> Hierarchy:
    """The network of an earlier fit, for rows that may reach further than those of then."""
    if previous.architecture != architecture:
        before = previous.architecture.as_dict()
        changed = [name for name, value in architecture.as_dict().items() if before[name] != value]
        # What else follows from others is no parameter that could be set back.
        named = [name for name in changed if name not in FOLLOWING] or changed
        asked = ["likelihood" if name == "families" else name for name in named]
        cause = "" if "families" not in changed else " (itself, or by what the columns hold)"
        raise ValueError(
            "Training goes on from the network of the previous fit, which differs in "
            f"{asked}{cause}. Set them back, or start anew with {to_start_anew}."
        )
    module = previous.new_module().cpu()  # statistics are taken there
    module.likelihood.extend(summary)
    return module


def new_trainer(
    module: Hierarchy,
    plan: Plan,
    n_batches: int,
    seed: int,
    device: torch.device,
    sizes: Collection[int] | None = None,
) -> Trainer:
    """A trainer for a module, planned for `max_iter` passes of so many batches.

    `sizes` are the numbers of rows of these batches. Without them training does not end after
    these passes, so that the learning rate is not to fall, and any number of rows may come.
    """
    n_steps, rate = plan.max_iter * n_batches, plan.learning_rate
    schedule = Schedule(
        n_steps=n_steps,
        learning_rate=rate,
        kl_weight=plan.kl_weight,
        kl_warmup=plan.kl_warmup,
        fall=fall_for(n_steps, rate, plan.settings.weight_decay) if sizes else None,
    )
    module = module.to(device)
    layer_sizes = module.architecture.layer_sizes
    return Trainer(module, layer_sizes, schedule, plan.settings, seed, sizes)


@own_modes()
def train(
    module: Hierarchy,
    rows: Rows,
    held_out: Rows | None,
    summary: Summary,
    plan: Plan,
    seed: int,
    hooks: Hooks | None = None,
    snapshot: Snapshot | None = None,
    save: Callable[[Snapshot], None] | None = None,
) -> tuple[Model, Run]:
    """Train a module and copy the weights that are kept.

    Parameters
    ----------
    module : Hierarchy
        With the weights to start from; trained in place.
    rows, held_out : Rows
        Rows to train on, and rows to choose and stop on.
    summary : Summary
        Of the rows.
    plan : Plan
    seed : int
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
    size = plan.settings.batch_size
    trainer = new_trainer(module, plan, rows.n_batches(size), seed, rows.device, rows.sizes(size))
    validate = None
    if held_out is not None:
        scored = HeldOut(held_out.source, held_out.weights, seed)

        def validate() -> Validation:
            elbo = scored.terms(module).elbo()
            if plan.settings.input_dropout == 0.0:
                return Validation(elbo, elbo)
            terms = scored.terms(module, plan.settings.input_dropout)
            floored = trainer.steps.objective.floored(terms.kl, plan.kl_weight)
            return Validation(elbo, terms.log_likelihood - float(floored))

    run = fit_epochs(
        trainer,
        rows,
        plan.max_iter,
        validate,
        plan.stopping,
        hooks,
        None if snapshot is None else restore(trainer, snapshot),
        None if save is None else lambda run: save(take_snapshot(trainer, run)),
    )
    _check_bound(module, summary, plan, seed)
    return Model.from_module(module, seed, str(rows.device)), run


def _check_bound(module: Hierarchy, summary: Summary, plan: Plan, seed: int) -> None:
    """Refuse weights that only the steps themselves have seen: the last one may be too long."""
    rows = ArrayRows(summary.rows[:MAX_CHECKED_ROWS])
    if not np.isfinite(score_rows(module, rows, seed)).all():
        raise ValueError(
            f"The trained network gives no finite bound. {advice(plan.settings, plan.kl_weight)}"
        )
