"""Confidence intervals from scores on the folds of a repeated cross-validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skrgvae.pilot.records import Interval


def corrected_interval(differences: ArrayLike, test_share: float, confidence: float) -> Interval:
    """Confidence interval of a mean over folds, by the corrected resampled t-test.

    The folds' training rows overlap, so that their scores are not independent, and the usual
    standard error is too small. The correction of [1]_ takes the variance of the mean of J
    differences d_j with sample variance s^2 as ::

        (1 / J + n_test / n_train) s^2

    and refers to Student's t with J - 1 degrees of freedom.

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
        2 or more.
    test_share : float
        Share of the rows that a fold tests on.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Interval

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio (2003). Inference for the Generalization Error. Machine Learning
       52, 239-281.
    """
    values = np.asarray(differences, dtype=np.float64)
    ratio = test_share / (1 - test_share)
    error = np.sqrt((1 / values.size + ratio) * values.var(ddof=1))
    margin = stats.t.ppf((1 + confidence) / 2, values.size - 1) * error
    mean = values.mean()
    return Interval(float(mean), float(mean - margin), float(mean + margin))
