"""Rows in standard deviations from their columns' means, and the colours for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.plotting._checks import check_numbers
from skrgvae.plotting._style import COLORS

LIMIT = 3.0  # standard deviations at the ends of the colours
COLORED: dict[str, Any] = {"cmap": COLORS, "vmin": -LIMIT, "vmax": LIMIT}


def column_mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of what is known of every column, 0 where nothing is."""
    return np.ma.masked_invalid(rows).mean(axis=0).filled(0.0)


def column_spread(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of what is known of every column, 1 where it is constant."""
    known = np.ma.masked_invalid(rows)
    # In shares of the largest value, which are 1 in a constant column: the mean of equal numbers
    # of any other size is rounded, and squares of large ones overflow.
    largest = np.abs(known).max(axis=0)
    spread = ((known / largest).std(axis=0) * largest).filled(0.0)
    return np.where(spread > 0, spread, 1.0)


def mean_and_spread(
    mean: ArrayLike | None, spread: ArrayLike | None, rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of every column: those given, or those of some rows."""
    n_features = rows.shape[1]
    return (
        column_mean(rows) if mean is None else check_numbers("mean", mean, n_features),
        column_spread(rows) if spread is None else check_spread(spread, n_features),
    )


def check_spread(spread: ArrayLike, n_features: int) -> NDArray[np.float64]:
    """Numbers above zero, one per column."""
    numbers = check_numbers("spread", spread, n_features)
    if not (numbers > 0).all():
        raise ValueError(f"spread must hold numbers above 0. Got {numbers.min():g}.")
    return numbers


def add_colorbar(ax: Any, image: Any) -> Any:
    """The scale of an image of deviations, beside its Axes."""
    return ax.figure.colorbar(
        image, ax=ax, label="std. dev. from the column's mean", extend="both", fraction=0.05
    )
