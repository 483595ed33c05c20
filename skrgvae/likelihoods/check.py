"""Whether a table's columns can be of the families that were chosen for them."""

from __future__ import annotations

from collections.abc import Sequence

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.columns import FAMILIES


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
            label = column if names is None else repr(names[column])
            raise ValueError(
                f"Column {label}: likelihood {family!r} needs {needed}. Use another family for "
                "this column, or change its values."
            )
