"""Which rows a training sees, and how much each of them counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae._sklearn_compat import check_sample_weight
from skrgvae.data.sources import Source


def weighted(
    rows: Source, sample_weight: ArrayLike | None
) -> tuple[Source, NDArray[np.float64] | None]:
    """Rows whose weight is not zero, and their weights."""
    weights = checked_weights(rows.n_rows, sample_weight)
    if weights is None or weights.all():
        return rows, weights
    some = np.flatnonzero(weights)
    return rows.part(some), weights[some]


def checked_weights(n_rows: int, sample_weight: ArrayLike | None) -> NDArray[np.float64] | None:
    """Weights as numbers of which the largest is near 1, or None where there are none."""
    if sample_weight is None:
        return None
    weights = check_sample_weight(sample_weight, np.empty((n_rows, 0)))
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    # They count in proportion; scaled by a power of two, their sum does not overflow.
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def split_rows(n_rows: int, fraction: float, seed: int) -> tuple[NDArray, NDArray]:
    """Positions of rows to train on, and of held-out rows."""
    n_held_out = max(1, round(fraction * n_rows))
    if n_held_out >= n_rows:
        raise ValueError(
            f"validation_fraction={fraction} holds out {n_held_out} of {n_rows} samples and "
            "leaves none to train on. Use early_stopping=False or more samples."
        )
    order = np.random.default_rng(seed).permutation(n_rows)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
