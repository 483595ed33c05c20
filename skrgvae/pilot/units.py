"""Which units of the encoder a classifier leans on, and which columns they go with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.pilot.classifiers import Fitted

_N_CANDIDATES = 25
_N_SHOWN = 8
_N_COLUMNS = 3
_N_SHUFFLES = 5


def important_units(
    linear: Fitted,
    Z: NDArray[np.floating],
    score: Callable[[NDArray[np.floating]], float],
    seed: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Units whose shuffling costs the linear classifier most, and how much of the score.

    Parameters
    ----------
    linear : Fitted
        Logistic regression on standardised features; units with small coefficients are not tried.
    Z : ndarray of shape (n_rows, n_units)
        Test rows.
    score : callable
        Score of such rows.
    seed : int

    Returns
    -------
    units : ndarray of int of shape (n_shown,)
        The most important one first.
    importance : ndarray of shape (n_shown,)
        Fall of the score, mean over five shuffles.
    """
    rng = np.random.RandomState(seed)
    weight = np.abs(linear.classifier.coef_).max(axis=0)
    candidates = np.argsort(-weight, kind="stable")[:_N_CANDIDATES]
    whole, shuffled = score(Z), Z.copy()
    importance = np.empty(candidates.size)
    for position, unit in enumerate(candidates):
        falls = []
        for _ in range(_N_SHUFFLES):
            shuffled[:, unit] = rng.permutation(Z[:, unit])
            falls.append(whole - score(shuffled))
        shuffled[:, unit] = Z[:, unit]
        importance[position] = np.mean(falls)
    order = np.argsort(-importance, kind="stable")[:_N_SHOWN]
    return candidates[order], importance[order]


def describe_units(
    units: NDArray[np.intp],
    importance: NDArray[np.float64],
    features: NDArray[np.floating],
    feature_names: Sequence[str],
    columns: NDArray[np.floating],
    column_names: Sequence[str],
) -> list[dict[str, Any]]:
    """The fields of `skrgvae.pilot.records.Unit` for some units.

    Columns are named by their correlation with the unit on these rows. What a unit raises by the
    model, `skrgvae.inspection.unit_effects`, is in units of its own and tells of a categorical
    column only that it changes, not to which category.

    Parameters
    ----------
    units : ndarray of int of shape (n_shown,)
    importance : ndarray of shape (n_shown,)
    features : ndarray of shape (n_rows, n_units)
        As emitted, with names like layer0_012.
    feature_names : sequence of str
    columns : ndarray of shape (n_rows, n_columns)
        The raw columns as numbers.
    column_names : sequence of str
    """
    columns = columns - columns.mean(axis=0)
    spread = np.sqrt(np.square(columns).sum(axis=0))
    found = []
    for unit, fall in zip(units.tolist(), importance.tolist(), strict=True):
        values = features[:, unit] - features[:, unit].mean()
        scale = spread * np.sqrt(np.square(values).sum())
        correlation = np.divide(
            values @ columns, scale, out=np.zeros(spread.size), where=scale > 0
        )
        most = np.argsort(-np.abs(correlation), kind="stable")[:_N_COLUMNS]
        found.append(
            {
                "name": feature_names[unit],
                "layer": int(feature_names[unit].removeprefix("layer").split("_")[0]),
                "importance": fall,
                "on_share": float(np.mean(features[:, unit] != 0)),
                "columns": [column_names[column] for column in most],
                "effects": correlation[most].tolist(),
            }
        )
    return found
