"""The whole state of a training as plain data, and back: what a checkpoint holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skrgvae.training.history import History
from skrgvae.training.loop import Run
from skrgvae.training.trainer import Trainer


@dataclass(frozen=True)
class Snapshot:
    """All that the rest of a training depends on, beside its data and its parameters.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Module, weights to keep, moments of the optimiser, generator of the noise, history.
    values : dict
        Everything else, as JSON takes it.
    """

    arrays: dict[str, NDArray]
    values: dict[str, Any]


def take_snapshot(trainer: Trainer, run: Run) -> Snapshot:
    """Copy the state of a training after a whole epoch."""
    state = trainer.state()
    arrays = {"generator": state.pop("generator")}
    arrays |= {f"optimizer.{name}": value for name, value in state.pop("optimizer").items()}
    arrays |= _as_arrays("module", trainer.module.state_dict())
    if run.best != len(run.history.epochs):  # else the module holds them
        arrays |= _as_arrays("kept", run.kept)
    for name, column in run.history.as_dict().items():
        arrays[f"history.{name}"] = np.array(column, dtype=np.float64)
    values = {
        "trainer": state,
        "best": run.best,
        "best_objective": _none_if_infinite(run.best_objective),
        "reference": _none_if_infinite(run.reference),
        "waited": run.waited,
        "ended": run.ended,
    }
    return Snapshot(arrays, values)


def restore(trainer: Trainer, snapshot: Snapshot) -> Run:
    """Put a trainer and its module where they stood when the snapshot was taken."""
    arrays, values = snapshot.arrays, snapshot.values
    trainer.load_state(
        {
            **values["trainer"],
            "generator": arrays["generator"],
            "optimizer": _under("optimizer", arrays),
        }
    )
    module = _as_tensors(_under("module", arrays), trainer.device)
    trainer.module.load_state_dict(module)
    history = {name: column.tolist() for name, column in _under("history", arrays).items()}
    history["kl"] = [tuple(layers) for layers in history["kl"]]
    return Run(
        History.from_dict(history),
        values["best"],
        _infinite_if_none(values["best_objective"]),
        _as_tensors(_under("kept", arrays), trainer.device) or module,
        _infinite_if_none(values["reference"]),
        values["waited"],
        values["ended"],
    )


def _none_if_infinite(value: float) -> float | None:
    """A number, or None: JSON knows no infinity."""
    return None if value == -math.inf else value


def _infinite_if_none(value: float | None) -> float:
    return -math.inf if value is None else value


def _as_arrays(prefix: str, state: dict[str, Tensor]) -> dict[str, NDArray]:
    return {f"{prefix}.{name}": value.cpu().numpy().copy() for name, value in state.items()}


def _under(prefix: str, arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    """Arrays whose name starts with the prefix and a dot, without it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)
    }


def _as_tensors(arrays: dict[str, NDArray], device: torch.device) -> dict[str, Tensor]:
    return {name: torch.tensor(value, device=device) for name, value in arrays.items()}
