"""Integers of a table that no float stands for."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.cells import Column
from skrgvae.data.frames import as_table, is_frame, read_columns

# From here on float64 leaves integers out.
EXACT = 2**53


def large_integers(X: Any) -> dict[int, NDArray]:
    """Cells of the columns that have integers beyond `EXACT`, by position.

    Parameters
    ----------
    X : array-like or data frame of shape (n_rows, n_columns)
        In memory, and not sparse.

    Returns
    -------
    dict of int to ndarray of shape (n_rows,)
        Of integers, without a missing one, or of objects. Of an array of integers it is all
        columns or none: they have one dtype.
    """
    table, _ = as_table(X)
    is_array = isinstance(table, np.ndarray)
    if is_array and table.dtype.kind not in "iuO":  # so that wide ones cost nothing
        return {}
    columns = read_columns(table)
    large = {j: column.values for j, column in enumerate(columns) if _has_large(column)}
    if large and is_array and table.dtype != object and not is_frame(X):
        return {j: column.values for j, column in enumerate(columns)}
    return large


def _has_large(column: Column) -> bool:
    values = column.values
    if values.dtype.kind in "iu":
        return int(values.max()) > EXACT or int(values.min()) < -EXACT
    if values.dtype != object:
        return False
    return any(isinstance(cell, Integral) and abs(int(cell)) > EXACT for cell in values.tolist())
