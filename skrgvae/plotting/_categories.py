"""Categorical columns in pictures: a column of zeros and ones for each category.

A column without any category, of which nothing is ever known, stays one column.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrgvae.inspection.tables import category_name, column_names
from skrgvae.plotting._deviations import column_mean, column_spread


class ShownColumns(NamedTuple):
    """What the columns of a picture are called, their means and their standard deviations."""

    names: list[str]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    categorical: NDArray[np.bool_]

    @property
    def effect_unit(self) -> NDArray[np.float64]:
        """What effects on them are shown in: their spread; 1 for changes of probabilities."""
        return np.where(self.categorical, 1.0, self.spread)


def shown_columns(encoder: Any, table: NDArray[np.float64], by_category: bool) -> ShownColumns:
    """The columns of a table, or with `by_category` those that `shown_rows` makes of them.

    The mean of a category is its share. All categories of a column have the standard deviation of
    the column, the root of the sum of their variances: with one of its own, a category that one
    row in thousands has would stand out of all others there, however little it says.
    """
    names, mean, spread = column_names(encoder).tolist(), column_mean(table), column_spread(table)
    n_categories = np.array(encoder._columns.n_categories)
    categorical = n_categories > 0
    if not by_category:
        return ShownColumns(names, mean, spread, categorical)
    labels: list[str] = []
    means, spreads = [], []
    for j, categories in enumerate(encoder._columns.categories):
        if categories:
            labels += [category_name(names[j], category) for category in categories]
            share = _shares(table[:, j], len(categories))
            variance = float((share * (1 - share)).sum())
            means.append(share)
            spreads.append(np.full(len(categories), variance**0.5 if variance > 0 else 1.0))
        else:
            labels.append(names[j])
            means.append(mean[j : j + 1])
            spreads.append(spread[j : j + 1])
    return ShownColumns(
        labels,
        np.concatenate(means),
        np.concatenate(spreads),
        np.repeat(categorical, np.maximum(n_categories, 1)),
    )


def shown_rows(encoder: Any, rows: NDArray[np.float64], by_category: bool) -> NDArray[np.float64]:
    """Rows as they are, or with `by_category` 1 where one has a category, else 0, NaN if missing.

    Of numbers they stay what they are.
    """
    if not by_category:
        return rows
    parts = []
    for column, categories in zip(rows.T, encoder._columns.categories, strict=True):
        part = column[:, None]
        if categories:
            has = (part == np.arange(len(categories))).astype(np.float64)
            part = np.where(np.isnan(part), np.nan, has)
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _shares(codes: NDArray[np.float64], n_categories: int) -> NDArray[np.float64]:
    """How many of the known cells of a column have each category, as a share of them."""
    known = codes[~np.isnan(codes)].astype(np.intp)
    return np.bincount(known, minlength=n_categories) / max(len(known), 1)
