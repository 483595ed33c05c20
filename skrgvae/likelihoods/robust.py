"""Centre and width of columns with outliers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.summary import Summary, some_rows

# Interquartile range and mean absolute deviation of a standard normal law.
_NORMAL_RANGE, _NORMAL_DEVIATION = 1.3489795003921634, 0.7978845608028654

# Widths from the centre at which what is usual in a column ends. Holes are read no further out,
# and known entries count for those of other columns no further than three times this.
USUAL = 2.0

# Rows that correlations with and without spikes are compared on, and by how much those without
# them must be higher.
MAX_ROWS, LEAD = 2000, 0.3


def centre_and_width(summary: Summary) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and robust standard deviation of every column, from the sampled rows.

    The width is the interquartile range, in units of that of a standard normal law. Where more
    than half of the values are equal and it is 0, it is the mean absolute deviation from the
    median, in the same manner. Where the sampled rows hold one value or none, the moments of all
    rows stand in for both.

    Returns
    -------
    centre, width : ndarray of shape (n_columns,)
        The width is 0 for constant columns only.
    """
    ordered = np.sort(summary.rows, axis=0)  # NaN comes last
    n_known = np.count_nonzero(~np.isnan(ordered), axis=0)
    largest = np.fmax(np.abs(summary.low), np.abs(summary.high))
    unit = np.where((n_known > 0) & (largest > 0), largest, 1.0)
    # In units of the largest value, no difference of two overflows.
    lower, centre, upper = (
        _quantile(ordered, n_known, share) / unit for share in (0.25, 0.5, 0.75)
    )
    width = (upper - lower) / _NORMAL_RANGE
    for j in np.flatnonzero((width == 0) & (n_known > 0)):
        values = ordered[: n_known[j], j] / unit[j]
        width[j] = np.abs(values - centre[j]).mean() / _NORMAL_DEVIATION
    width = np.minimum(width, 1.0) * unit
    usable = (n_known > 0) & (width > 0) & (summary.spread > 0)
    return (
        np.where(usable, centre * unit, summary.mean),
        np.where(usable, width, summary.spread),
    )


def without_outliers(
    summary: Summary,
    centre: NDArray[np.float64],
    width: NDArray[np.float64],
    which: NDArray[np.bool_],
) -> Summary:
    """Centre, width and usual ends in the place of some columns' moments and extremes."""
    with np.errstate(over="ignore"):
        low, high = centre - USUAL * width, centre + USUAL * width
    return replace(
        summary,
        mean=np.where(which, centre, summary.mean),
        spread=np.where(which, width, summary.spread),
        low=np.where(which, low, summary.low),
        high=np.where(which, high, summary.high),
    )


def spikes_stand_alone(
    summary: Summary, width: NDArray[np.float64], which: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether the spikes of some columns hide what these share with others.

    The spikes of sensors at the same pipe come together, and say what the others are; those of a
    broken one say nothing, and leave no correlation to be seen. So a column's largest correlation
    is compared with the one where it counts no further out than three times what is usual.

    Parameters
    ----------
    summary : Summary
        With medians for means.
    width : ndarray of shape (n_columns,)
    which : ndarray of int of shape (n_some,)
        Positions of the columns.

    Returns
    -------
    ndarray of bool of shape (n_some,)
    """
    rows = some_rows(summary.rows, MAX_ROWS).astype(np.float64)
    with np.errstate(over="ignore"):
        values = np.nan_to_num(rows - summary.mean)
        reach = 3 * USUAL * width[which]
    usual = values.copy()
    usual[:, which] = values[:, which].clip(-reach, reach)
    with_spikes, without = (_most_shared(part, which) for part in (values, usual))
    return without > with_spikes + LEAD


def _most_shared(values: NDArray[np.float64], which: NDArray[np.intp]) -> NDArray[np.float64]:
    """Largest absolute correlation of some columns with any other one."""
    columns = _unit_columns(values)
    correlation = np.abs(columns[:, which].T @ columns)
    correlation[np.arange(len(which)), which] = 0.0
    return correlation.max(axis=1, initial=0.0)


def _unit_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns scaled to length 1; those of zeros stay zeros."""
    largest = np.abs(values).max(axis=0, initial=0.0)
    values = values / np.where(largest > 0, largest, 1.0)
    return values / np.maximum(np.linalg.norm(values, axis=0), np.finfo(np.float64).tiny)


def _quantile(
    ordered: NDArray[np.floating], n_known: NDArray[np.int64], share: float
) -> NDArray[np.float64]:
    """Quantile of the first `n_known` entries of every column, interpolated; 0 where none is."""
    place = share * np.maximum(n_known - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.ceil(place).astype(np.int64)
    low, high = (
        np.take_along_axis(ordered, index[None], axis=0)[0].astype(np.float64)
        for index in (below, above)
    )
    step = place - below
    return np.where(n_known > 0, (1 - step) * low + step * high, 0.0)
