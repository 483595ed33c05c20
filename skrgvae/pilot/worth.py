"""What alarms are worth in money, with a threshold chosen on training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from skrgvae.pilot.classifiers import fit_classifier

_N_INNER = 3


@dataclass(frozen=True)
class Payoff:
    """Money for alarms: a true one brings `gain`, a false one takes `cost`.

    `positive` is the class that alarms are for, or its name; None: the rarer of two. `currency` is
    written behind amounts.
    """

    gain: float
    cost: float
    positive: str | float | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        if not np.isfinite([self.gain, self.cost]).all():
            raise ValueError(f"gain and cost must be finite. Got {self.gain} and {self.cost}.")

    def per_thousand(self, alarm: NDArray[np.bool_], is_positive: NDArray[np.bool_]) -> float:
        """Money per 1,000 rows."""
        true, false = np.sum(alarm & is_positive), np.sum(alarm & ~is_positive)
        return float(1000 * (self.gain * true - self.cost * false) / alarm.size)


def best_threshold(
    probability: NDArray[np.floating], is_positive: NDArray[np.bool_], payoff: Payoff
) -> float:
    """Probability from which alarms bring most; infinite where none at all is best.

    Parameters
    ----------
    probability : ndarray of shape (n_rows,)
        Of rows that the classifier has not seen.
    is_positive : ndarray of bool of shape (n_rows,)
    payoff : Payoff
    """
    order = np.argsort(-probability, kind="stable")
    money = np.cumsum(np.where(is_positive[order], payoff.gain, -payoff.cost))
    # Rows with the same probability get an alarm together.
    ends = np.flatnonzero(np.diff(probability[order], append=-np.inf))
    best = ends[np.argmax(money[ends])]
    return float(probability[order][best]) if money[best] > 0 else np.inf


def inner_probability(
    name: str,
    Z: NDArray[np.floating],
    y: NDArray[np.integer],
    positive: int,
    seed: int,
    quick: bool,
) -> NDArray[np.float64]:
    """Probability of the positive class for training rows, by classifiers that did not see them.

    Parameters
    ----------
    name : {"linear", "boosting"}
    Z : ndarray of shape (n_rows, n_features)
    y : ndarray of int of shape (n_rows,)
    positive : int
    seed : int
    quick : bool
        As for `fit_classifier`.
    """
    probability = np.empty(y.size)
    splits = StratifiedKFold(_N_INNER, shuffle=True, random_state=seed).split(Z, y)
    for train, test in splits:
        fitted = fit_classifier(name, Z[train], y[train], seed, quick)
        probability[test] = fitted.probabilities(Z[test])[1][:, positive]
    return probability


def measure_worth(
    probability: NDArray[np.floating],
    is_positive: NDArray[np.bool_],
    threshold: float,
    payoff: Payoff,
) -> dict[str, float]:
    """Money and alarms on test rows.

    Parameters
    ----------
    probability : ndarray of shape (n_rows,)
    is_positive : ndarray of bool of shape (n_rows,)
    threshold : float
    payoff : Payoff
    """
    alarm = probability >= threshold
    true = np.sum(alarm & is_positive)
    return {
        "per_thousand": payoff.per_thousand(alarm, is_positive),
        "alarms": float(alarm.mean()),
        "precision": float(true / max(1, alarm.sum())),
        "recall": float(true / is_positive.sum()),
    }
