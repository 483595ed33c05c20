"""Storage that hands out rows a block at a time: sliceable arrays, Parquet, batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from skrgvae.data.sources import BLOCK, Blocks


def as_blocks(X: Any) -> Blocks | None:
    """Blocks of what holds its rows elsewhere, or None for what is in memory.

    Parameters
    ----------
    X : object
        An array that can be sliced by rows (HDF5, zarr, dask), a Parquet file or a dataset that
        pyarrow opened, or a collection of batches that can be read again and again.

    Raises
    ------
    TypeError
        For batches that can be read once only.
    """
    if type(X).__module__.startswith("pyarrow."):
        return _pyarrow_blocks(X)
    in_memory = (list, tuple, str, bytes, Mapping, Set, np.ndarray)
    if isinstance(X, in_memory) or any(
        hasattr(X, name)
        for name in ("columns", "__dataframe__", "__array_interface__", "__dlpack__")
    ):
        return None
    if all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")):
        return SlicedBlocks(X) if len(X.shape) == 2 else None
    if hasattr(X, "__array__") or not hasattr(X, "__iter__"):
        return None
    if iter(X) is X:
        raise TypeError(
            f"X is an iterator ({type(X).__name__}), which can be read only once, but every epoch "
            "reads all rows again. Pass an object whose __iter__ starts anew each time, or call "
            "partial_fit with each batch."
        )
    return IteratedBlocks(X)


class SlicedBlocks:
    """An array that is read by slices of rows.

    Parameters
    ----------
    array : object with `shape`, `dtype` and slices
        Of two dimensions.
    """

    in_any_order = True

    def __init__(self, array: Any) -> None:
        self.array = array
        self.n_rows_each = max(1, BLOCK // max(1, array.shape[1]))
        self.n_blocks = -(-array.shape[0] // self.n_rows_each)

    @property
    def are_numbers(self) -> bool:
        """Whether the first block tells what all of them hold."""
        return np.dtype(self.array.dtype).kind in "biuf"

    def sizes(self) -> list[int]:
        """Rows of each block."""
        ends = [*range(0, self.array.shape[0], self.n_rows_each), self.array.shape[0]]
        return np.diff(ends).tolist()

    def read(self, order: Sequence[int]) -> Iterator[np.ndarray]:
        for number in order:
            start = number * self.n_rows_each
            yield np.asarray(self.array[start : start + self.n_rows_each])


class ParquetBlocks:
    """The row groups of a Parquet file.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
    """

    in_any_order = True

    def __init__(self, file: Any) -> None:
        self.file = file
        self.n_blocks = file.num_row_groups

    def read(self, order: Sequence[int]) -> Iterator[Any]:
        for number in order:
            yield self.file.read_row_group(number).to_pandas()


class IteratedBlocks:
    """Batches that come in one order, again and again.

    Parameters
    ----------
    batches : iterable
        Of tables, each of them whatever `fit` takes that is in memory.
    """

    in_any_order = False

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.n_blocks = sum(1 for _ in batches)

    def read(self, order: Sequence[int]) -> Iterator[Any]:
        del order  # they come as they come
        yield from self.batches


class _Scanned:
    """A dataset of pyarrow, whose batches are read anew for each pass."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        for batch in self.dataset.to_batches():
            if batch.num_rows:
                yield batch.to_pandas()


def _pyarrow_blocks(X: Any) -> Blocks | None:
    if hasattr(X, "read_row_group"):
        return ParquetBlocks(X)
    if hasattr(X, "to_batches") and not hasattr(X, "columns"):  # a table has columns
        return IteratedBlocks(_Scanned(X))
    return None
