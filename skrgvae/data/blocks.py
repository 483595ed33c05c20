"""Storage that hands out rows a block at a time: sliceable arrays, Parquet, batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

import numpy as np

from skrgvae.data.sources import Blocks, rows_of_block


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
        For batches that can be read once only, as those of a generator or of a pyarrow reader.
    """
    blocks = _pyarrow_blocks(X) if type(X).__module__.startswith("pyarrow.") else None
    if blocks is not None:
        return blocks
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

    def __init__(self, array: Any) -> None:
        self.array = array
        self.n_rows_each = rows_of_block(array.shape[1])
        self.n_blocks = -(-array.shape[0] // self.n_rows_each)

    @property
    def are_numbers(self) -> bool:
        """Whether the first block tells what all of them hold."""
        return np.dtype(self.array.dtype).kind in "biuf"

    def sizes(self) -> list[int]:
        """Rows of each block."""
        ends = [*range(0, self.array.shape[0], self.n_rows_each), self.array.shape[0]]
        return np.diff(ends).tolist()

    def shuffled(self, rng: np.random.Generator) -> list[int]:
        return rng.permutation(self.n_blocks).tolist()

    def read(self, order: Sequence[int]) -> Iterator[np.ndarray]:
        for number in order:
            start = number * self.n_rows_each
            yield np.asarray(self.array[start : start + self.n_rows_each])


class ParquetBlocks:
    """Pieces of the row groups of a Parquet file, which may be far larger than a block.

    pyarrow holds the compressed bytes of the row group that is read.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self.n_rows_each = rows_of_block(file.metadata.num_columns)
        rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        n_pieces = [-(-n_rows // self.n_rows_each) for n_rows in rows]
        self.groups = np.repeat(np.arange(len(rows)), n_pieces)
        self.n_blocks = len(self.groups)

    def shuffled(self, rng: np.random.Generator) -> list[int]:
        # A row group can't be read from its middle: its pieces stay together.
        position = rng.permutation(self.file.num_row_groups)
        return np.argsort(position[self.groups], kind="stable").tolist()

    def read(self, order: Sequence[int]) -> Iterator[Any]:
        for group, numbers in groupby(order, self.groups.__getitem__):
            batches = self.file.iter_batches(self.n_rows_each, row_groups=[int(group)])
            for _, batch in zip(numbers, batches, strict=True):
                yield batch.to_pandas()


class IteratedBlocks:
    """Batches that come in one order, again and again.

    Parameters
    ----------
    batches : iterable
        Of tables, each of them whatever `fit` takes that is in memory. Those without rows are
        passed over.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.n_blocks = sum(1 for _ in filter(_has_rows, batches))

    def shuffled(self, rng: np.random.Generator) -> list[int]:
        del rng  # they come as they come
        return list(range(self.n_blocks))

    def read(self, order: Sequence[int]) -> Iterator[Any]:
        n_read = 0
        for batch in filter(_has_rows, self.batches):
            n_read += 1
            if n_read > len(order):
                break
            yield batch
        if n_read != len(order):
            raise ValueError(
                f"X gave {len(order)} batches when it was read first, and "
                f"{'more' if n_read > len(order) else n_read} now: X must give the same rows "
                "every time it is read."
            )


class _Scanned:
    """A dataset of pyarrow, whose batches are read anew for each pass."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.n_rows_each = rows_of_block(len(dataset.schema.names))

    def __iter__(self) -> Iterator[Any]:
        # By default pyarrow reads sixteen batches of four files ahead.
        ahead = {"batch_readahead": 1, "fragment_readahead": 1}
        for batch in self.dataset.to_batches(batch_size=self.n_rows_each, **ahead):
            yield batch.to_pandas()


def _has_rows(batch: Any) -> bool:
    if hasattr(batch, "shape"):
        return len(batch.shape) == 0 or batch.shape[0] > 0
    return not hasattr(batch, "__len__") or len(batch) > 0


def _pyarrow_blocks(X: Any) -> Blocks | None:
    if hasattr(X, "read_row_group"):
        return ParquetBlocks(X)
    if hasattr(X, "get_fragments"):
        return IteratedBlocks(_Scanned(X))
    return None
