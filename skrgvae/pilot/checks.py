"""What a study needs of its parameters and of its table."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number, Real

import numpy as np
from sklearn.base import BaseEstimator

from skrgvae.pilot.data import Data
from skrgvae.pilot.scores import DECIDING
from skrgvae.pilot.worth import Payoff
from skrgvae.resolve import is_whole


def check_parameters(
    labels: Sequence[int],
    score: str,
    smallest_gain: float,
    confidence: float,
    n_splits: int,
    n_repeats: int,
) -> None:
    """Refuse what no table could give.

    Parameters
    ----------
    labels, score, smallest_gain, confidence, n_splits, n_repeats
        As for `run_pilot`.

    Raises
    ------
    ValueError
        Which names the parameter.
    """
    for name, value, least in (("n_splits", n_splits, 2), ("n_repeats", n_repeats, 1)):
        if not is_whole(value) or value < least:
            raise ValueError(f"{name} must be an integer and at least {least}. Got {value!r}.")
    if not np.iterable(labels):
        raise ValueError(f"labels must be a sequence of integers. Got {labels!r}.")
    for size in labels:
        if not is_whole(size):
            raise ValueError(f"The entries of labels must be integers. Got {size!r}.")
    if not isinstance(smallest_gain, Real) or not 0 <= smallest_gain < np.inf:
        raise ValueError(f"smallest_gain must be a number from 0 on. Got {smallest_gain!r}.")
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1. Got {confidence!r}.")
    if score not in ("auto", *DECIDING):
        raise ValueError(f"score must be 'auto' or one of {DECIDING}. Got {score!r}.")


def check_searchable(encoder: BaseEstimator) -> None:
    """Refuse an encoder whose parameters hold for one number of layers: a search tries several.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Not fitted.

    Raises
    ------
    ValueError
        Which names the parameter.
    """
    for name in ("hidden_layer_sizes", "free_bits"):
        value = getattr(encoder, name)
        if not (value is None or isinstance(value, str | Number)):
            raise ValueError(
                f"search=True tries several numbers of layers, so {name} of the encoder can't "
                f"have entries for layers. Got {value!r}."
            )


def check_classes(data: Data, labels: Sequence[int], n_splits: int, payoff: Payoff | None) -> None:
    """Refuse what the classes have too few rows for, or are too many for.

    Parameters
    ----------
    data : Data
        The rows that are studied.
    labels, n_splits, payoff
        As for `run_pilot`.

    Raises
    ------
    ValueError
        Which names the classes, or the parameter.
    """
    counts = np.bincount(data.y)
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
    fewest = min(labels, default=data.classes.size)
    if fewest < data.classes.size:
        raise ValueError(
            f"labels must be at least the number of classes, {data.classes.size}. Got {fewest}."
        )


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
        names, positive = [str(name) for name in data.classes], str(payoff.positive)
        if positive not in names:
            raise ValueError(f"the target has no class {positive!r}; there are {', '.join(names)}")
        return names.index(positive)
    counts = np.bincount(data.y)
    if payoff is not None and (len(counts) > 2 or counts[0] == counts[1]):
        raise ValueError(
            "with more than two classes, or as many rows of both, it must be said which one alarms"
            " are for"
        )
    if len(counts) == 2:
        return int(np.argmin(counts))
    return None
