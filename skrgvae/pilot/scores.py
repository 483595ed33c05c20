"""How good a classifier's probabilities are on rows it has not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

#: Scores that may decide, all of them better when larger.
DECIDING = ("auc", "f1", "balanced_accuracy")

_N_BINS = 10


def all_scores(
    y: NDArray[np.integer],
    balanced: NDArray[np.floating],
    calibrated: NDArray[np.floating],
    positive: int | None,
) -> dict[str, float]:
    """Every score of one classifier.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
        Positions of the true classes.
    balanced : ndarray of shape (n_rows, n_classes)
        Probabilities as if all classes were equally frequent; decisions are made on these.
    calibrated : ndarray of shape (n_rows, n_classes)
        Probabilities at the frequencies of the training rows.
    positive : int or None
        Of two classes the one that F1 is about.
    """
    return {
        **{name: deciding_score(name, y, balanced, positive) for name in DECIDING},
        "accuracy": float(accuracy_score(y, balanced.argmax(axis=1))),
        "brier": brier_score(y, calibrated),
        "calibration_error": calibration_error(y, calibrated),
    }


def deciding_score(
    name: str, y: NDArray[np.integer], balanced: NDArray[np.floating], positive: int | None
) -> float:
    """One of the scores `DECIDING`.

    Parameters
    ----------
    name : str
    y, balanced, positive
        As for `all_scores`.
    """
    two = balanced.shape[1] == 2
    if name == "auc":
        of = balanced[:, 1] if two else balanced
        return float(roc_auc_score(y, of, multi_class="ovr"))
    predicted = balanced.argmax(axis=1)
    if name == "balanced_accuracy":
        return float(balanced_accuracy_score(y, predicted))
    average = {"average": "binary", "pos_label": positive} if two else {"average": "macro"}
    return float(f1_score(y, predicted, zero_division=0, **average))


def brier_score(y: NDArray[np.integer], probability: NDArray[np.floating]) -> float:
    """Mean squared error of the probabilities, from 0 (perfect) to 1.

    ::

        1 / (2 n) sum_i sum_k (p_ik - [y_i = k])^2

    With two classes that is the usual Brier score [1]_.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
    probability : ndarray of shape (n_rows, n_classes)

    References
    ----------
    .. [1] G. W. Brier (1950). Verification of Forecasts Expressed in Terms of Probability.
       Monthly Weather Review 78, 1-3.
    """
    truth = np.eye(probability.shape[1])[y]
    return float(np.square(probability - truth).sum(axis=1).mean() / 2)


def calibration_error(y: NDArray[np.integer], probability: NDArray[np.floating]) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart [1]_.

    Rows are put into ten bins of equal width by the probability of their likeliest class; the
    error is the mean over the rows of |share of right ones - mean confidence| of their bin.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
    probability : ndarray of shape (n_rows, n_classes)

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017). On Calibration of Modern Neural
       Networks. ICML.
    """
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == y
    bins = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=_N_BINS)
    return float(np.abs(gaps).sum() / y.size)
