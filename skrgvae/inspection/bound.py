"""The bound over rows and noise draws, with its standard errors."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skrgvae.inspection.tables import checked


class ElboEstimate(NamedTuple):
    """Mean ELBO of some rows and its standard errors, all in nats per row.

    Attributes
    ----------
    mean : float
        Over rows and noise draws.
    row_error : float
        Standard error of `mean` as the estimate for all rows of the same origin: from the spread
        of the rows' means. It contains the noise; NaN for a single row.
    noise_error : float
        Standard error of `mean` as the estimate for these very rows: from the spread of the
        noise draws of each row.
    """

    mean: float
    row_error: float
    noise_error: float


def elbo_estimate(encoder: Any, X: ArrayLike, n_draws: int = 10) -> ElboEstimate:
    """Mean ELBO over rows and noise draws, with its standard errors.

    `encoder.score` takes the first of these draws alone: its error by the noise is `noise_error`
    times the square root of `n_draws`.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows that training has not seen: on its own rows, the bound is too good.
    n_draws : int, default=10
        Joint samples per row, 2 or more. The same rows get the same draws.

    Returns
    -------
    ElboEstimate

    Raises
    ------
    ValueError
        If `n_draws` is not an integer of at least 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import elbo_estimate
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8,), max_iter=1, random_state=0).fit(X[:1000])
    >>> estimate = elbo_estimate(encoder, X[1000:])
    >>> estimate.noise_error < estimate.row_error < abs(estimate.mean)
    True
    """
    if not isinstance(n_draws, Integral) or n_draws < 2:
        raise ValueError(f"n_draws must be an integer in the range [2, inf). Got {n_draws!r}.")
    table = checked(encoder, X)
    draws = encoder._model.elbo_draws(table, int(n_draws)).astype(np.float64)
    n_rows = draws.shape[1]
    rows = draws.mean(axis=0)
    return ElboEstimate(
        float(rows.mean()),
        float(rows.std(ddof=1) / np.sqrt(n_rows)) if n_rows > 1 else float("nan"),
        float(np.sqrt(draws.var(axis=0, ddof=1).sum() / n_draws) / n_rows),
    )
