"""Which columns tell the network that an entry is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from skrgvae.data.summary import some_rows

# Rows, and columns at a time, that are looked at.
MAX_ROWS, BLOCK = 2000, 512

# Share of tables without any such column in which one is taken for one all the same.
FALSE_ALARMS = 0.05


def marked_columns(table: NDArray[np.floating]) -> tuple[int, ...]:
    """Columns whose holes say something about the rest of the row.

    Holes that come by chance alone (a fifth of the cells of a form were never typed in) would be
    noise on as many inputs as there are columns, and the network learns it where rows are few. So
    a column is marked if among the rows in which it is missing the share of those in which
    another column is above its median, or missing as well, is not that of all rows: if chance
    makes the furthest of all these shares as unlikely in one table of twenty (binomial tests,
    Bonferroni). Of columns that are missing in the same rows, one speaks for all.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        NaN marks missing entries.

    Returns
    -------
    tuple of int, rising
    """
    table = some_rows(table, MAX_ROWS)
    missing = np.isnan(table)
    some = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
    if not len(some):
        return ()
    columns = some[np.unique(missing[:, some], axis=1, return_index=True)[1]]
    holes = missing[:, columns].astype(np.float32)
    known, high = (~missing).astype(np.float32), _high(table).astype(np.float32)
    share_high = high.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    least = FALSE_ALARMS / (2 * len(columns) * (table.shape[1] + len(columns)))
    telling = []
    for start in range(0, len(columns), BLOCK):
        block = holes[:, start : start + BLOCK].T
        by_values = _tail(block @ high, block @ known, share_high)
        together = _tail(block @ holes, block.sum(axis=1, keepdims=True), holes.mean(axis=0))
        together[np.arange(len(block)), start + np.arange(len(block))] = 1.0
        telling.append(np.minimum(by_values.min(axis=1), together.min(axis=1)) < least)
    return tuple(sorted(columns[np.concatenate(telling)].tolist()))


def _high(table: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Entries above their column's median; below it, where none is above."""
    ordered = np.sort(table, axis=0)  # NaN comes last
    middle = np.maximum(np.count_nonzero(~np.isnan(table), axis=0) - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None], axis=0)
    above = table > median
    return np.where(above.any(axis=0), above, table < median)


def _tail(
    found: NDArray[np.floating], of: NDArray[np.floating], share: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Probability of so few or so many, whichever is smaller; 1 within 3 standard deviations."""
    far = np.square(found - of * share) > 9 * of * share * (1 - share)  # few are, and it is slow
    found, of, share = (part[far] for part in np.broadcast_arrays(found, of, share))
    n, n_found = of.round().astype(np.int64), found.round()
    tail = np.ones(far.shape)
    tail[far] = np.minimum(bdtr(n_found, n, share), bdtrc(n_found - 1, n, share))
    return tail
