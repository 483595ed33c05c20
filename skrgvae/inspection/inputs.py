"""What raises a unit: from the columns of a table up through the hierarchy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import some_rows
from skrgvae.inspection.tables import (
    as_array,
    as_table,
    category_name,
    check_count,
    checked,
    column_names,
    deviations,
    emitted_units,
    strongest,
)

# Rows over which effects are averaged, at most.
MAX_ROWS = 1000
# Rows that go through the network, at most, as long as 50 of them are left per column or category:
# every one of these is moved in a copy of the rows.
MAX_MOVED_ROWS = 200_000
MIN_ROWS = 50


def unit_inputs(encoder: Any, X: ArrayLike, n_columns: int | None = 5) -> Any:
    """Columns that raise or lower every emitted unit most.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows to average over. Of many, 1,000 are drawn (with more than 200 columns of numbers and
        categories in all, fewer); the same number of rows always gives the same draw.
    n_columns : int or None, default=5
        Columns per unit at most; None: all.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `layer`, `unit`, `rank` (1 = the largest absolute weight), `column` (its name, or
        x0, x1, ... where the encoder was fitted without names; of a categorical column
        "name=category") and `weight`, see Notes. Columns without any weight are left out.

    Raises
    ------
    ValueError
        If `n_columns` is neither None nor an int of at least 1.

    See Also
    --------
    unit_effects : What the unit stands for in the data.

    Notes
    -----
    The weight of column j for a unit z is the mean over rows x of
    ``E[z | x + s_j e_j / 2] - E[z | x - s_j e_j / 2]``: by how much the mean of the unit's
    posterior rises with one standard deviation s_j of the column over these rows, all other
    columns as they are, and what is missing missing. In a column without negative values none
    goes below 0, in one of the Bernoulli family none beyond 0 and 1; what rows are moved less for
    that, the rise is scaled up for. For a category the weight is the mean of
    ``E[z | x with it] - E[z | x]``.

    The mean is read off the same top-down pass as the features, so it holds what the layers above
    make of the column as well, and it moves where the median stays at zero.

    A weight says what the unit reads, not what it stands for: a column can be there to
    tell the unit's cause from others, or to take noise out (Haufe et al. [1]_ for linear
    models). What it stands for is the subject of `unit_effects`.

    References
    ----------
    .. [1] S. Haufe et al. (2014). On the Interpretation of Weight Vectors of Linear Models in
       Multivariate Neuroimaging. NeuroImage 87, 96-110.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import unit_inputs
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> inputs = unit_inputs(encoder, X, n_columns=3)
    >>> inputs["rank"][:3].tolist()
    [1, 2, 3]
    """
    rows = checked(encoder, X)
    n_moved = sum(1 if known is None else len(known) for known in encoder._columns.categories)
    n_rows = min(MAX_ROWS, max(MIN_ROWS, MAX_MOVED_ROWS // max(n_moved, 1)))
    table = as_array(rows.part(some_rows(np.arange(rows.n_rows), n_rows)))
    labels, weights = _input_weights(encoder, table)
    units, ranks, columns = strongest(weights, check_count("n_columns", n_columns, len(labels)))
    layer, unit = emitted_units(encoder)
    return as_table(
        {
            "layer": layer[units],
            "unit": unit[units],
            "rank": ranks,
            "column": labels[columns],
            "weight": weights[units, columns],
        }
    )


def _input_weights(
    encoder: Any, table: NDArray[np.float64]
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Labels of columns and categories, and mean rises, shape (n_units, n_labels)."""
    layers = encoder._emitted()

    def means(moved: NDArray[np.float64]) -> NDArray[np.float64]:
        return encoder._model.features(ArrayRows(moved), "mean", layers)

    as_it_is = means(table)
    names = column_names(encoder)
    labels, rises = [], []
    for j, categories in enumerate(encoder._columns.categories):
        moved = table.copy()
        if categories is None:
            most = 1.0 if encoder.likelihood_[j] == "bernoulli" else np.inf
            high, low, scale = _moved(table[:, j], most)
            moved[:, j] = high
            raised = means(moved)
            moved[:, j] = low
            labels.append(names[j])
            rises.append(scale * (raised - means(moved)).mean(axis=0))
            continue
        for code, category in enumerate(categories):
            moved[:, j] = code
            labels.append(category_name(names[j], category))
            rises.append((means(moved) - as_it_is).mean(axis=0))
    return np.array(labels, dtype=object), np.array(rises).T


def _moved(
    column: NDArray[np.float64], most: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """A column half a standard deviation up and down, as far as its values may go.

    And what makes a whole standard deviation of the mean distance between both.
    """
    known = column[~np.isnan(column)]
    if not len(known):
        return column, column, 0.0
    spread = float(deviations(known))
    least = 0.0 if known.min() >= 0 else -np.inf  # counts have no logarithm below 0
    high, low = np.minimum(column + spread / 2, most), np.maximum(column - spread / 2, least)
    distance = float(np.nanmean(high - low))
    return high, low, spread / distance if distance > 0 else 0.0
