"""The categories of one column: learned, merged, checked, and as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.cells import Column

# Every category costs an input and an output of the network and must be met several times to be
# learned: a column with more of them is text, an identifier, or a quantity that was read as text.
MAX_CATEGORIES = 1_000
# Of a column with at most MAX_CATEGORIES, however rare, this many rows all differ with a
# probability below exp(-200 * 199 / 2 / 1000), which is 2.3e-9. So they are an identifier.
MIN_ROWS_OF_IDENTIFIER = 200


def learn_categories(column: Column) -> tuple[tuple[Any, ...], int]:
    """The categories of a column, and how many values they come from."""
    values, positions = column.distinct()
    n_values = int(np.count_nonzero(positions >= 0))
    if len(values) > MAX_CATEGORIES:
        raise too_many(column.label, values, n_values)
    return tuple(sorted(values)), n_values


def merge_categories(
    label: Any, mine: tuple[Any, ...] | None, theirs: tuple[Any, ...] | None
) -> tuple[Any, ...] | None:
    """What batches have found together; None where a column holds numbers."""
    if mine is None and theirs is None:
        return None
    if mine is None or theirs is None:
        raise TypeError(
            f"Column {label!r} has categories in some batches of X and numbers in others. Give it "
            "one dtype in all of them."
        )
    try:
        together = tuple(sorted({*mine, *theirs}))
    except TypeError:
        raise TypeError(
            f"Column {label!r} holds strings in some batches of X and numbers in others: for "
            f"example {mine[0]!r} and {theirs[0]!r}."
        ) from None
    if len(together) > MAX_CATEGORIES:
        raise ValueError(
            f"Column {label!r} has {len(together)} categories, for example {together[0]!r}. There "
            f"can be at most {MAX_CATEGORIES}."
        )
    return together


def check_categories(categories: tuple[Any, ...]) -> None:
    """Raise ValueError if they are not of one kind, finite and strictly increasing."""
    are_strings = all(isinstance(value, str) for value in categories)
    are_numbers = all(
        isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        for value in categories
    )
    if not are_strings and not are_numbers:
        raise ValueError("the categories of a column must be strings, or finite numbers")
    if not all(low < high for low, high in pairwise(categories)):
        raise ValueError("the categories of a column must be sorted and differ")


def check_kind(column: Column, categories: tuple[Any, ...] | None) -> None:
    """Refuse strings where there were numbers in training, and the other way round."""
    if categories == () or column.kind == "nothing":
        return
    expected = "strings" if categories and isinstance(categories[0], str) else "numbers"
    if column.kind != expected:
        raise ValueError(
            f"Column {column.label} was taken for {expected} in training, but holds {column.kind} "
            f"now, for example {column.example()!r}: convert it."
        )


def encode_column(column: Column, categories: tuple[Any, ...]) -> NDArray[np.float64]:
    """Positions of a column's cells among its categories, NaN where missing or not seen before."""
    values, positions = column.distinct()
    lookup = dict(zip(categories, range(len(categories)), strict=True))
    # The last one is for the position -1.
    return np.array([*map(lookup.get, values, repeat(np.nan)), np.nan])[positions]


def decode_column(
    codes: NDArray[np.floating], categories: tuple[Any, ...], missing: Any
) -> NDArray[np.object_]:
    """Undo `encode_column`."""
    values = np.array([*categories, missing], dtype=object)
    return values[np.where(np.isnan(codes), len(categories), codes).astype(np.intp)]


def too_many(label: str, values: Sequence[Any], n_values: int) -> ValueError:
    """The error for a column of more categories than can be learned."""
    words = [value for value in values if isinstance(value, str) and not _is_number(value)]
    if isinstance(values[0], str) and len(words) < len(values) / 2:
        # Often it is one odd entry, such as a question mark, that makes a column text.
        advice = "It holds numbers as text: convert it to numbers."
        if words:
            advice += f" Make missing what is none, such as {words[0]!r}."
    else:
        advice = (
            "Drop the column if it is an identifier or free text; otherwise put its rare "
            "categories together."
        )
    return ValueError(
        f"Column {label} has {len(values)} categories in {n_values} rows, for example "
        f"{values[0]!r}. There can be at most {MAX_CATEGORIES}, and some must occur more than "
        f"once. {advice}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # which Python takes in numbers, and identifiers have
