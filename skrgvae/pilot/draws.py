"""Draws of rows that keep the shares of the classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_stratified(
    y: NDArray[np.integer], size: int, rng: np.random.RandomState, least: int = 1
) -> NDArray[np.intp]:
    """Positions of `size` rows, in proportion to the classes but at least some of each.

    Every row is placed at (its random rank within its class) / (rows of the class); the rows
    placed first are drawn.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
        Codes from 0.
    size : int
    rng : numpy.random.RandomState
    least : int, default=1
        Rows of every class at least, or all it has.

    Returns
    -------
    ndarray of int of shape (size,)
    """
    order = rng.permutation(y.size)
    by_class = order[np.argsort(y[order], kind="stable")]
    counts = np.bincount(y)
    rank = np.arange(y.size) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty(y.size)
    place[by_class] = np.where(rank < least, 0.0, rank / np.repeat(counts, counts))
    return order[np.argsort(place[order], kind="stable")[:size]]
