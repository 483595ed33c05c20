"""A fitted encoder as a file of weights and plain values.

The content of the file's header (see `container`) is, in format version 1,

- `versions`: of the package and of what it computed with, for information;
- `parameters`: the constructor's, in the form of `values`;
- `architecture`: the shape of the network and the family of every column;
- `columns`: the categories of the columns, in the form of `Columns.as_json`;
- `feature_names_in`: names of the columns, or null;
- `seed`, `device`, `best_iter`, and `history_columns`: names of the history's quantities.

The arrays are the network's own by their names in its `state_dict`, and three under "training.":
`medians` of all units, bottom layer first, `active_means` of the bottom layer's units, and
`history` with a row per epoch, whose columns are the quantities, `kl` with one per layer.
"""

from __future__ import annotations

import os
import platform
import re
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import safetensors
import sklearn
import torch
from numpy.typing import NDArray

import skrgvae
from skrgvae.data.columns import Columns
from skrgvae.distributions import LATENT_LAWS
from skrgvae.exceptions import ModelFileError
from skrgvae.likelihoods import FAMILIES
from skrgvae.model import Model
from skrgvae.network import POSTERIORS, Architecture, Hierarchy
from skrgvae.persistence import container
from skrgvae.persistence.values import decode, encode
from skrgvae.training import Epoch
from skrgvae.typical import Typical

if TYPE_CHECKING:
    from skrgvae.estimator import HierarchicalSparseEncoder

    Encoder = TypeVar("Encoder", bound=HierarchicalSparseEncoder)

KIND = "model"
FORMAT_VERSION = 1
# The modules of a layer take more memory than a small layer's numbers do.
MAX_LAYERS = 100
# A folder of the machine that wrote the file; nobody else's fit should write there.
NOT_KEPT = "checkpoint"
DEVICES = re.compile(r"(cpu|cuda|mps|xpu)(:\d{1,3})?")

CONTENT = {
    "versions",
    "parameters",
    "architecture",
    "columns",
    "feature_names_in",
    "seed",
    "device",
    "best_iter",
    "history_columns",
}
# Bounds, not included, of arrays by the last part of their name; the others need only be finite.
BOUNDS = {
    "rate": (0, 1),
    **dict.fromkeys(
        ("spread", "bent_spread", "width", "mean_count", "input_unit", "frequency", "unit"),
        (0, np.inf),
    ),
    "mean_total": (-np.finfo(float).tiny, np.inf),
    "running_variance": (-np.finfo(float).tiny, np.inf),
    "n_batches": (-1, np.inf),
}


def save_model(encoder: HierarchicalSparseEncoder, path: str | os.PathLike[str]) -> None:
    """Write a fitted encoder to a file.

    Raises
    ------
    OSError
        If the file can't be written; what was at `path` is still there.
    TypeError
        If a parameter has a type that a file can't hold, or `path` is no path of text.
    ValueError
        If a parameter is invalid or a weight not finite.
    """
    _check_path(path)
    encoder._emitted()  # checks the parameters, which may have been set after `fit`
    model = encoder._model
    content = {
        "versions": _versions(),
        "parameters": _encoded_parameters(encoder),
        "architecture": {
            **model.architecture.as_dict(),
            "firing_rate": _float_or_none(model.architecture.firing_rate),
        },
        "columns": encoder._columns.as_json(),
        "feature_names_in": _names(encoder),
        "seed": model.seed,
        "device": model.device,
        "best_iter": encoder.best_iter_,
        "history_columns": list(encoder.history_),
    }
    arrays = {
        **model.arrays,
        "training.medians": np.concatenate(encoder._medians),
        "training.active_means": encoder._active_means,
        "training.history": _history_table(encoder.history_),
    }
    _check_arrays(model.architecture, arrays)
    container.write(path, KIND, FORMAT_VERSION, content, arrays)


def load_model(cls: type[Encoder], path: str | os.PathLike[str]) -> Encoder:
    """Read a file that `save_model` wrote.

    Raises
    ------
    ModelFileError
        If anything in the file is not as `save_model` would have written it.
    OSError
        If the operating system doesn't hand out the file.
    TypeError
        If `path` is no path of text.
    """
    _check_path(path)
    _, content, arrays = container.read(path, KIND, {FORMAT_VERSION})
    try:
        return _encoder(cls, content, arrays)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from error


def _check_path(path: Any) -> None:
    """Refuse what the operating system alone would take: bytes, and ints as open files."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"path must be a str or an os.PathLike of one. Got {path!r}.")


def _encoder(cls: type[Encoder], content: dict[str, Any], arrays: dict[str, NDArray]) -> Encoder:
    _check_keys("the content", content, CONTENT)
    architecture = _architecture(content["architecture"], sum(a.size for a in arrays.values()))
    _check_arrays(architecture, arrays)
    medians = arrays.pop("training.medians")
    active_means = arrays.pop("training.active_means")
    history = _history(arrays.pop("training.history"), content["history_columns"])
    best = _integer("best_iter", content["best_iter"], 1, len(history["kl"]))
    names = _feature_names(content["feature_names_in"], len(architecture.families))
    columns = Columns.from_json(content["columns"])
    if columns.n_categories != architecture.n_categories:
        raise ValueError("the columns and the architecture differ in their categories")
    model = Model(architecture, arrays, _seed(content["seed"]), _device(content["device"]))

    encoder = _unfitted(cls, content["parameters"])
    encoder.n_features_in_ = len(architecture.families)
    encoder._columns = columns
    if names is not None:
        encoder.feature_names_in_ = names
    typical = Typical(medians, active_means)
    encoder.__dict__.update(encoder._attributes(model, typical, history, best))
    encoder._emitted()  # checks the parameters
    return encoder


def _versions() -> dict[str, str]:
    return {
        "skrgvae": skrgvae.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "safetensors": safetensors.__version__,
    }


# Parameters


def _parameters(encoder: HierarchicalSparseEncoder) -> dict[str, Any]:
    parameters = encoder.get_params(deep=False)
    parameters.pop(NOT_KEPT, None)
    return parameters


def _encoded_parameters(encoder: HierarchicalSparseEncoder) -> dict[str, Any]:
    encoded = {}
    for name, value in _parameters(encoder).items():
        try:
            encoded[name] = encode(value)
        except TypeError as error:
            raise TypeError(f"Parameter {name!r}: {error}.") from error
    return encoded


def _unfitted(cls: type[Encoder], encoded: Any) -> Encoder:
    """Make an encoder with a file's parameters; what the file doesn't name is at its default."""
    encoder = cls()
    if not isinstance(encoded, dict):
        raise ValueError("the parameters are no JSON object")
    unknown = sorted(set(encoded) - set(_parameters(encoder)))
    if unknown:
        raise ValueError(
            f"{cls.__name__} keeps no parameters {reprlib.repr(unknown)}: the file was written "
            "by a newer version or another class"
        )
    encoder.set_params(**{name: decode(value) for name, value in encoded.items()})
    return encoder


# Architecture


def _architecture(values: Any, n_numbers: int) -> Architecture:
    """Check the fields of an architecture, as far as building its modules depends on it.

    Parameters
    ----------
    values : object
    n_numbers : int
        Numbers in the file. A network has at least one for every unit.
    """
    _check_keys("the architecture", values, set(Architecture.__dataclass_fields__))
    layer_sizes = _sizes("layer_sizes", values["layer_sizes"], n_numbers)
    hidden = values["hidden_layer_sizes"]
    if hidden is not None:
        hidden = _sizes("hidden_layer_sizes", hidden, n_numbers)
        if len(hidden) != len(layer_sizes):
            raise ValueError("hidden_layer_sizes and layer_sizes have different lengths")
    families = values["families"]
    if (
        not isinstance(families, list)
        or not families
        or not all(isinstance(family, str) and family in FAMILIES for family in families)
    ):
        raise ValueError(f"the families of the columns must be among {sorted(FAMILIES)}")
    n_categories = _numbers("n_categories", values["n_categories"], n_numbers)
    marked = _numbers("marked", values["marked"], len(families) - 1)
    if len(n_categories) != len(families) or any(
        (family == "categorical") != (number > 0)
        for family, number in zip(families, n_categories, strict=True)
    ):
        raise ValueError("n_categories must have a number for every column, 0 for numeric ones")
    if sum(n_categories) > n_numbers:  # a network keeps the frequency of each
        raise ValueError(f"n_categories has {sum(n_categories)} in all, more than numbers")
    if list(marked) != sorted(set(marked)):
        raise ValueError("marked must be rising positions of columns")
    for name, known in (("latent", LATENT_LAWS), ("posterior", POSTERIORS)):
        if not isinstance(values[name], str) or values[name] not in known:
            raise ValueError(f"{name} must be one of {sorted(known)}")
    for name in ("batch_norm", "skip_connections", "direct_inputs"):
        if type(values[name]) is not bool:
            raise ValueError(f"{name} must be true or false")
    rate = values["firing_rate"]
    if rate is not None and not (type(rate) is float and 0 < rate < 1):
        raise ValueError("firing_rate must be null or a number between 0 and 1")
    return Architecture(
        **{
            **values,
            "layer_sizes": layer_sizes,
            "hidden_layer_sizes": hidden,
            "families": tuple(families),
            "n_categories": n_categories,
            "marked": marked,
        }
    )


def _sizes(name: str, values: Any, largest: int) -> tuple[int, ...]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{name} must be a list of sizes")
    return tuple(_integer(f"an entry of {name}", value, 1, largest) for value in values)


def _numbers(name: str, values: Any, largest: int) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise ValueError(f"{name} must be a list")
    return tuple(_integer(f"an entry of {name}", value, 0, largest) for value in values)


def _float_or_none(value: float | None) -> float | None:
    return None if value is None else float(value)


# Arrays


def _check_arrays(architecture: Architecture, arrays: Mapping[str, NDArray]) -> None:
    """Compare names, types and shapes with the network's, and look for impossible values."""
    n_units = sum(architecture.layer_sizes)
    n_quantities = len(Epoch.__dataclass_fields__) - 1 + len(architecture.layer_sizes)
    expected = {
        **_network_arrays(architecture),
        "training.medians": (("float32", "float64"), (n_units,)),
        "training.active_means": (("float32", "float64"), (architecture.layer_sizes[0],)),
        "training.history": (("float64",), (None, n_quantities)),
    }
    _check_keys("the set of arrays", arrays, set(expected))
    for name, (dtypes, shape) in expected.items():
        array = arrays[name]
        if array.dtype.name not in dtypes:
            raise ValueError(f"array {name} has the type {array.dtype}, not {' or '.join(dtypes)}")
        if array.ndim != len(shape) or any(
            want not in (None, have) for want, have in zip(shape, array.shape, strict=True)
        ):
            raise ValueError(f"array {name} has the shape {array.shape}, not {shape}")
        if name == "training.history":  # epochs may have no finite bound
            continue
        if array.size and array.dtype != bool:
            low, high = BOUNDS.get(name.rpartition(".")[2], (-np.inf, np.inf))
            # Without a temporary array; the smallest of values with a NaN among them is NaN.
            if not low < array.min() <= array.max() < high:
                raise ValueError(f"array {name} holds values that no trained network has")


def _network_arrays(
    architecture: Architecture,
) -> dict[str, tuple[tuple[str, ...], tuple[int | None, ...]]]:
    """Types and shape of every array of a network, by name."""
    if len(architecture.layer_sizes) > MAX_LAYERS:
        raise ValueError(f"a model file can hold a network of at most {MAX_LAYERS} layers")
    try:
        with torch.device("meta"):  # shapes without memory
            state = Hierarchy(architecture).state_dict()
    except (RuntimeError, OverflowError, TypeError) as error:  # numbers that fit no integer of C
        raise ValueError("the network is too large") from error
    return {
        name: ((str(value.dtype).removeprefix("torch."),), tuple(value.shape))
        for name, value in state.items()
    }


# The rest


def _history_table(history: Mapping[str, list]) -> NDArray[np.float64]:
    """One row per epoch, shape (n_epochs, n_quantities), `kl` with a column per layer."""
    return np.column_stack([np.array(values, dtype=np.float64) for values in history.values()])


def _history(table: NDArray[np.float64], names: Any) -> dict[str, list]:
    """Read what `_history_table` gave."""
    fields = list(Epoch.__dataclass_fields__)
    if names != fields:
        raise ValueError(f"the columns of the history must be {fields}")
    first, n_after = fields.index("kl"), len(fields) - fields.index("kl") - 1
    kl, others = table[:, first:-n_after], np.delete(table, np.s_[first:-n_after], axis=1)
    columns = others.T.tolist()
    columns.insert(first, [tuple(row) for row in kl.tolist()])
    return dict(zip(fields, columns, strict=True))


def _names(encoder: HierarchicalSparseEncoder) -> list[str] | None:
    names = getattr(encoder, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _feature_names(names: Any, n_features: int) -> NDArray[np.object_] | None:
    if names is None:
        return None
    if (
        not isinstance(names, list)
        or len(names) != n_features
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError("feature_names_in must be null or one string per column")
    return np.array(names, dtype=object)


def _seed(seed: Any) -> int:
    return _integer("seed", seed, 0, 2**31)


def _device(name: Any) -> str:
    if not isinstance(name, str) or not DEVICES.fullmatch(name):
        raise ValueError("the device is none of torch's")
    return name


def _integer(name: str, value: Any, smallest: int, largest: int) -> int:
    if type(value) is not int or not smallest <= value <= largest:
        raise ValueError(f"{name} must be a whole number from {smallest} to {largest}")
    return value


def _check_keys(what: str, found: Any, expected: set[str]) -> None:
    if not isinstance(found, Mapping):
        raise ValueError(f"{what} is no JSON object")
    missing, unknown = sorted(expected - set(found)), sorted(set(found) - expected)
    if missing or unknown:
        raise ValueError(
            f"{what} lacks {reprlib.repr(missing)} and has, beside what is known, "
            f"{reprlib.repr(unknown)}"
        )
