"""What likelihood="auto" becomes, column by column (part of the file format: never changes)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.summary import Summary


def resolve_auto(summary: Summary, n_categories: Sequence[int], sparse: bool) -> NDArray[np.str_]:
    """Family of every column.

    Parameters
    ----------
    summary : Summary
        Of the training rows.
    n_categories : sequence of int
        Categories of each column, 0 for numbers and booleans.
    sparse : bool
        Whether the table came as a sparse matrix.

    Returns
    -------
    ndarray of str of shape (n_columns,)
        "categorical" for columns with categories. The others, if all of them are inside [0, 1]:
        "bernoulli"; if they are whole numbers from 0 on in a sparse table: "negative_binomial";
        else "bernoulli" for columns with no values but 0 and 1, and "gaussian" for the rest.
        Columns without a known entry are "gaussian" and count for nothing.
    """
    categorical = np.asarray(n_categories) > 0
    numbers = ~categorical & (summary.n_known > 0)
    # Extremes of unknown columns are NaN, and compare as False.
    inside = (summary.low >= 0) & (summary.high <= 1)
    counts = (summary.low >= 0) & summary.whole
    names = np.full(summary.n_columns, "gaussian", dtype="<U17")
    names[categorical] = "categorical"
    if inside[numbers].all():
        names[numbers] = "bernoulli"
    elif sparse and counts[numbers].all():
        names[numbers] = "negative_binomial"
    else:
        names[numbers & inside & summary.whole] = "bernoulli"
    return names
