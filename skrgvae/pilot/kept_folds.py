"""The folds in order: studied, or taken from the folder that keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skrgvae import __version__
from skrgvae.persistence.atomic import write_atomically
from skrgvae.pilot.data import Data
from skrgvae.pilot.fold import Task, study_fold


def studied_folds(
    data: Data, tasks: Sequence[Task], folder: str | os.PathLike[str] | None, n_jobs: int | None
) -> Iterator[dict[str, Any]]:
    """What every fold measured, in order; those that a folder holds are taken from there.

    Parameters
    ----------
    data : Data
    tasks : sequence of Task
        Of one study: they differ in their rows, seeds and in whether they describe units.
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
    yield from parallel(delayed(_kept_fold)(data, task, folder) for task in tasks)


def _kept_fold(data: Data, task: Task, folder: Path) -> dict[str, Any]:
    """A fold from its file; or studied, and then kept there."""
    file = folder / f"fold-{_fingerprint(data, task)}.json"
    if file.is_file():
        with suppress(ValueError):  # a damaged one is studied anew
            return json.loads(file.read_bytes())
    encoder = clone(task.encoder)
    if encoder.checkpoint is None:
        encoder.set_params(checkpoint=str(folder / "checkpoints"))
    fold = study_fold(data, replace(task, encoder=encoder))
    write_atomically(file, json.dumps(fold).encode())
    return fold


def _fingerprint(data: Data, task: Task) -> str:
    """The same for the same fold of the same study, in whatever process."""
    arrays = {"train": task.train, "test": task.test, "y": data.y}
    arrays |= {f"X {name}": data.column(place) for place, name in enumerate(data.names)}
    parameters = sorted(task.encoder.get_params().items())
    asked = {field.name: getattr(task, field.name) for field in fields(task)}
    plain = {name: value for name, value in asked.items() if name not in ("encoder", *arrays)}
    digest = sha256(repr([plain, parameters, __version__]).encode())
    for name, array in arrays.items():
        digest.update(name.encode())
        # Of an array of objects, the bytes would be addresses.
        digest.update(np.asarray(array, dtype=str).tobytes())
    return digest.hexdigest()[:32]
