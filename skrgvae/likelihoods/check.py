"""Whether a table's columns can be of the families that were chosen for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skrgvae.data.sources import Source, blocks_of
from skrgvae.data.summary import Summary
from skrgvae.likelihoods.columns import FAMILIES
from skrgvae.likelihoods.counts import Counts


def check_families(families: Sequence[str], summary: Summary, names: Sequence[str] | None) -> None:
    """Refuse values that a column's family can't have.

    Raises
    ------
    ValueError
        Naming the first such column.
    """
    for column, family in enumerate(families):
        needed = FAMILIES[family].refusal(summary, column)
        if needed is not None:
            raise ValueError(
                f"Column {_label(column, names)}: likelihood {family!r} needs {needed}. Use "
                "another family for this column, or change its values."
            )


def check_counts(families: Sequence[str], rows: Source, names: Sequence[str] | None) -> None:
    """Refuse new rows with a negative count: it would leave a row without finite features.

    Raises
    ------
    ValueError
        Naming the first column that has one.
    """
    counts = np.flatnonzero([issubclass(FAMILIES[family], Counts) for family in families])
    for block in blocks_of(rows) if len(counts) else ():
        negative = counts[(block[:, counts] < 0).any(axis=0)]
        if len(negative):
            column = int(negative[0])
            raise ValueError(
                f"Column {_label(column, names)}: likelihood {families[column]!r} needs counts, "
                f"but the smallest value is {np.nanmin(block[:, column]):g}."
            )


def _label(column: int, names: Sequence[str] | None) -> str:
    return str(column) if names is None else repr(names[column])
