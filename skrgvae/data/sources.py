"""Rows of numbers that are read when they are needed, from memory or from somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# Numbers in one block: 4 million (16 MB in float32) keep the passes long and the memory small.
BLOCK = 2**22
# Numbers that a pass in random order keeps at hand where rows can't be read one by one: what is
# further apart than this in the storage doesn't meet in a batch.
POOL = 4 * BLOCK


class Source(Protocol):
    """Rows, shape (n_rows, n_columns); NaN is missing.

    Attributes
    ----------
    n_rows, n_columns : int
    dtype : numpy dtype, float32 or float64
    is_sparse : bool
        Whether they are kept without their zeros.
    """

    n_rows: int
    n_columns: int
    dtype: np.dtype[Any]
    is_sparse: bool

    def pieces(self, n_rows: int) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """All rows in order, at most `n_rows` at a time, and where they stand."""

    def batches(
        self,
        batch_size: int,
        rng: np.random.Generator,
        weights: NDArray[np.float64] | None = None,
    ) -> Iterator[NDArray[np.floating]]:
        """One pass in random order.

        With weights a pass has as many rows again, each of them on average in proportion to its
        weight. The batches differ by one row at most where rows can be read one by one: a small
        remainder would be normalised by the moments of a handful of rows.
        """

    def part(self, index: NDArray[np.intp]) -> Source:
        """The rows at the given positions, which must rise; nothing is copied."""


class ArrayRows:
    """Rows of an array in memory, of a memory map, or of a scipy CSR array.

    Rows are gathered by numpy or scipy, so that a read-only array is never written to, and no
    more than a batch of a sparse one is dense.

    Parameters
    ----------
    table : ndarray or CSR array of shape (n_rows, n_columns)
    index : ndarray of int or None
        Positions of the rows that count; None: all.
    """

    def __init__(self, table: Any, index: NDArray[np.intp] | None = None) -> None:
        self.table = table
        self.index = index
        self.n_rows = table.shape[0] if index is None else len(index)
        self.n_columns: int = table.shape[1]
        self.dtype: np.dtype[Any] = table.dtype
        self.is_sparse = not isinstance(table, np.ndarray)

    def take(self, which: NDArray[np.intp]) -> NDArray[np.floating]:
        """Rows at the given positions among those that count."""
        rows = self.table[which if self.index is None else self.index[which]]
        return rows.toarray() if self.is_sparse else rows

    def pieces(self, n_rows: int) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        for start in range(0, self.n_rows, n_rows):
            where = slice(start, min(start + n_rows, self.n_rows))
            yield where, self.take(np.arange(where.start, where.stop))

    def batches(
        self,
        batch_size: int,
        rng: np.random.Generator,
        weights: NDArray[np.float64] | None = None,
    ) -> Iterator[NDArray[np.floating]]:
        for which in self.shuffled(batch_size, rng, weights):
            yield self.take(which)

    def shuffled(
        self,
        batch_size: int,
        rng: np.random.Generator,
        weights: NDArray[np.float64] | None = None,
    ) -> list[NDArray[np.intp]]:
        """Positions of the rows of every batch, among those that count."""
        if weights is None:
            order = rng.permutation(self.n_rows)
        else:
            order = rng.permutation(np.repeat(np.arange(self.n_rows), repeats(weights, rng)))
        return np.array_split(order, n_batches(self.n_rows, batch_size))

    def part(self, index: NDArray[np.intp]) -> ArrayRows:
        return ArrayRows(self.table, index if self.index is None else self.index[index])


class Blocks(Protocol):
    """Rows that can be read a block at a time only, as whatever the storage holds them in.

    Attributes
    ----------
    n_blocks : int
    """

    n_blocks: int

    def shuffled(self, rng: np.random.Generator) -> list[int]:
        """Numbers of all blocks, in as random an order as the storage can read them in."""

    def read(self, order: Sequence[int]) -> Iterator[Any]:
        """The blocks of the given numbers: all from first to last, or as `shuffled` gave them."""


class BlockRows:
    """Rows read a block at a time, at constant memory.

    Parameters
    ----------
    blocks : Blocks
    sizes : sequence of int
        Rows of each block.
    encode : callable
        Turns a block into rows of numbers.
    n_columns : int
    dtype : numpy dtype
    is_sparse : bool, default=False
    index : ndarray of int or None
        Positions of the rows that count, rising; None: all.
    """

    def __init__(
        self,
        blocks: Blocks,
        sizes: Sequence[int],
        encode: Callable[[Any], NDArray[np.floating]],
        n_columns: int,
        dtype: np.dtype[Any],
        is_sparse: bool = False,
        index: NDArray[np.intp] | None = None,
    ) -> None:
        self.blocks = blocks
        self.is_sparse = is_sparse
        self.ends = np.cumsum(sizes)
        self.encode = encode
        self.index = index
        self.n_rows = int(self.ends[-1]) if index is None else len(index)
        self.n_columns = n_columns
        self.dtype = dtype

    def pieces(self, n_rows: int) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        for where, rows in self._read(range(len(self.ends))):
            for start in range(0, len(rows), n_rows):
                piece = rows[start : start + n_rows]
                yield slice(where.start + start, where.start + start + len(piece)), piece

    def batches(
        self,
        batch_size: int,
        rng: np.random.Generator,
        weights: NDArray[np.float64] | None = None,
    ) -> Iterator[NDArray[np.floating]]:
        times = None if weights is None else repeats(weights, rng)
        pool: list[NDArray[np.floating]] = []
        for where, rows in self._read(self.blocks.shuffled(rng)):
            pool.append(rows if times is None else np.repeat(rows, times[where], axis=0))
            if sum(part.size for part in pool) >= POOL:
                mixed = rng.permutation(np.concatenate(pool))
                n_whole = len(mixed) // batch_size * batch_size
                for start in range(0, n_whole, batch_size):
                    yield mixed[start : start + batch_size]
                pool = [mixed[n_whole:].copy()]  # a view would keep all of them
        rest = rng.permutation(np.concatenate(pool))
        if len(rest):
            yield from np.array_split(rest, n_batches(len(rest), batch_size))

    def part(self, index: NDArray[np.intp]) -> BlockRows:
        sizes = np.diff(self.ends, prepend=0).tolist()
        kept = index if self.index is None else self.index[index]
        return BlockRows(
            self.blocks, sizes, self.encode, self.n_columns, self.dtype, self.is_sparse, kept
        )

    def _read(self, order: Iterable[int]) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """The rows that count of the given blocks, and where they stand among those."""
        order = list(order)
        for number, block in zip(order, self.blocks.read(order), strict=True):
            rows = np.require(self.encode(block), requirements=["W"])  # torch asks for it
            stop = int(self.ends[number])
            start = int(self.ends[number - 1]) if number else 0
            if len(rows) != stop - start:
                raise ValueError(
                    f"Block {number} of X had {stop - start} rows when it was read first, and "
                    f"{len(rows)} now: X must give the same rows every time it is read."
                )
            if self.index is not None:
                first, last = np.searchsorted(self.index, (start, stop))
                rows = rows[self.index[first:last] - start]
                start, stop = int(first), int(last)
            yield slice(start, stop), rows


def rows_of_block(n_columns: int, n_numbers: int | None = None) -> int:
    """Rows that a block of so many numbers (None: `BLOCK`) has, one at least."""
    return max(1, (n_numbers or BLOCK) // max(1, n_columns))


def blocks_of(rows: Source) -> Iterator[NDArray[np.floating]]:
    """All rows in order, a block at a time."""
    for _, block in rows.pieces(rows_of_block(rows.n_columns)):
        yield block


def n_batches(n_rows: int, batch_size: int) -> int:
    """Batches in one pass."""
    return max(1, -(-n_rows // batch_size))


def repeats(
    weights: NDArray[np.float64], rng: np.random.Generator, n: int | None = None
) -> NDArray[np.intp]:
    """How often each row comes among `n` rows: on average in proportion to its weight.

    Systematic resampling: the number differs from its mean by less than one. Without `n` there
    are as many as before.
    """
    ends = np.cumsum(weights)
    ends *= (len(weights) if n is None else n) / ends[-1]
    marks = np.floor(ends + rng.random()).astype(np.intp)
    marks[-1] = max(marks[-1], 1)
    return np.diff(marks, prepend=0)
