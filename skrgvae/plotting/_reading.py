"""What Displays read off a fitted encoder, as arrays; nothing of it is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.data.sources import ArrayRows
from skrgvae.inspection.tables import as_array, checked


def table_of(encoder: Any, X: ArrayLike) -> NDArray[np.float64]:
    """The rows in float64, checked as the encoder checks them."""
    return as_array(checked(encoder, X))


def unit_values(encoder: Any, table: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Posterior medians of all units, (n_rows, n_units) for each layer, bottom first."""
    return encoder._model.medians(ArrayRows(table))


def moved(
    encoder: Any, layer: int, unit: int, values: NDArray[np.float64], by_category: bool
) -> NDArray[np.float64]:
    """E[x] with one unit at each of some values, shape (n_values, n_features).

    Of a categorical column the likeliest category, or with `by_category` all probabilities.

    The other units of its layer and above stand at their training medians, those of the layers
    below at the means of their priors.
    """
    upper = [
        np.tile(median.astype(np.float64), (len(values), 1)) for median in encoder._medians[layer:]
    ]
    upper[0][:, unit] = values
    return encoder._model.decode(encoder._model.follow(upper), by_category)
