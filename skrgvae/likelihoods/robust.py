"""Centre and width of columns with outliers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.summary import Summary

# Interquartile range and mean absolute deviation of a standard normal law.
_NORMAL_RANGE, _NORMAL_DEVIATION = 1.3489795003921634, 0.7978845608028654


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
