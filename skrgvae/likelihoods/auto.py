"""What likelihood="auto" becomes, column by column (part of the file format: never changes)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def resolve_auto(table: NDArray) -> NDArray[np.str_]:
    """Family of every column of a dense table.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        Training rows, numeric or boolean.

    Returns
    -------
    ndarray of str of shape (n_columns,)
        "bernoulli" for all columns of a table inside [0, 1]; otherwise "bernoulli" for columns
        with no values but 0 and 1, and "gaussian" for the others.
    """
    low, high = table.min(axis=0), table.max(axis=0)
    if (low >= 0).all() and (high <= 1).all():
        return np.full(table.shape[1], "bernoulli")
    inside = (low >= 0) & (high <= 1)
    binary = np.zeros(table.shape[1], dtype=bool)
    for j in np.flatnonzero(inside):  # column by column: no mask as large as the table
        binary[j] = bool(np.isin(table[:, j], (0, 1)).all())
    return np.where(binary, "bernoulli", "gaussian")
