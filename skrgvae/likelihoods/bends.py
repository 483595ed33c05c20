"""Which Gaussian columns are bent, and in what units."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.family import LARGEST
from skrgvae.likelihoods.robust import centre_and_width

# Columns are bent if a training value lies more robust widths than this from the median (a normal
# column stays below 7 in a billion rows), and the distances have a gap: the largest is more times
# as far as the 99th percentile (in a small table, as the fourth largest), or one of the outer
# percentiles is more times as far as the one before it, as where a cell in twenty is junk. Such
# spikes set the spread of a column, drown the others in the bottom-up pass, and at the next larger
# one the log-density of a Gaussian law falls with the square of its size. A long tail that thins
# out evenly, as that of a sum of sparse causes, has no spikes and is left as it is: an exponential
# column reaches 3 times its 99th percentile in a million rows, and its outer percentiles are
# nearer to each other than 1.5 times.
MOST_WIDTHS = 8.0
MOST_PERCENTILES = 4.0
OUTER = (0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.995)
MOST_STEP = 2.5

# Distances end here, far beyond all that is told apart: differences and multiples of them exist.
MOST_DISTANCE = 1e150


def bends(summary: Summary) -> dict[int, tuple[float, float, float, float]]:
    """loc, spread, bent_loc and bent_spread of the columns that are bent, by position."""
    centre, width = centre_and_width(summary)
    width = np.where(summary.spread > 0, width, 1.0)
    standard = np.where(summary.spread > 0, summary.spread, np.inf)
    ends = np.stack([summary.low, summary.high])
    with np.errstate(over="ignore"):
        furthest = np.abs((ends - centre) / width).max(axis=0).clip(max=MOST_DISTANCE)
        distances = np.abs((summary.rows - centre) / width).clip(max=MOST_DISTANCE)
        reach = np.abs((ends - summary.mean) / standard).max(axis=0)
    found = {}
    for j in np.flatnonzero((summary.spread > 0) & (furthest > MOST_WIDTHS)):
        known = distances[~np.isnan(distances[:, j]), j]
        if len(known) and not _has_gap(known, furthest[j]):
            continue
        loc, spread, bent_reach = _bent_units(summary, int(j), centre[j], width[j])
        # The two values of a binary column stay where they were: nothing is gained.
        if bent_reach < 0.9 * reach[j]:
            found[int(j)] = (centre[j], width[j], loc, spread)
    return found


def _has_gap(distances: NDArray[np.floating], furthest: float) -> bool:
    """Whether some of a column's distances from its median stand apart from the others."""
    rare = max(0.01, 3 / max(len(distances), 6))
    usual, most, *outer = np.quantile(distances, [0.5, 1 - rare, *OUTER])
    if furthest > MOST_PERCENTILES * most:
        return True
    # Where half of the values are equal, all others stand apart, and mean what they say.
    return usual > 0 and any(far > MOST_STEP * near for near, far in pairwise(outer))


def _bent_units(
    summary: Summary, column: int, centre: float, width: float
) -> tuple[float, float, float]:
    """Mean and standard deviation of a bent column's sampled rows, and its largest |y|."""
    values = summary.rows[:, column].astype(np.float64)
    values = np.append(values[~np.isnan(values)], [summary.low[column], summary.high[column]])
    with np.errstate(over="ignore"):
        values = np.arcsinh(((values - centre) / width).clip(-LARGEST, LARGEST))
    sampled, ends = values[:-2], values[-2:]
    # The sampled rows may miss all that varies.
    loc = sampled.mean() if len(sampled) else 0.0
    spread = sampled.std() if len(sampled) and np.ptp(sampled) > 0 else 1.0
    return loc, spread, np.abs((ends - loc) / spread).max()
