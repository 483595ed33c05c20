"""From parameters as the user gave them to the ones training needs; no torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.summary import Summary
from skrgvae.recipe import Recipe, hidden_layer_sizes_for
from skrgvae.sizes import sizes_for

# Units of a layer: more than any memory holds the weights of.
MOST_UNITS = 10**9


def given(value: Any, automatic: Any) -> Any:
    """A parameter as it was given, or what "auto" stands for."""
    return automatic if isinstance(value, str) else value


def resolve_layer_sizes(layer_sizes: Any, summary: Summary) -> tuple[int, ...]:
    """Units per layer; "auto" takes them from the training rows, whose summary it is."""
    if isinstance(layer_sizes, str):  # "auto": nothing else passes the parameter constraints
        return sizes_for(summary)
    sizes = _integers("layer_sizes", layer_sizes)
    if not sizes:
        raise ValueError("layer_sizes must name at least one layer. Got an empty sequence.")
    return sizes


def resolve_hidden_layer_sizes(
    hidden: Any, layer_sizes: Sequence[int], recipe: Recipe
) -> tuple[int, ...] | None:
    """Widths of the deterministic layers, one per stochastic layer, or None for none."""
    n_layers = len(layer_sizes)
    if isinstance(hidden, str):  # "auto"
        return hidden_layer_sizes_for(layer_sizes) if recipe.deep else None
    if hidden is None:
        return None
    if isinstance(hidden, Integral):
        return _integers("hidden_layer_sizes", (hidden,)) * n_layers
    return _one_per_layer("hidden_layer_sizes", _integers("hidden_layer_sizes", hidden), n_layers)


def resolve_batch_size(batch_size: Any, recipe: Recipe) -> int:
    """Rows per step at most."""
    return int(given(batch_size, recipe.batch_size))


def resolve_max_iter(
    max_iter: Any, batch_size: Any, recipe: Recipe, n_rows: int, n_columns: int, n_units: int
) -> int:
    """Epochs at most."""
    rows_per_step = resolve_batch_size(batch_size, recipe)
    return int(given(max_iter, recipe.epochs_for(n_rows, n_columns, n_units, rows_per_step)))


def resolve_free_bits(free_bits: Any, n_layers: int, recipe: Recipe) -> tuple[float, ...]:
    """Floor per unit of every layer (nats), bottom first."""
    if isinstance(free_bits, str):
        return recipe.free_bits(n_layers)
    if isinstance(free_bits, Real):
        return (float(free_bits),) * n_layers
    numbers = _in_order("free_bits", free_bits)
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
    for layer in _in_order("layers", layers):
        if not is_whole(layer) or not -n_layers <= int(layer) < n_layers:
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
    auto: NDArray[np.str_],
    empty: NDArray[np.bool_],
    names: Sequence[str] | None,
    families: Sequence[str],
) -> NDArray[np.str_]:
    """Family of every column.

    Parameters
    ----------
    likelihood : str or mapping from column name or position to family
        One family for all is one for all columns but the categorical ones.
    auto : ndarray of str of shape (n_columns,)
        What "auto" gives; columns that a mapping leaves out take it.
    empty : ndarray of bool of shape (n_columns,)
        Categorical columns without an entry, of which no family says anything.
    names : sequence of str or None
        Column names, where the table has them.
    families : sequence of str
        Known families.
    """
    categorical = auto == "categorical"
    if isinstance(likelihood, str):
        if likelihood == "auto":
            return auto
        if likelihood == "categorical" and not (categorical | empty).all():
            raise ValueError(
                "likelihood 'categorical' for all columns needs categorical columns only: name "
                "the others in categorical_features, or leave likelihood at 'auto'."
            )
        return np.where(categorical | empty, auto, likelihood)
    resolved = auto.astype(object)
    keys: dict[int, str | int] = {}
    for key, family in likelihood.items():
        if family not in (*families, "auto"):
            raise ValueError(
                f"likelihood[{key!r}] must be one of {sorted(families)} or 'auto'. Got {family!r}."
            )
        position = _position(key, names, len(auto))
        if position in keys:
            raise ValueError(
                f"likelihood has two entries for one column: {keys[position]!r}, {key!r}."
            )
        keys[position] = key
        if family != "auto" and not empty[position]:
            if (family == "categorical") != categorical[position]:
                raise ValueError(
                    f"likelihood[{key!r}] is {family!r}, but only and all categorical columns can "
                    "be 'categorical': name the column in categorical_features, or leave it out "
                    "there."
                )
            resolved[position] = family
    return resolved.astype(str)


def _position(key: str | int, names: Sequence[str] | None, n_columns: int) -> int:
    if isinstance(key, Integral) and 0 <= int(key) < n_columns:
        return int(key)
    if isinstance(key, str) and names is not None and key in list(names):
        return list(names).index(key)
    known = f"positions 0 to {n_columns - 1}" + ("" if names is None else f", names {list(names)}")
    raise ValueError(f"likelihood names the column {key!r}, which X doesn't have ({known}).")


def _in_order(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, Set | Mapping) or getattr(values, "ndim", 1) != 1:
        raise ValueError(f"{name} must be a sequence. Got {values!r}.")
    return tuple(values)


def is_whole(value: Any) -> bool:
    """Whether a parameter is an integer, which True is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _integers(name: str, values: Any) -> tuple[int, ...]:
    values = _in_order(name, values)
    for value in values:
        if not is_whole(value) or not 1 <= int(value) <= MOST_UNITS:
            raise ValueError(
                f"The entries of {name} must be integers in the range [1, {MOST_UNITS}]. "
                f"Got {value!r}."
            )
    return tuple(int(value) for value in values)


def _one_per_layer(name: str, values: tuple, n_layers: int) -> tuple:
    if len(values) != n_layers:
        raise ValueError(
            f"{name} must have one entry per stochastic layer ({n_layers}). Got {len(values)}."
        )
    return values
