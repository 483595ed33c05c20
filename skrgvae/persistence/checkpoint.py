"""The file in which a training is kept from epoch to epoch."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import skrgvae
from skrgvae.data.sources import Source, blocks_of
from skrgvae.exceptions import ModelFileError
from skrgvae.persistence import container
from skrgvae.persistence.atomic import remove_leftovers
from skrgvae.training import Snapshot

KIND = "checkpoint"
VERSION = 1


def fingerprint(
    parameters: Mapping[str, Any],
    arrays: Mapping[str, NDArray],
    sources: Mapping[str, Source | None],
) -> str:
    """Hash of what decides a training: parameters, data, and the versions that compute it.

    Parameters
    ----------
    parameters : mapping of str to values of JSON, sequences, mappings and kinds of arrays
    arrays : mapping of str to ndarray
    sources : mapping of str to Source or None
        Rows; None: there are none of that name.

    Returns
    -------
    str of 32 hexadecimal digits
    """
    versions = [skrgvae.__version__, torch.__version__, np.__version__]
    digest = hashlib.sha256(json.dumps([versions, _plain(parameters)]).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    for name, rows in sorted(sources.items()):
        if rows is not None:
            shape = f"{rows.n_rows} {rows.n_columns} {'sparse' * rows.is_sparse}"
            digest.update(f"{name} {rows.dtype.str} {shape}".encode())
            for block in blocks_of(rows):
                digest.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:32]


class Checkpoint:
    """One training's file in a folder.

    Any number of processes may use the same one: a file is replaced in one step, and each is the
    state of one training.

    Parameters
    ----------
    folder : str or os.PathLike
        Made where it is missing.
    fingerprint : str
        Of the training; gives the file its name.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.path = Path(folder) / f"{fingerprint}.safetensors"

    def load(self) -> tuple[int, Snapshot] | None:
        """Seed and state of a training that began before, if there was one.

        Raises
        ------
        ModelFileError
            If the file is damaged; it is left as it is.
        OSError
            If the file can't be read, or if the training isn't finished and none can be written.
        """
        try:
            _, content, arrays = container.read(self.path, KIND, [VERSION])
        except FileNotFoundError:
            self._check_writable()
            return None
        except NotADirectoryError as error:
            raise self._not_writable(error) from error
        except ModelFileError as error:
            raise ModelFileError(
                f"checkpoint: {error}. The file is left as it is: remove it to train anew."
            ) from error
        if content.get("fingerprint") != self.fingerprint:
            raise ModelFileError(
                f"checkpoint: {self.path} is the renamed file of another training. The file is "
                "left as it is: remove it to train anew."
            )
        snapshot = Snapshot(arrays, content["values"])
        if not snapshot.values["ended"]:
            self._check_writable()
        return content["seed"], snapshot

    def save(self, seed: int, snapshot: Snapshot) -> None:
        """Replace what was kept before.

        Raises
        ------
        OSError
            If the file can't be written; what was kept before is still there.
        """
        content = {"fingerprint": self.fingerprint, "seed": seed, "values": snapshot.values}
        try:
            container.write(self.path, KIND, VERSION, content, snapshot.arrays)
        except OSError as error:
            raise self._not_writable(error) from error

    def _check_writable(self) -> None:
        """Tell before the first epoch, not after it, and clear up after one that was killed."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
            remove_leftovers(self.path)
        except OSError as error:
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> OSError:
        return OSError(
            error.errno,
            f"checkpoint={str(self.path.parent)!r} must be a folder that can be written to; what "
            f"it held is still there ({error.strerror})",
            str(self.path),
        )


def _plain(value: Any) -> Any:
    """A value as JSON has it, the same for equal sequences and for mappings in any order."""
    if isinstance(value, Mapping):
        return sorted(([_plain(k), _plain(v)] for k, v in value.items()), key=repr)
    if hasattr(value, "__array__"):  # of numpy, or a Series, whose repr leaves entries out
        return _plain(np.asarray(value).tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return repr(value)
