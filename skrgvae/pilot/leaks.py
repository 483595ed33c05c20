"""Columns that give the target away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from skrgvae.pilot.data import Data
from skrgvae.pilot.records import Leak

# A single honest column seldom tells the classes apart this well (the best of iris: 0.96).
_ALONE = 0.98
_MAX_ROWS = 5000
_MAX_LEAVES = 32
# A single value is looked at in columns with few values only: of many values, or of thresholds,
# some are pure by nature (a pixel that only one digit darkens).
_MAX_VALUES = 10
_LEAST_PURE_ROWS = 10
# What is pure because nearly all rows are of that class says nothing.
_RARE = 0.5


def find_leaks(data: Data, seed: int) -> tuple[Leak, ...]:
    """Columns that tell the target, or a part of its cases, all by themselves.

    Two signs are looked for: a small tree on the column alone separates the classes with a
    balanced accuracy of 0.98 or more on rows it has not seen; and a column with at most ten
    values has one whose rows, ten or more, are all of a class that less than half of all rows
    belong to. A flag set after the fact, such as the mode of a failure, has the second.

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
    rows = np.random.RandomState(seed).permutation(data.y.size)[:_MAX_ROWS]
    found = []
    for position, name in enumerate(data.names):
        column = data.column(position)
        codes = _codes(column, bool(data.categorical[position]))
        leak = _told_alone(name, codes[rows], data.y[rows], seed) or _told_by_a_value(
            name, column, codes, data
        )
        if leak is not None:
            found.append(leak)
    return tuple(found)


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
    Z_train, Z_test, y_train, y_test = train_test_split(
        codes[:, np.newaxis], y, test_size=0.5, stratify=y, random_state=seed
    )
    tree = DecisionTreeClassifier(
        max_leaf_nodes=_MAX_LEAVES, class_weight="balanced", random_state=0
    ).fit(Z_train, y_train)
    score = balanced_accuracy_score(y_test, tree.predict(Z_test))
    return Leak(name, "alone", balanced_accuracy=float(score)) if score >= _ALONE else None


def _told_by_a_value(name, column, codes, data):
    values, first, which = np.unique(codes, return_index=True, return_inverse=True)
    if values.size > _MAX_VALUES:
        return None
    rare = np.bincount(data.y) < _RARE * data.y.size
    table = np.zeros((values.size, data.classes.size), dtype=int)
    np.add.at(table, (which, data.y), 1)
    n_rows = table.sum(axis=1)
    pure = (table == n_rows[:, np.newaxis]) & rare & (n_rows >= _LEAST_PURE_ROWS)[:, np.newaxis]
    if not pure.any():
        return None
    where, klass = max(np.argwhere(pure).tolist(), key=lambda place: n_rows[place[0]])
    value = column.iloc[first[where]] if hasattr(column, "iloc") else column[first[where]]
    return Leak(
        name,
        "value",
        value=f"{value:g}" if isinstance(value, float) else str(value),
        klass=str(data.classes[klass]),
        n_rows=int(n_rows[where]),
    )
