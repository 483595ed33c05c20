"""The folds in order: studied, or taken from the folder that keeps them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skrgvae.persistence.atomic import write_atomically
from skrgvae.pilot.data import Data
from skrgvae.pilot.fold import Task, study_fold

# What changes no figure of a fold: settings of the split and of the verdict, and parameters of the
# encoder that a fold sets itself, or that have nothing to do with what the encoder learns.
_SETTINGS_OF_NO_FOLD = {"n_splits", "n_repeats", "smallest_gain", "confidence"}
_PARAMETERS_OF_NO_FOLD = {"checkpoint", "random_state", "sparse_output", "verbose"}


def studied_folds(
    data: Data, tasks: Sequence[Task], folder: str | os.PathLike[str] | None, n_jobs: int | None
) -> Iterator[dict[str, Any]]:
    """What every fold measured, in order; those that a folder holds are taken from there.

    Parameters
    ----------
    data : Data
    tasks : sequence of Task
        Of one study: they differ in their rows and seeds, and in whether they describe units.
    folder : str, path-like or None
        None: nothing is kept.
    n_jobs : int or None
        As in scikit-learn.
    """
    parallel = Parallel(n_jobs=min(len(tasks), effective_n_jobs(n_jobs)), return_as="generator")
    if folder is None:
        yield from parallel(delayed(study_fold)(data, task) for task in tasks)
        return
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    study = _key_of_study(data, tasks[0])
    yield from parallel(
        delayed(_kept_fold)(data, task, folder, _key_of_fold(study, task)) for task in tasks
    )


def _kept_fold(data: Data, task: Task, folder: Path, key: str) -> dict[str, Any]:
    """A fold from its file; or studied, and then kept there in the place of its checkpoints."""
    file, checkpoints = folder / f"fold-{key}.json", folder / f"checkpoints-{key}"
    fold = _read(file)
    if fold is None:
        encoder = clone(task.encoder)
        if encoder.checkpoint is None:
            encoder.set_params(checkpoint=str(checkpoints))
        fold = study_fold(data, replace(task, encoder=encoder))
        write_atomically(file, json.dumps(fold).encode())
    # Also where the file is there already: its writer may have been stopped before this line.
    shutil.rmtree(checkpoints, ignore_errors=True)
    return fold


def _read(file: Path) -> dict[str, Any] | None:
    """A fold that is kept; None where there is none, or a damaged one, to be studied anew."""
    with suppress(FileNotFoundError, ValueError):
        return json.loads(file.read_bytes())
    return None


def _key_of_study(data: Data, task: Task) -> str:
    """The same for what all folds of a study share, in whatever process."""
    from skrgvae.persistence.checkpoint import fingerprint  # takes torch, which takes seconds

    encoder = task.encoder
    arrays, categories = _columns(data)
    asked = {
        "encoder": [type(encoder).__module__, type(encoder).__qualname__],
        "parameters": _without(encoder.get_params(deep=False), _PARAMETERS_OF_NO_FOLD),
        "settings": _without(asdict(task.settings), _SETTINGS_OF_NO_FOLD),
        "positive": task.positive,
        "payoff": None if task.payoff is None else [task.payoff.gain, task.payoff.cost],
        "names": data.names,
        "categories": categories,
        "scikit-learn": sklearn.__version__,
    }
    return fingerprint(asked, {"y": data.y, **arrays}, {})


def _key_of_fold(study: str, task: Task) -> str:
    from skrgvae.persistence.checkpoint import fingerprint

    asked = {"study": study, "seed": task.seed, "describe_units": task.describe_units}
    return fingerprint(asked, {"train": task.train, "test": task.test}, {})


def _columns(data: Data) -> tuple[dict[str, NDArray], list[list[Any]]]:
    """The cells as numbers, and the categories that some of them stand for.

    A missing cell is NaN, or -1 as the code of a category: no text is the same.
    """
    if not hasattr(data.X, "iloc"):
        return {"numbers": data.X}, []
    numbers, coded = data.X.loc[:, ~data.categorical], data.X.loc[:, data.categorical]
    codes = [column.cat.codes.to_numpy() for _, column in coded.items()]
    arrays = {"numbers": numbers.to_numpy(np.float64), "categorical": data.categorical}
    if codes:
        arrays["codes"] = np.column_stack(codes)
    return arrays, [column.cat.categories.tolist() for _, column in coded.items()]


def _without(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
