"""Finding out what the columns of a table hold, from all rows or from block after block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skrgvae.data.categorical_features import resolve_categorical
from skrgvae.data.categories import (
    MIN_ROWS_OF_IDENTIFIER,
    learn_categories,
    merge_categories,
    too_many,
)
from skrgvae.data.cells import Column
from skrgvae.data.columns import Columns, refuse_sparse
from skrgvae.data.frames import as_table, read_columns
from skrgvae.data.naming import listed


@dataclass(frozen=True)
class ColumnsSoFar:
    """What some rows tell about the columns; `merge` takes in what others tell.

    Parameters
    ----------
    columns : Columns
        As they would be if these rows were all.
    undecided : tuple of int
        Positions of columns of numbers that may become ones of categories in `merge`, as nothing
        but missing values was in them.
    n_values : tuple of int
        How many values the categories of every column come from, for `settled`.
    """

    columns: Columns
    undecided: tuple[int, ...]
    n_values: tuple[int, ...]

    @classmethod
    def learn(
        cls, X: Any, categorical_features: Any = "from_dtype", feature_names: Any = None
    ) -> Self:
        """Find out which columns are categorical, and their categories, from some rows or all.

        Parameters
        ----------
        X : array-like or data frame of shape (n_rows, n_columns)
            Missing are NaN, None and pandas.NA.
        categorical_features : "from_dtype", None or array-like of {bool, int, str}, \
                default="from_dtype"
            A mask, positions, or names of the categorical columns; None for none. "from_dtype"
            takes columns whose dtype in a data frame is one of categories or strings, and
            columns of any table whose values are strings.
        feature_names : sequence of str of shape (n_columns,), default=None
            Names of an array's columns. A data frame has its own.

        Returns
        -------
        ColumnsSoFar

        Raises
        ------
        TypeError
            If a column holds anything but strings or numbers (dates, lists, bytes, ...), or both;
            if X is sparse.
        ValueError
            If `categorical_features` doesn't fit X; if a column that is not categorical holds
            strings; if one has more than 1,000 categories; if X has no rows, no columns, other
            than two dimensions, two columns of one name, or complex numbers.
        """
        table, labels = as_table(X)
        if labels is None and feature_names is not None:
            labels = list(feature_names)
        names = _string_names(labels)
        columns = read_columns(table, labels)
        hold_strings = np.array([column.kind == "strings" for column in columns])
        categorical = resolve_categorical(categorical_features, names, len(columns))
        if categorical is None:
            categorical = hold_strings | [column.has_categories for column in columns]
        _refuse_strings([columns[j] for j in np.flatnonzero(hold_strings & ~categorical)])
        found = [
            learn_categories(column) if is_categorical else (None, 0)
            for column, is_categorical in zip(columns, categorical, strict=True)
        ]
        undecided = tuple(
            j
            for j, column in enumerate(columns)
            if column.kind == "nothing" and not categorical[j]
        )
        return cls(
            Columns(tuple(categories for categories, _ in found), names),
            undecided,
            tuple(n_values for _, n_values in found),
        )

    def merge(self, other: ColumnsSoFar) -> ColumnsSoFar:
        """What both together have learned, of other rows of the same columns.

        Raises
        ------
        TypeError
            If a column holds strings here and numbers there.
        ValueError
            If a column has more than 1,000 categories.
        """
        merged = []
        ours, others = self.columns, other.columns
        pairs = zip(ours.labels, ours.categories, others.categories, strict=True)
        for j, (label, mine, theirs) in enumerate(pairs):
            nothing_here = mine == () or j in self.undecided
            nothing_there = theirs == () or j in other.undecided
            if nothing_here and nothing_there:
                merged.append(mine if theirs is None else theirs)  # a dtype of strings tells
            elif nothing_here or nothing_there:
                merged.append(theirs if nothing_here else mine)
            else:
                merged.append(merge_categories(label, mine, theirs))
        undecided = tuple(j for j in self.undecided if j in other.undecided)
        n_values = tuple(map(sum, zip(self.n_values, other.n_values, strict=True)))
        return ColumnsSoFar(Columns(tuple(merged), ours.names), undecided, n_values)

    def settled(self) -> Columns:
        """The columns, after the last rows.

        Raises
        ------
        ValueError
            If a column has 200 categories or more and no two rows alike (an identifier).
        """
        columns = self.columns
        found = zip(columns.labels, columns.categories, self.n_values, strict=True)
        for label, categories, n_values in found:
            if categories and len(categories) == n_values >= MIN_ROWS_OF_IDENTIFIER:
                raise too_many(repr(label), categories, n_values)
        return columns


def columns_of_sparse(n_columns: int, categorical_features: Any) -> Columns:
    """Those of a sparse matrix, which holds numbers.

    Raises
    ------
    TypeError
        If some columns shall be categorical.
    ValueError
        If `categorical_features` doesn't fit.
    """
    categorical = resolve_categorical(categorical_features, None, n_columns)
    if categorical is not None and categorical.any():
        refuse_sparse(np.flatnonzero(categorical).tolist())
    return Columns((None,) * n_columns)


def _string_names(labels: Sequence[Any] | None) -> tuple[str, ...] | None:
    """Names of columns where all are strings, as scikit-learn takes them."""
    if labels is None or not all(isinstance(label, str) for label in labels):
        return None
    return tuple(str(label) for label in labels)


def _refuse_strings(columns: Sequence[Column]) -> None:
    if columns:
        raise ValueError(
            f"could not convert string to float: {columns[0].example()!r} in "
            f"{listed([column.label for column in columns])}. Name columns of strings in "
            "categorical_features, or leave that at 'from_dtype', or drop them."
        )
