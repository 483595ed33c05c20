"""The tables that inspection gives out, and the names and numbers that they share."""

from __future__ import annotations

import importlib.util
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skrgvae._sklearn_compat import check_feature_names_in
from skrgvae.data.sources import Source, blocks_of


def as_table(columns: dict[str, NDArray]) -> Any:
    """Columns of equal length as a pandas.DataFrame, or as they are without pandas."""
    if importlib.util.find_spec("pandas") is None:
        return columns
    import pandas as pd

    return pd.DataFrame(columns)


def emitted_units(encoder: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Layer and number of every unit, in the order of the columns of `transform`."""
    layers = encoder._emitted()
    sizes = [encoder.layer_sizes_[layer] for layer in layers]
    return np.repeat(layers, sizes), np.concatenate([np.arange(size) for size in sizes])


def activity(encoder: Any, rows: Source) -> NDArray[np.float64]:
    """What `transform` emits for checked rows, dense, shape (n_rows, n_units)."""
    features = encoder._model.features(rows, encoder.feature, encoder._emitted())
    return features.astype(np.float64)


def check_encoder(encoder: Any) -> None:
    """Refuse what is not a fitted encoder."""
    if not hasattr(encoder, "unit_summary"):
        raise TypeError(
            "encoder must be a fitted HierarchicalSparseEncoder (in a pipeline, the step itself)."
            f" Got {type(encoder).__name__}."
        )
    check_is_fitted(encoder)


def checked(encoder: Any, X: Any) -> Source:
    """Rows as the model takes them, of an encoder that must be fitted."""
    check_encoder(encoder)
    return encoder._rows(X)


def as_array(rows: Source) -> NDArray[np.float64]:
    """All of a few rows at once, shape (n_rows, n_columns)."""
    return np.concatenate(list(blocks_of(rows))).astype(np.float64)


def check_count(name: str, value: Any, largest: int) -> int:
    """How many to list: an int of 1 or more, cut at what there is, or None for all."""
    if value is None:
        return largest
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int in the range [1, inf) or None. Got {value!r}.")
    return min(int(value), largest)


def deviations(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of every column, whatever the magnitude of its values."""
    largest = np.abs(rows).max(axis=0, initial=np.finfo(np.float64).tiny)
    return (rows / largest).std(axis=0) * largest


def column_names(encoder: Any) -> NDArray[np.object_]:
    """Names of the columns seen in fit, or x0, x1, ... as scikit-learn makes them."""
    return check_feature_names_in(encoder, None)


def category_name(column: str, category: Any) -> str:
    """What one category of a column is called."""
    return f"{column}={category}"


def strongest(
    weights: NDArray[np.floating], n_columns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Where the entries are that are largest in absolute value, row by row.

    Zeros are left out: a column without weight says nothing. Of equal ones the first comes first.

    Returns
    -------
    rows, ranks, columns : ndarray of shape (n_entries,)
        Ranks count from 1 in every row.
    """
    order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :n_columns]
    rows, places = np.nonzero(np.take_along_axis(weights, order, axis=1))
    return rows, places + 1, order[rows, places]
