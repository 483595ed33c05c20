"""What a fit learns about the columns of a table, to make numbers of its rows and to undo that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils import check_array

from skrgvae.data.categorical_features import resolve_categorical
from skrgvae.data.categories import check_categories, check_kind, decode_column, encode_column
from skrgvae.data.cells import Column, float_dtype, is_missing
from skrgvae.data.frames import as_table, read_columns, write_frame
from skrgvae.data.naming import listed
from skrgvae.data.sources import rows_of_block

# Cells looked at together in the search for infinite values: few enough for the cache.
_CELLS_AT_ONCE = 2**17


@dataclass(frozen=True)
class Columns:
    """What the columns of a table hold: numbers, or which categories.

    Equal values give equal categories, whether an array, pandas or polars held them.

    Parameters
    ----------
    categories : tuple of tuple or None, of length n_columns
        None for a column of numbers. Otherwise the categories seen in training, sorted: strings
        by code point, or numbers (booleans count as such); none at all for a column of strings
        or categories that had only missing values.
    names : tuple of str or None, default=None
        Names of the columns, where they have names and all are strings.

    Raises
    ------
    ValueError
        If the categories of a column are not of one kind, finite and strictly increasing, or the
        names not as many as the columns.
    """

    categories: tuple[tuple[Any, ...] | None, ...]
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.names is not None and len(self.names) != len(self.categories):
            raise ValueError(f"{len(self.names)} names for {len(self.categories)} columns")
        for categories in self.categories:
            if categories is not None:
                check_categories(categories)

    @property
    def labels(self) -> Sequence[Any]:
        """Names of the columns, or else their positions."""
        return range(len(self.categories)) if self.names is None else self.names

    @property
    def are_numbers(self) -> bool:
        """Whether no column is categorical, not even one whose categories are not known yet."""
        return all(categories is None for categories in self.categories)

    @property
    def of_words(self) -> list[int]:
        """Positions of the columns whose categories are strings."""
        return [j for j, c in enumerate(self.categories) if c and isinstance(c[0], str)]

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Number of categories per column, 0 for a column of numbers."""
        return tuple(0 if c is None else len(c) for c in self.categories)

    def check_sparse(self, table: csr_array) -> None:
        """Raise TypeError if columns are categorical, and ValueError for infinite numbers."""
        pairs = zip(self.labels, self.categories, strict=True)
        categorical = [label for label, categories in pairs if categories is not None]
        if categorical:
            refuse_sparse(categorical)
        infinite = np.zeros(table.shape[1], dtype=bool)
        infinite[table.indices[np.isinf(table.data)]] = True
        _refuse_infinite(infinite, table.dtype, self.names)

    def refuse_others_than(self, before: Columns) -> None:
        """Raise ValueError if columns have other names or categories than before."""
        before._check_number(len(self.categories))
        if self.names and before.names and self.names != before.names:
            different = zip(self.names, before.names, strict=True)
            name, known = next(pair for pair in different if pair[0] != pair[1])
            raise ValueError(
                "The feature names should match those of the previous fit, in their order: got "
                f"{name!r} in the place of {known!r}. Start anew with warm_start=False."
            )
        pairs = zip(self.labels, self.categories, before.categories, strict=True)
        changed = [repr(label) for label, mine, theirs in pairs if mine != theirs]
        if changed:
            raise ValueError(
                "Training goes on from the network of the previous fit, in which "
                f"{listed(changed)} had other categories. Start anew with warm_start=False."
            )

    def _check_number(self, n_columns: int) -> None:
        if n_columns != len(self.categories):
            raise ValueError(
                f"X has {n_columns} features, but the encoder is expecting "
                f"{len(self.categories)} features as input."
            )

    def refuse_other_features(self, categorical_features: Any) -> None:
        """Raise ValueError if others than these columns are named as categorical."""
        mask = resolve_categorical(categorical_features, self.names, len(self.categories))
        if mask is None:
            return
        pairs = zip(self.labels, self.categories, mask, strict=True)
        changed = [repr(label) for label, mine, named in pairs if (mine is not None) != named]
        if changed:
            raise ValueError(
                f"categorical_features tells {listed(changed)} otherwise than in earlier calls. "
                "Set it back, or start anew with a new encoder."
            )

    def dtype_of(self, X: Any) -> np.dtype[Any]:
        """dtype of what `encode` makes of rows, shape (n_rows, n_columns)."""
        table, labels = as_table(X)
        if self._are_cells_of(table):
            return float_dtype(table.dtype)
        return self._dtype(read_columns(table, labels or self.names))

    def encode(self, X: Any) -> NDArray[np.floating]:
        """Make numbers of rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Each row in one stretch. Numbers, booleans as 0 and 1; of a categorical column the
            positions in its `categories`; NaN for missing values and for categories not seen in
            training. float32 where all numbers are of types which that holds exactly (float32
            and what takes two bytes at most), else float64. An array or memory map that already
            is all this is not copied.

        Raises
        ------
        TypeError, ValueError
            As when columns are learned; if there is an infinite number or another number of
            columns; if a column holds strings now and held numbers in training, or the other way
            round.
        """
        table, labels = as_table(X)
        labels = labels or self.names
        self._check_number(table.shape[1])
        if self._are_cells_of(table):
            # Rows that overlap (windows of a series) stay a view, far smaller than a copy.
            order = None if table.strides[1] == table.itemsize else "C"
            encoded = check_array(
                table, dtype=float_dtype(table.dtype), order=order, ensure_all_finite=False
            )
        else:
            encoded = self._encode_columns(read_columns(table, labels))
        _refuse_infinite(_infinite(encoded), encoded.dtype, labels)
        return encoded

    def decode(
        self,
        table: NDArray[np.floating],
        like: Any = None,
        integers: Mapping[int, NDArray] | None = None,
    ) -> Any:
        """Undo `encode`.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_columns)
            Numbers; of a categorical column positions in its `categories`. NaN is missing.
        like : data frame of shape (n_rows, n_columns), default=None
            The data frame that the rows come from.
        integers : mapping from int to ndarray of shape (n_rows,), default=None
            What `large_integers` found in these rows.

        Returns
        -------
        ndarray or data frame of shape (n_rows, n_columns)
            Without `like` an array: `table` itself if no column is categorical and none of
            `integers`, of integers if all are, else of objects, with NaN where missing. With
            `like` a data frame with its names and index: of polars if `like` is, else of pandas.
            Numbers and booleans are floats in it, but for `integers`; categories have the dtype
            they have in `like` if that is one of strings or categories and can hold them.
        """
        missing, integers = np.nan if like is None else None, integers or {}
        decoded = []
        for j, categories in enumerate(self.categories):
            values: NDArray = table[:, j]
            if categories is not None:
                values = decode_column(values, categories, missing)
            elif j in integers:
                values = _with_holes_filled(integers[j], values)
            decoded.append(values)
        if like is not None:
            return write_frame(decoded, like)
        if self.are_numbers and not integers:
            return table
        if all(values.dtype.kind in "iu" for values in decoded):
            return np.column_stack(decoded)
        objects = np.empty(table.shape, dtype=object)
        for j, values in enumerate(decoded):
            objects[:, j] = values
        return objects

    def as_json(self) -> dict[str, Any]:
        """All of it as lists, strings, numbers, booleans and None."""
        return {
            "categories": [None if c is None else list(c) for c in self.categories],
            "names": None if self.names is None else list(self.names),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `as_json` gave.

        Raises
        ------
        ValueError
            If it is anything else.
        """
        if not isinstance(value, dict) or set(value) != {"categories", "names"}:
            raise ValueError("columns must be an object with the entries categories and names")
        categories, names = value["categories"], value["names"]
        if not isinstance(categories, list) or not all(
            c is None or isinstance(c, list) for c in categories
        ):
            raise ValueError("the categories must be a list of lists and nulls")
        if names is not None and (
            not isinstance(names, list) or not all(isinstance(name, str) for name in names)
        ):
            raise ValueError("the names must be a list of strings or null")
        return cls(
            tuple(None if c is None else tuple(c) for c in categories),
            None if names is None else tuple(names),
        )

    def _are_cells_of(self, table: Any) -> bool:
        """Whether rows are the cells of an array as they are."""
        return self.are_numbers and isinstance(table, np.ndarray) and table.dtype.kind in "biuf"

    def _dtype(self, columns: Sequence[Column]) -> np.dtype[Any]:
        dtypes = [
            column.float_dtype
            for column, categories in zip(columns, self.categories, strict=True)
            if categories is None or column.values.dtype != object
        ]
        return np.result_type(*dtypes) if dtypes else np.dtype(np.float64)

    def _encode_columns(self, columns: Sequence[Column]) -> NDArray[np.floating]:
        pairs = list(zip(columns, self.categories, strict=True))
        for column, categories in pairs:
            check_kind(column, categories)
        dtype = self._dtype(columns)
        encoded = np.empty((len(columns[0].values), len(columns)), dtype=dtype)
        for j, (column, categories) in enumerate(pairs):
            if categories is None:
                encoded[:, j] = column.numbers(dtype)
            else:
                encoded[:, j] = encode_column(column, categories)
        return encoded


def _infinite(table: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which columns hold an infinite number, shape (n_columns,)."""
    # scikit-learn's check makes a mask as large as the table where that has missing values.
    n_rows = rows_of_block(table.shape[1], _CELLS_AT_ONCE)
    infinite = np.zeros(table.shape[1], dtype=bool)
    for start in range(0, len(table), n_rows):
        infinite |= np.isinf(table[start : start + n_rows]).any(axis=0)
    return infinite


def _refuse_infinite(
    infinite: NDArray[np.bool_], dtype: np.dtype[Any], labels: Sequence[Any] | None
) -> None:
    if infinite.any():
        found = [
            repr(j if labels is None else labels[j]) for j in np.flatnonzero(infinite).tolist()
        ]
        raise ValueError(
            f"Input X contains infinity or a value too large for {dtype!r} in {listed(found)}."
        )


def _with_holes_filled(cells: NDArray, filled: NDArray[np.floating]) -> NDArray:
    """Known cells as they are, and the others of a filled column."""
    if cells.dtype != object:  # integers, none of which is missing
        return cells
    pairs = zip(cells.tolist(), filled.tolist(), strict=True)
    values = [value if is_missing(cell) else cell for cell, value in pairs]
    return np.array([*values, None], dtype=object)[:-1]


def refuse_sparse(labels: Sequence[Any]) -> NoReturn:
    """Raise TypeError for a sparse matrix, some of whose columns are categorical."""
    raise TypeError(
        f"X is sparse, and holds numbers only, but {listed([repr(label) for label in labels])} "
        f"{'are' if len(labels) > 1 else 'is'} categorical: pass a dense array or a data frame."
    )
