"""Layer sizes from the data; the one rule behind `suggest_layer_sizes` and layer_sizes="auto"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.summary import Summary, some_rows

# Rows that the dimension is taken from: more change it little, and would take longer.
MAX_ROWS = 2000
# Bottom units per dimension. Sparse units share a dimension between several of them; five give the
# digits about 100 and MNIST the paper's 300.
UNITS_PER_DIMENSION = 5
MIN_BOTTOM, MAX_BOTTOM = 24, 300
# Shape of the paper's network, as shares of the bottom layer: 300-200-100-50.
PROPORTIONS = (1.0, 2 / 3, 1 / 3, 1 / 6)
# A layer of fewer units than these above the bottom has nothing to add.
MIN_UPPER = 3


def sizes_for(summary: Summary) -> tuple[int, ...]:
    """Units per layer, bottom first.

    The bottom layer has five units per effective dimension, from 24 to 300, and with few rows at
    most one unit for two of them; the layers above follow in the paper's proportions while they
    have at least three units.

    Parameters
    ----------
    summary : Summary
        Of the training rows.
    """
    wanted = round(UNITS_PER_DIMENSION * effective_dimension(summary.rows))
    bottom = max(1, min(max(MIN_BOTTOM, wanted), MAX_BOTTOM, summary.n_rows // 2))
    above = (round(share * bottom) for share in PROPORTIONS[1:])
    return (bottom, *(size for size in above if size >= MIN_UPPER))


def effective_dimension(table: NDArray[np.floating]) -> float:
    """Participation ratio of the correlation matrix: 1 for one common cause, n for n equal ones.

    ::

        (sum_i lambda_i)^2 / sum_i lambda_i^2 = tr(C)^2 / ||C||_F^2

    with the eigenvalues lambda_i of the correlation matrix C, which the right side does not need.
    Constant columns don't count; missing entries stand at the column's mean.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        NaN marks missing entries.

    Returns
    -------
    float
        From 1 to the number of columns that vary; 0 where none does.

    References
    ----------
    .. [1] P. Gao, E. Trautmann, B. Yu, G. Santhanam, S. Ryu, K. Shenoy, S. Ganguli (2017). A
       Theory of Multineuronal Dimensionality, Dynamics and Measurement. bioRxiv 214262.
    """
    values = some_rows(table, MAX_ROWS).astype(np.float64)
    known = ~np.isnan(values)
    n_known = np.maximum(known.sum(axis=0), 1)
    values[~known] = 0.0
    # Divided by the largest value first, so that no square overflows.
    values /= np.maximum(np.abs(values).max(axis=0), np.finfo(np.float64).tiny)
    values -= values.sum(axis=0) / n_known
    values[~known] = 0.0
    spread = np.sqrt(np.square(values).sum(axis=0))
    varies = spread > 1e-10 * np.sqrt(n_known)  # beyond the rounding of a constant column
    values = values[:, varies] / spread[varies]
    # The trace of C is the number of columns left; the smaller of both products has its norm.
    narrow = values.T @ values if values.shape[1] <= len(values) else values @ values.T
    return float(values.shape[1] ** 2 / np.square(narrow).sum()) if varies.any() else 0.0
