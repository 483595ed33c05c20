"""What a study needs of its parameters and of its table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skrgvae.pilot.data import Data
from skrgvae.pilot.scores import DECIDING
from skrgvae.pilot.worth import Payoff


def check_parameters(
    data: Data,
    labels: Sequence[int],
    score: str,
    smallest_gain: float,
    confidence: float,
    n_splits: int,
    n_repeats: int,
    payoff: Payoff | None,
) -> None:
    """Refuse what the data can't give.

    Parameters
    ----------
    data : Data
        The rows that are studied.
    labels, score, smallest_gain, confidence, n_splits, n_repeats, payoff
        As for `run_pilot`.

    Raises
    ------
    ValueError
        Which names the parameter.
    """
    counts = np.bincount(data.y)
    if n_splits < 2:
        raise ValueError(f"n_splits must be at least 2. Got {n_splits}.")
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1. Got {n_repeats}.")
    least = least_rows(n_splits, payoff)
    if counts.min() < least:
        rare = ", ".join(
            f"{name} ({count})"
            for name, count in zip(data.classes, counts, strict=True)
            if count < least
        )
        raise ValueError(
            f"every class of the target needs at least {least} rows; too few have: {rare}. Merge"
            " rare classes or leave their rows out"
        )
    if labels and min(labels) < data.classes.size:
        raise ValueError(
            f"labels must be at least the number of classes, {data.classes.size}. Got"
            f" {min(labels)}."
        )
    if not 0 <= smallest_gain < np.inf:
        raise ValueError(f"smallest_gain must be a number from 0 on. Got {smallest_gain!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1. Got {confidence!r}.")
    if score not in ("auto", *DECIDING):
        raise ValueError(f"score must be 'auto' or one of {DECIDING}. Got {score!r}.")


def least_rows(n_splits: int, payoff: Payoff | None) -> int:
    """Rows that every class must have.

    Parameters
    ----------
    n_splits : int
    payoff : Payoff or None
    """
    # Alarms need an inner cross-validation within the training rows.
    return n_splits if payoff is None else max(n_splits, 6)


def positive_class(data: Data, payoff: Payoff | None) -> int | None:
    """Position of the class that F1 (of two) and alarms are about.

    Parameters
    ----------
    data : Data
    payoff : Payoff or None

    Raises
    ------
    ValueError
        If alarms are for a class that is not there, or it must be said which one they are for.
    """
    if payoff is not None and payoff.positive is not None:
        names = [str(name) for name in data.classes]
        if payoff.positive not in names:
            raise ValueError(
                f"the target has no class {payoff.positive!r}; there are {', '.join(names)}"
            )
        return names.index(payoff.positive)
    counts = np.bincount(data.y)
    if payoff is not None and (len(counts) > 2 or counts[0] == counts[1]):
        raise ValueError(
            "with more than two classes, or as many rows of both, it must be said which one alarms"
            " are for"
        )
    if len(counts) == 2:
        return int(np.argmin(counts))
    return None
