"""From parameters as the user gave them to the ones training needs; no torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.sizes import sizes_for

# max_iter="auto": features go on getting better for about this many passes over a small table ...
AUTO_EPOCHS = 200
# ... and a large one has shown enough after this many steps, which should not take longer where
# the columns are more than these.
AUTO_STEPS, AUTO_COLUMNS = 40_000, 1_000
# free_bits="auto": floor of the top layer (nats per unit), halved from layer to layer downwards.
# The layers below have more units, and a top layer without a floor is left unused.
TOP_FREE_BITS = 0.1


def resolve_layer_sizes(layer_sizes: Any, table: NDArray[np.floating]) -> tuple[int, ...]:
    """Units per layer; "auto" takes them from the training rows."""
    if isinstance(layer_sizes, str):  # "auto": nothing else passes the parameter constraints
        return sizes_for(table)
    sizes = _integers("layer_sizes", layer_sizes)
    if not sizes:
        raise ValueError("layer_sizes must name at least one layer. Got an empty sequence.")
    return sizes


def resolve_hidden_layer_sizes(hidden: Any, n_layers: int) -> tuple[int, ...] | None:
    """Widths of the deterministic layers, one per stochastic layer, or None for none."""
    if hidden is None or isinstance(hidden, str):
        # "auto": on the digits the plain chain gave the better features at every label budget.
        return None
    if isinstance(hidden, Integral):
        return (int(hidden),) * n_layers
    return _one_per_layer("hidden_layer_sizes", _integers("hidden_layer_sizes", hidden), n_layers)


def resolve_max_iter(max_iter: Any, n_rows: int, n_columns: int, batch_size: int) -> int:
    """Epochs at most; "auto" takes 200, or fewer where these would be too many steps."""
    if not isinstance(max_iter, str):
        return int(max_iter)
    n_steps = AUTO_STEPS * AUTO_COLUMNS // max(AUTO_COLUMNS, n_columns)
    return max(1, min(AUTO_EPOCHS, n_steps // -(-n_rows // batch_size)))


def resolve_free_bits(free_bits: Any, n_layers: int) -> tuple[float, ...]:
    """Floor per unit of every layer (nats), bottom first."""
    if isinstance(free_bits, str):
        return tuple(TOP_FREE_BITS * 2.0 ** (layer + 1 - n_layers) for layer in range(n_layers))
    if isinstance(free_bits, Real):
        return (float(free_bits),) * n_layers
    numbers = tuple(free_bits)
    for number in numbers:
        if not isinstance(number, Real) or not 0 <= float(number) < np.inf:
            raise ValueError(
                "The entries of free_bits must be numbers in the range [0.0, inf). "
                f"Got {number!r}."
            )
    return _one_per_layer("free_bits", tuple(float(number) for number in numbers), n_layers)


def resolve_layers(layers: Any, n_layers: int) -> tuple[int, ...]:
    """Positions of the emitted layers, bottom first; negative ones count from the top."""
    if isinstance(layers, str):  # "all"
        return tuple(range(n_layers))
    wanted = []
    for layer in layers:
        if not isinstance(layer, Integral) or not -n_layers <= int(layer) < n_layers:
            raise ValueError(
                f"layers must be 'all' or a sequence of positions from 0 (bottom) to "
                f"{n_layers - 1}. Got {layers!r}."
            )
        wanted.append(int(layer) % n_layers)
    if not wanted or len(set(wanted)) != len(wanted):
        raise ValueError(f"layers must name at least one layer, and none twice. Got {layers!r}.")
    return tuple(sorted(wanted))


def resolve_likelihood(
    likelihood: str | Mapping[str | int, str],
    table: NDArray,
    auto: NDArray[np.str_],
    names: Sequence[str] | None,
    families: Sequence[str],
) -> NDArray[np.str_]:
    """Family of every column.

    Parameters
    ----------
    likelihood : str or mapping from column name or position to family
    table : ndarray of shape (n_rows, n_columns)
    auto : ndarray of str of shape (n_columns,)
        What "auto" gives; columns that a mapping leaves out take it.
    names : sequence of str or None
        Column names, where the table has them.
    families : sequence of str
        Known families.
    """
    if isinstance(likelihood, str):
        resolved = auto if likelihood == "auto" else np.full(table.shape[1], likelihood)
    else:
        resolved = auto.astype(object)
        for key, family in likelihood.items():
            if family not in (*families, "auto"):
                raise ValueError(
                    f"likelihood[{key!r}] must be one of {sorted(families)} or 'auto'. "
                    f"Got {family!r}."
                )
            if family != "auto":
                resolved[_position(key, names, table.shape[1])] = family
    resolved = resolved.astype(str)
    for j in np.flatnonzero(resolved == "bernoulli").tolist():
        low, high = table[:, j].min(), table[:, j].max()
        if low < 0 or high > 1:
            label = j if names is None else repr(names[j])
            raise ValueError(
                f"likelihood 'bernoulli' needs values in [0, 1]. Column {label} has values from "
                f"{low:g} to {high:g}: scale it, or use 'gaussian'."
            )
    return resolved


def split_rows(table: NDArray, fraction: float, seed: int) -> tuple[NDArray, NDArray]:
    """Rows to train on, and held-out rows, in random order."""
    n_held_out = max(1, round(fraction * len(table)))
    if n_held_out >= len(table):
        raise ValueError(
            f"validation_fraction={fraction} holds out {n_held_out} of {len(table)} samples and "
            "leaves none to train on. Use early_stopping=False or more samples."
        )
    order = np.random.default_rng(seed).permutation(len(table))
    return table[np.sort(order[n_held_out:])], table[np.sort(order[:n_held_out])]


def check_columns(X: Any, categorical_features: Any) -> None:
    """Refuse columns of a data frame that can't be used yet, by their names.

    Raises
    ------
    ValueError
        Naming the first such column, with its dtype and what to do.
    """
    if categorical_features is not None and not isinstance(categorical_features, str):
        if len(list(categorical_features)) > 0:
            raise ValueError(
                "categorical_features can't be used yet: encode these columns first, for example "
                "with sklearn.preprocessing.OneHotEncoder, and pass categorical_features=None. "
                f"Got {categorical_features!r}."
            )
    if categorical_features is None or not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return
    # By position: two columns may have the same name.
    for position, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if not _is_numeric(dtype, X, position):
            raise ValueError(
                f"Column {name!r} has dtype {dtype}, which can't be used yet: only numeric and "
                "boolean columns can. Encode it first, for example with "
                "sklearn.preprocessing.OneHotEncoder in a ColumnTransformer, or drop it."
            )


def training_dtype(X: Any) -> list[type[np.floating]] | type[np.floating]:
    """float32 for small numbers it holds exactly (images as uint8), else as they come."""
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.itemsize <= 2:
        return np.float32
    return [np.float64, np.float32]


def _is_numeric(dtype: Any, X: Any, position: int) -> bool:
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric()) or str(dtype) == "Boolean"
    kind = getattr(dtype, "kind", "")
    if kind != "O":  # numpy's and pandas' own dtypes
        return kind in ("b", "i", "u", "f")
    if not isinstance(dtype, np.dtype):  # pandas' category and string
        return False
    try:
        np.asarray(X.iloc[:, position], dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _position(key: str | int, names: Sequence[str] | None, n_columns: int) -> int:
    if isinstance(key, Integral) and 0 <= int(key) < n_columns:
        return int(key)
    if isinstance(key, str) and names is not None and key in list(names):
        return list(names).index(key)
    known = f"positions 0 to {n_columns - 1}" + ("" if names is None else f", names {list(names)}")
    raise ValueError(f"likelihood names the column {key!r}, which X doesn't have ({known}).")


def _integers(name: str, values: Any) -> tuple[int, ...]:
    for value in values:
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
            raise ValueError(
                f"The entries of {name} must be integers in the range [1, inf). Got {value!r}."
            )
    return tuple(int(value) for value in values)


def _one_per_layer(name: str, values: tuple, n_layers: int) -> tuple:
    if len(values) != n_layers:
        raise ValueError(
            f"{name} must have one entry per stochastic layer ({n_layers}). Got {len(values)}."
        )
    return values
