"""The two classifiers that every set of features meets."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

CLASSIFIERS = ("linear", "boosting")

# A fixed strength would favour the features that it happens to suit: wide tables want a strong
# penalty, narrow ones a weak one.
_STRENGTHS = (0.01, 0.1, 1.0)
_STRENGTH = 0.1
_N_INNER = 3
# Rows (at most) that the strength is chosen on.
_MAX_INNER_ROWS = 2000
# Half the default's rounds, and bins of a quarter: a third of the time.
_QUICK_BOOSTING = {"max_iter": 50, "max_bins": 63}


class Fitted(NamedTuple):
    """A trained classifier, and the frequencies of the classes it was trained on."""

    classifier: BaseEstimator
    frequency: NDArray[np.float64]
    weighted: bool
    converged: bool

    def probabilities(
        self, Z: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities of shape (n_rows, n_classes), twice.

        Returns
        -------
        balanced : ndarray
            As if all classes were equally frequent.
        calibrated : ndarray
            At the frequencies of the training rows. Bayes' rule takes one to the other.
        """
        found = self.classifier.predict_proba(Z)
        if self.weighted:
            return found, _reweighted(found, self.frequency)
        return _reweighted(found, 1 / self.frequency), found


def fit_classifier(
    name: str, Z: NDArray[np.floating], y: NDArray[np.integer], seed: int, quick: bool
) -> Fitted:
    """Train one of `CLASSIFIERS`.

    Parameters
    ----------
    name : {"linear", "boosting"}
    Z : ndarray of shape (n_rows, n_features)
        Standardised.
    y : ndarray of int of shape (n_rows,)
        Positions of the classes; each occurs.
    seed : int
    quick : bool
        Whether boosting is cut short.
    """
    counts = np.bincount(y)
    # There are hundreds of fits, and to check the parameters takes a tenth of a small one.
    with config_context(skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported as a figure instead
        if name == "linear":
            classifier = _logistic(Z, y, counts, seed)
        else:
            classifier = HistGradientBoostingClassifier(
                # No weights: with them, scikit-learn 1.9 takes ten times as long to bin wide
                # tables. The default of 20 rows per leaf leaves a hundred rows no room for a
                # second split.
                min_samples_leaf=int(min(20, max(2, y.size // 20))),
                random_state=seed,
                **(_QUICK_BOOSTING if quick else {}),
            )
        classifier.fit(Z, y)
    linear = isinstance(classifier, LogisticRegression)
    converged = not linear or bool(classifier.n_iter_.max() < classifier.max_iter)
    return Fitted(classifier, counts / y.size, linear, converged)


def _logistic(Z, y, counts, seed):
    """Logistic regression, its penalty chosen on the training rows where they suffice for that."""
    classifier = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000)
    rows = np.random.RandomState(seed).permutation(y.size)[:_MAX_INNER_ROWS]
    Z, y = Z[rows], y[rows]
    if np.bincount(y, minlength=counts.size).min() < _N_INNER:
        return classifier
    folds = list(StratifiedKFold(_N_INNER, shuffle=True, random_state=seed).split(Z, y))
    losses = []
    for strength in _STRENGTHS:
        classifier.set_params(C=strength)
        balanced = np.empty((y.size, counts.size))
        for train, test in folds:
            balanced[test] = classifier.fit(Z[train], y[train]).predict_proba(Z[test])
        losses.append(log_loss(y, _reweighted(balanced, counts)))
    return classifier.set_params(C=_STRENGTHS[int(np.argmin(losses))])


def _reweighted(balanced, frequency):
    weighted = balanced * frequency
    return weighted / weighted.sum(axis=1, keepdims=True)
