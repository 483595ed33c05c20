"""One column of a table: what its cells are, as numbers or as categories."""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import repeat
from numbers import Complex, Integral, Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

# What counts as a number: Decimal and numpy's booleans are none by the abstract class.
Number = Real | Decimal | np.bool_
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_BYTES = (bytes, bytearray, memoryview)


@dataclass(frozen=True, eq=False)
class Column:
    """One column, whatever container it comes from.

    Parameters
    ----------
    label : str
        Name or position, as messages show it.
    values : ndarray of shape (n_rows,)
        Booleans, integers or floats, where NaN is missing; or objects, where NaN, None and
        pandas.NA are. Any other dtype is refused when `kind` is asked for.
    dtype : str
        The dtype as the container names it.
    has_categories : bool, default=False
        Whether that dtype is one of strings or categories.
    """

    label: str
    values: NDArray
    dtype: str
    has_categories: bool = False

    @cached_property
    def kind(self) -> str:
        """What the cells that are not missing are: "numbers", "strings", or "nothing".

        Raises
        ------
        TypeError
            If they are anything else, or both strings and numbers.
        ValueError
            If they are complex numbers.
        """
        if not self._is_object:
            if self.values.dtype.kind not in "biuf":
                self._refuse(self.values.dtype.type)
            # A column of text that is empty in a chunk of a file is read as numbers.
            empty = self.values.dtype.kind == "f" and np.isnan(self.values).all()
            return "nothing" if empty else "numbers"
        for cell_type in self._types:
            if not _is_usable(cell_type):
                self._refuse(cell_type)
        has_strings = any(issubclass(cell_type, str) for cell_type in self._types)
        has_numbers = any(issubclass(cell_type, Number) for cell_type in self._types)
        if has_strings:
            if has_numbers:
                self._check_that_numbers_are_nan()
            return "strings"
        return "numbers" if has_numbers and self.example() is not None else "nothing"

    @property
    def float_dtype(self) -> np.dtype:
        """float32 where it holds every number of this type exactly, else float64."""
        if self._is_object:
            return np.dtype(np.float32 if self._types <= {bool, _type_of_na()} else np.float64)
        return float_dtype(self.values.dtype)

    def example(self) -> Any:
        """Some cell that is not missing; None where all are."""
        return next((cell for cell in self._cells if not is_missing(cell)), None)

    def numbers(self, dtype: np.dtype) -> NDArray[np.floating]:
        """The cells of a column without strings as floats, NaN where missing.

        Raises
        ------
        ValueError
            If a number is too large for a float.
        """
        values = self.values
        if self._is_object and _type_of_na() in self._types:
            values = values.copy()
            values[sys.modules["pandas"].isna(values)] = None
        try:
            return values.astype(dtype, copy=False)
        except OverflowError:
            raise ValueError(
                f"Input X contains infinity or a value too large for {dtype!r} in column "
                f"{self.label}."
            ) from None

    def distinct(self) -> tuple[list[Any], NDArray[np.intp]]:
        """The different values, and which of them every cell holds.

        Returns
        -------
        values : list of str, bool, int or float
            In no particular order, without missing ones.
        positions : ndarray of shape (n_rows,)
            Where in the list a cell's value stands; -1 for a missing one.

        Raises
        ------
        ValueError
            If infinity is among the values.
        """
        if self._is_object:
            plain = {cell: _plain(cell) for cell in set(self._cells) if not is_missing(cell)}
            # Decimals that differ may be one float.
            values = list(dict.fromkeys(plain.values()))
            place = {value: position for position, value in enumerate(values)}
            lookup = {cell: place[value] for cell, value in plain.items()}
            found = map(lookup.get, self._cells, repeat(-1))
            positions = np.fromiter(found, dtype=np.intp, count=len(self.values))
        else:
            unique, positions = np.unique(self.values, return_inverse=True)
            values = unique[unique == unique].tolist()  # NaN is the last one
            positions = np.where(positions < len(values), positions, -1)
        if any(value in (np.inf, -np.inf) for value in values):
            raise ValueError(
                f"Input X contains infinity among the categories of column {self.label}."
            )
        return values, positions

    @property
    def _is_object(self) -> bool:
        return self.values.dtype == object

    @property
    def _cells(self) -> list[Any]:
        return self.values.tolist()

    @cached_property
    def _types(self) -> set[type]:
        return set(map(type, self._cells)) - {type(None)}

    def _check_that_numbers_are_nan(self) -> None:
        # Strings and NaN: how pandas kept text with gaps before it had a dtype for text.
        present = [cell for cell in set(self._cells) if not is_missing(cell)]
        numbers = [cell for cell in present if isinstance(cell, Number)]
        if numbers:
            string = next(cell for cell in present if isinstance(cell, str))
            raise TypeError(
                f"Column {self.label} holds both strings and numbers, for example {string!r} and "
                f"{numbers[0]!r}. It must be uniformly strings or numbers: convert the ones into "
                "the others, or make them missing."
            )

    def _refuse(self, cell_type: type) -> NoReturn:
        found = f"Column {self.label} (dtype {self.dtype}) holds {cell_type.__name__} values"
        if issubclass(cell_type, _DATES):
            advice = (
                "dates, times and durations are to be replaced by numbers or categories made "
                "from them, such as the year, the day of the week or the days since a fixed "
                "date, or dropped"
            )
        elif issubclass(cell_type, _BYTES):
            advice = "decode them to strings, or drop the column"
        elif issubclass(cell_type, Complex):
            raise ValueError(f"Complex data not supported. {found}.")
        else:
            advice = "make strings or numbers of them, or drop the column"
        raise TypeError(f"{found}, but an argument must be a string or a real number: {advice}.")


def float_dtype(dtype: np.dtype) -> np.dtype:
    """float32 where it holds every number of a numeric dtype exactly, else float64."""
    narrow = dtype.itemsize <= 2 or (dtype.kind == "f" and dtype.itemsize == 4)
    return np.dtype(np.float32 if narrow else np.float64)


def _is_usable(cell_type: type) -> bool:
    if cell_type is _type_of_na():
        return True
    # numpy counts its durations among the integers.
    return issubclass(cell_type, str | Number) and not issubclass(cell_type, _DATES)


def is_missing(cell: Any) -> bool:
    """Whether a cell of a usable type is None, pandas.NA or NaN."""
    return not isinstance(cell, str | Number) or cell != cell


def are_missing(values: NDArray) -> NDArray[np.bool_]:
    """Which entries of an array are missing, also of one of dates."""
    if values.dtype.kind in "mM":
        return np.isnat(values)
    return np.array([is_missing(value) for value in values.tolist()], dtype=bool)


def _type_of_na() -> type:
    """Type of pandas.NA, or of None without pandas in memory."""
    pandas = sys.modules.get("pandas")
    return type(getattr(pandas, "NA", None))


def _plain(value: Any) -> str | bool | int | float:
    if isinstance(value, str):
        return str.__str__(value)  # what it is equal to: an enum writes its name otherwise
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return int(value) if isinstance(value, Integral) else float(value)
