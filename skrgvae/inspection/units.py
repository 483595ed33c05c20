"""How active every unit is, on which rows, and which units say the same."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.data.sources import Source
from skrgvae.inspection.tables import (
    activity,
    as_table,
    check_count,
    checked,
    emitted_units,
)

# A unit is used when its mean KL (nats) and the standard deviation of its emitted value both
# exceed this.
USED_ABOVE = 0.01


def unit_columns(encoder: Any, rows: Source, features: NDArray[np.float64]) -> dict[str, NDArray]:
    """Statistics of every emitted unit over some rows.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
    rows : Source
        As `checked` gives them.
    features : ndarray of shape (n_rows, n_units)
        Their `activity`.

    Returns
    -------
    dict of ndarray of shape (n_units,)
        Columns `layer`, `unit`, `kl`, `zero_share`, `mean`, `std` and `used`.
    """
    layer, unit = emitted_units(encoder)
    of_layers = encoder._model.unit_kl(rows)
    kl = np.concatenate([of_layers[emitted] for emitted in encoder._emitted()])
    std = features.std(axis=0)
    return {
        "layer": layer,
        "unit": unit,
        "kl": kl,
        "zero_share": (features == 0).mean(axis=0),
        "mean": features.mean(axis=0),
        "std": std,
        "used": (kl > USED_ABOVE) & (std > USED_ABOVE),
    }


def unit_statistics(encoder: Any, X: ArrayLike) -> Any:
    """What `unit_summary` says of every emitted unit, and its lifetime sparsity.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        One row per unit, in the order of the columns of `transform`:

        - `layer`, `unit`: layer (0 = bottom) and number of the unit in it;
        - `kl`: mean KL in nats, by one sample per row;
        - `zero_share`: share of rows whose emitted value is exactly zero;
        - `lifetime_sparsity`: between 0 (the same value for every row) and 1 (a value for one
          row alone), see Notes; NaN for a unit that is zero for every row, and for a single row;
        - `mean`, `std`: of the emitted value;
        - `used`: whether both `kl` and `std` are above 0.01.

    Notes
    -----
    The lifetime sparsity is that of Vinje and Gallant [1]_, after Treves and Rolls:
    ``(1 - A) / (1 - 1 / n)`` with ``A = mean(|r|)**2 / mean(r**2)`` over the n rows. The absolute
    value is for laws that keep the sign.

    References
    ----------
    .. [1] W. E. Vinje, J. L. Gallant (2000). Sparse Coding and Decorrelation in Primary Visual
       Cortex During Natural Vision. Science 287, 1273-1276.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import unit_statistics
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> len(unit_statistics(encoder, X)["lifetime_sparsity"])
    12
    """
    rows = checked(encoder, X)
    features = activity(encoder, rows)
    columns = unit_columns(encoder, rows, features)
    return as_table({**columns, "lifetime_sparsity": _lifetime_sparsity(features)})


def top_rows(encoder: Any, X: ArrayLike, n_rows: int | None = 5) -> Any:
    """Rows that excite every emitted unit most.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
    n_rows : int or None, default=5
        Rows per unit at most; None: all.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `layer`, `unit`, `rank` (1 = the strongest), `row` (its position in `X`) and
        `value` (what `transform` emits). Rows for which a unit is not above zero do not excite
        it and are left out; of rows with equal values the first comes first.

    Raises
    ------
    ValueError
        If `n_rows` is neither None nor an int of at least 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import top_rows
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> rows = top_rows(encoder, X, n_rows=2)
    >>> set(rows["rank"]) <= {1, 2}
    True
    """
    features = activity(encoder, checked(encoder, X))
    n_rows = check_count("n_rows", n_rows, len(features))
    order = np.argsort(-features, axis=0, kind="stable")[:n_rows].T
    units, ranks = np.nonzero(np.take_along_axis(features.T, order, axis=1) > 0)
    rows = order[units, ranks]
    layer, unit = emitted_units(encoder)
    return as_table(
        {
            "layer": layer[units],
            "unit": unit[units],
            "rank": ranks + 1,
            "row": rows,
            "value": features[rows, units],
        }
    )


def redundancy(encoder: Any, X: ArrayLike, threshold: float = 0.8) -> Any:
    """Pairs of emitted units that say nearly the same.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
    threshold : float, default=0.8
        Smallest absolute correlation that is listed, between 0 and 1.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `layer`, `unit`, `other_layer`, `other_unit` and `correlation` (Pearson's, of the
        emitted values), the strongest pair first; every pair is there once, and units with the
        same value for every row are in none.

    Raises
    ------
    ValueError
        If `threshold` is not between 0 and 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import redundancy
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> pairs = redundancy(encoder, X, threshold=0.5)
    >>> bool((abs(pairs["correlation"]) >= 0.5).all())
    True
    """
    if not isinstance(threshold, Real) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a float in the range [0, 1]. Got {threshold!r}.")
    features = activity(encoder, checked(encoder, X))
    varies = np.flatnonzero(np.ptp(features, axis=0) > 0)
    centred = features[:, varies] - features[:, varies].mean(axis=0)
    centred /= np.linalg.norm(centred, axis=0)
    correlation = np.clip(centred.T @ centred, -1, 1)
    first, second = np.nonzero(np.triu(np.abs(correlation) >= threshold, k=1))
    order = np.argsort(-np.abs(correlation[first, second]), kind="stable")
    first, second = first[order], second[order]
    layer, unit = emitted_units(encoder)
    return as_table(
        {
            "layer": layer[varies[first]],
            "unit": unit[varies[first]],
            "other_layer": layer[varies[second]],
            "other_unit": unit[varies[second]],
            "correlation": correlation[first, second],
        }
    )


def _lifetime_sparsity(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vinje and Gallant (2000) for every column."""
    n_rows = len(features)
    sparsity = np.full(features.shape[1], np.nan)
    largest = np.abs(features).max(axis=0)
    on = largest > 0
    if n_rows > 1:
        share = np.abs(features[:, on]) / largest[on]  # no square can overflow or vanish
        ratio = share.mean(axis=0) ** 2 / (share**2).mean(axis=0)
        sparsity[on] = (1 - ratio) / (1 - 1 / n_rows)
    return sparsity
