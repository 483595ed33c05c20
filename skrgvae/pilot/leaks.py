"""Columns that give the target away."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from skrgvae.pilot.data import Data
from skrgvae.pilot.draws import draw_stratified
from skrgvae.pilot.records import Leak

# A single honest column seldom tells the classes apart this well (the best of iris: 0.96).
_ALONE = 0.98
_MAX_ROWS = 5000
_MAX_LEAVES = 32
# A single value is looked at in columns with few values only: of many values, or of thresholds,
# some are pure by nature (a pixel that only one digit darkens).
_MAX_VALUES = 10
_LEAST_PURE_ROWS = 10
# How often, in all columns together, values that have nothing to do with the target may be pure.
_BY_CHANCE = 1e-4


def find_leaks(data: Data, seed: int) -> tuple[Leak, ...]:
    """Columns that tell the target, or a part of its cases, all by themselves.

    Two signs are looked for: a small tree on the column alone separates the classes with a
    balanced accuracy of 0.98 or more on rows it has not seen; and a column with at most ten
    values has one whose rows, ten or more, are all of one class, and more of them than chance
    would allow. Being missing or known counts as a value of any column. A flag set after the fact,
    such as the mode of a failure, has the second.

    Parameters
    ----------
    data : Data
    seed : int
        Of the split into the tree's rows and those it is judged on.

    Returns
    -------
    tuple of Leak
        At most one per column, in the order of the columns.
    """
    rows = draw_stratified(data.y, _MAX_ROWS, np.random.RandomState(seed), least=2)
    found: list[Leak | None] = []
    candidates, n_tried = {}, 0
    for position, name in enumerate(data.names):
        column = data.column(position)
        codes = _codes(column, bool(data.categorical[position]))
        found.append(_told_alone(name, codes[rows], data.y[rows], seed))
        pure, n_pairs = _pure_values(codes, data)
        n_tried += n_pairs
        if found[-1] is None and pure is not None:
            candidates[position] = pure
    for position, pure in candidates.items():
        if n_tried * pure.chance < _BY_CHANCE:
            found[position] = _told_by_a_value(data, position, pure)
    return tuple(leak for leak in found if leak is not None)


def _codes(column: Any, categorical: bool) -> NDArray[np.float64]:
    """A column as numbers, missing ones as NaN."""
    if not categorical:
        return np.asarray(column, dtype=np.float64)
    encoder = OrdinalEncoder(encoded_missing_value=np.nan)
    return encoder.fit_transform(column.to_frame())[:, 0].astype(np.float64)


def _told_alone(name, codes, y, seed):
    counts = np.bincount(y)
    if counts[counts > 0].min() < 2:
        return None
    # Ranks: the tree computes in float32, in which values far from 0 are one.
    ranks = np.where(np.isnan(codes), np.nan, np.unique(codes, return_inverse=True)[1])
    Z_train, Z_test, y_train, y_test = train_test_split(
        ranks[:, np.newaxis], y, test_size=0.5, stratify=y, random_state=seed
    )
    tree = DecisionTreeClassifier(
        max_leaf_nodes=_MAX_LEAVES, class_weight="balanced", random_state=0
    ).fit(Z_train, y_train)
    score = balanced_accuracy_score(y_test, tree.predict(Z_test))
    return Leak(name, "alone", balanced_accuracy=float(score)) if score >= _ALONE else None


class _Pure(NamedTuple):
    """A value whose rows are all of one class."""

    rows: NDArray[np.intp]
    klass: int
    chance: float  # that of so many rows drawn at random
    is_known: bool  # the value is to be known, whatever it is


def _pure_values(codes: NDArray[np.float64], data: Data) -> tuple[_Pure | None, int]:
    """The value of a column that is least likely to be pure by chance, and how many were tried."""
    values, which = np.unique(codes, return_inverse=True)  # NaN is one of them
    missing = np.isnan(codes)
    signs = [(~missing, True)] if missing.any() and not missing.all() else []
    if values.size <= _MAX_VALUES:
        signs += [(which == place, False) for place in range(values.size)]
    elif signs:
        signs.append((missing, False))
    share = np.bincount(data.y, minlength=data.classes.size) / data.y.size
    best = None
    for sign, is_known in signs:
        rows = np.flatnonzero(sign)
        klass = data.y[rows[0]]
        if len(rows) < _LEAST_PURE_ROWS or (data.y[rows] != klass).any():
            continue
        pure = _Pure(rows, int(klass), float(share[klass] ** len(rows)), is_known)
        best = pure if best is None or pure.chance < best.chance else best
    return best, len(signs) * data.classes.size


def _told_by_a_value(data: Data, position: int, pure: _Pure) -> Leak:
    name, klass, n_rows = data.names[position], str(data.classes[pure.klass]), len(pure.rows)
    if pure.is_known:
        return Leak(name, "known", klass=klass, n_rows=n_rows)
    column, first = data.column(position), pure.rows[0]
    value = column.iloc[first] if hasattr(column, "iloc") else column[first]
    written = f"{value:g}" if isinstance(value, float) else str(value)
    return Leak(name, "value", value=written, klass=klass, n_rows=n_rows)
