"""What raises a unit: from the columns of a table up through the hierarchy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.inspection.tables import (
    as_table,
    check_count,
    checked,
    column_names,
    emitted_units,
    strongest,
)

# Rows over which effects are averaged, at most.
MAX_ROWS = 1000
# Rows that go through the network, at most, as long as 50 of them are left per column: every
# column is moved in a copy of the rows.
MAX_MOVED_ROWS = 200_000
MIN_ROWS = 50


def unit_inputs(encoder: Any, X: ArrayLike, n_columns: int | None = 5) -> Any:
    """Columns that raise or lower every emitted unit most.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows to average over. Of many, 1,000 evenly spaced ones are taken (with more than 200
        columns, fewer).
    n_columns : int or None, default=5
        Columns per unit at most; None: all.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `layer`, `unit`, `rank` (1 = the largest absolute weight), `column` (its name, or
        x0, x1, ... where the encoder was fitted without names) and `weight`, see Notes. Columns
        without any weight are left out.

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
    posterior rises with one standard deviation s_j of the column over the rows of `X`, all other
    columns as they are. The mean is read off the same top-down pass as the features, so it holds
    what the layers above make of the column as well, and it moves where the median stays at zero.

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
    table = checked(encoder, X).astype(np.float64)
    n_columns = check_count("n_columns", n_columns, table.shape[1])
    weights = _input_weights(encoder, table)
    units, ranks, columns = strongest(weights, n_columns)
    layer, unit = emitted_units(encoder)
    return as_table(
        {
            "layer": layer[units],
            "unit": unit[units],
            "rank": ranks,
            "column": column_names(encoder)[columns],
            "weight": weights[units, columns],
        }
    )


def _input_weights(encoder: Any, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean rise of every unit's posterior mean, shape (n_units, n_columns)."""
    n_columns = table.shape[1]
    spread = table.std(axis=0)
    n_rows = min(MAX_ROWS, max(MIN_ROWS, MAX_MOVED_ROWS // n_columns))
    rows = table[:: -(-len(table) // n_rows)]
    layers = encoder._emitted()
    weights = np.zeros((n_columns, sum(encoder.layer_sizes_[layer] for layer in layers)))
    for j in np.flatnonzero(spread):
        moved = np.concatenate([rows, rows])
        moved[: len(rows), j] += spread[j] / 2
        moved[len(rows) :, j] -= spread[j] / 2
        high, low = np.split(encoder._model.features(moved, "mean", layers), 2)
        weights[j] = (high - low).mean(axis=0)
    return weights.T
