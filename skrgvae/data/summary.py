"""What one pass over the training rows says about every column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.sources import repeats, rows_of_block

# Rows kept for what needs more than moments (medians, dimensions), and numbers they may hold.
MAX_ROWS, MAX_NUMBERS = 10_000, 2**24
# Numbers that moments are taken of at a time: as float64 they take twice the memory of the table.
_PIECE = 2**18


@dataclass(frozen=True)
class Summary:
    """Statistics of the known entries of every column, shape (n_columns,) each.

    Attributes
    ----------
    n_rows : int
    n_known : ndarray of int
    low, high : ndarray
        Extremes; NaN where nothing is known.
    mean, spread : ndarray
        Mean and standard deviation, weighted; 0 where nothing is known. The spread of a constant
        column is 0 exactly.
    whole : ndarray of bool
        Whether all entries are whole numbers.
    rows : ndarray of shape (n_kept, n_columns)
        Rows drawn without replacement, all of them where they are few; of weighted rows, in
        proportion to the weights, so that some come more than once. NaN is missing.
    numbers : ndarray of int of shape (n_kept,)
        Which of all rows these are.
    """

    n_rows: int
    n_known: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    whole: NDArray[np.bool_]
    rows: NDArray[np.floating]
    numbers: NDArray[np.intp]

    @property
    def distinct_rows(self) -> NDArray[np.floating]:
        """The kept rows, each once: a copy is no further evidence."""
        return self.rows[np.unique(self.numbers, return_index=True)[1]]

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.mean)

    def columns(self, index: NDArray[np.intp]) -> Summary:
        """The same of some columns."""
        if np.array_equal(index, np.arange(self.n_columns)):
            return self
        return Summary(
            self.n_rows,
            self.n_known[index],
            self.low[index],
            self.high[index],
            self.mean[index],
            self.spread[index],
            self.whole[index],
            self.rows[:, index],
            self.numbers,
        )


def some_rows(rows: NDArray[Any], n: int) -> NDArray[Any]:
    """At most so many of the rows, in their order: drawn, as a table may repeat itself.

    The rows of a line of five machines would be those of one of them at every fifth row. The same
    number of rows always gives the same draw.
    """
    if len(rows) <= n:
        return rows
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), n, replace=False))]


def summarise(
    blocks: Iterable[NDArray[np.floating]], weights: NDArray[np.float64] | None = None
) -> Summary:
    """Summarise blocks of rows, shape (n_block_rows, n_columns) each; NaN is missing.

    Moments are merged from block to block (Chan, Golub and LeVeque 1983, "Algorithms for computing
    the sample variance", eq. 2.1), over values divided by the largest so far, so that no square
    overflows or vanishes.

    Parameters
    ----------
    blocks : iterable of ndarray
        At least one, with at least one row.
    weights : ndarray of shape (n_rows,) or None
        Of the rows, for the moments and the draw.
    """
    so_far = None
    with np.errstate(under="ignore"):  # what vanishes beside the largest value is nothing
        for block in blocks:
            so_far = so_far or _Pass(block.shape[1], weights)
            so_far.add(block)
        assert so_far is not None
        return so_far.summary()


class _Pass:
    """Accumulators of `summarise`."""

    def __init__(self, n_columns: int, weights: NDArray[np.float64] | None) -> None:
        self.weights = weights
        self.n_rows = 0
        self.eps = 0.0
        self.low = np.full(n_columns, np.inf)
        self.high = np.full(n_columns, -np.inf)
        self.whole = np.ones(n_columns, dtype=bool)
        self.n_known = np.zeros(n_columns, dtype=np.int64)
        self.scale = np.full(n_columns, np.finfo(np.float64).tiny)
        self.weight, self.mean, self.squares = np.zeros((3, n_columns))
        self.rng = np.random.default_rng(0)
        self.n_kept = max(1, min(MAX_ROWS, MAX_NUMBERS // max(n_columns, 1)))
        self.kept: NDArray[np.floating] | None = None
        self.keys = np.empty(0)
        self.numbers = np.empty(0, dtype=np.intp)
        self.times: NDArray[np.intp] | None = None
        if weights is not None:
            self.times = repeats(weights, self.rng, min(len(weights), self.n_kept))

    def add(self, block: NDArray[np.floating]) -> None:
        rows = slice(self.n_rows, self.n_rows + len(block))
        weights = None if self.weights is None else self.weights[rows]
        known = ~np.isnan(block)
        n_known = known.sum(axis=0)
        complete = bool(n_known.min(initial=len(block)) == len(block))
        filled = block if complete else np.where(known, block, block.dtype.type(0))
        low = (block if complete else np.where(known, block, np.inf)).min(axis=0)
        high = (block if complete else np.where(known, block, -np.inf)).max(axis=0)
        self.low = np.minimum(self.low, low)
        self.high = np.maximum(self.high, high)
        self.whole &= (filled == np.trunc(filled)).all(axis=0)
        self._add_moments(filled, known, weights, np.abs(filled).max(axis=0))
        self.n_known += n_known
        self.n_rows += len(block)
        self.eps = max(self.eps, float(np.finfo(block.dtype).eps))
        numbers = np.arange(rows.start, rows.stop)
        if self.times is not None:
            numbers = np.repeat(numbers, self.times[rows])
            block = block[numbers - rows.start]
        self._keep(block, numbers)

    def _add_moments(
        self,
        filled: NDArray[np.floating],
        known: NDArray[np.bool_],
        weights: NDArray[np.float64] | None,
        largest: NDArray[np.floating],
    ) -> None:
        scale = np.maximum(self.scale, largest)
        shrink = self.scale / scale
        self.mean *= shrink
        self.squares *= shrink**2
        self.scale = scale

        def pieces() -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
            """Values in units of the scale, and their weights, 0 where nothing is known."""
            n_rows = rows_of_block(filled.shape[1], _PIECE)
            for start in range(0, len(filled), n_rows):
                rows = slice(start, start + n_rows)
                times = 1.0 if weights is None else weights[rows, None]
                yield filled[rows] / scale, known[rows] * times

        weight, sums, squares = np.zeros((3, filled.shape[1]))
        for values, share in pieces():
            weight += share.sum(axis=0)
            sums += (share * values).sum(axis=0)
        total = self.weight + weight
        mean = sums / np.where(weight > 0, weight, 1.0)
        for values, share in pieces():
            squares += (share * np.square(values - mean)).sum(axis=0)
        step = np.where(weight > 0, mean - self.mean, 0.0)
        part = weight / np.where(total > 0, total, 1.0)
        self.squares += squares + np.square(step) * self.weight * part
        self.mean += step * part
        self.weight = total

    def _keep(self, block: NDArray[np.floating], numbers: NDArray[np.intp]) -> None:
        """Keep the rows with the smallest of one random number each: a uniform draw."""
        keys = self.rng.random(len(block))
        if self.kept is None:
            self.kept = block[:0]
        wanted = np.arange(len(block))
        if len(self.keys) == self.n_kept:
            wanted = np.flatnonzero(keys < self.keys.max())
        keys = np.concatenate([self.keys, keys[wanted]])
        rows = np.concatenate([self.kept, block[wanted]])
        numbers = np.concatenate([self.numbers, numbers[wanted]])
        if len(keys) > self.n_kept:
            smallest = np.sort(np.argpartition(keys, self.n_kept)[: self.n_kept])
            keys, rows, numbers = keys[smallest], rows[smallest], numbers[smallest]
        self.keys, self.kept, self.numbers = keys, rows, numbers

    def summary(self) -> Summary:
        assert self.kept is not None
        some = self.n_known > 0
        mean = self.mean * self.scale
        weight = np.where(self.weight > 0, self.weight, 1.0)
        spread = np.sqrt(self.squares / weight) * self.scale
        # A spread at the level of rounding errors is that of a constant column.
        spread[(self.low == self.high) | (spread <= 4 * self.eps * np.abs(mean))] = 0.0
        return Summary(
            self.n_rows,
            self.n_known,
            np.where(some, self.low, np.nan),
            np.where(some, self.high, np.nan),
            mean,
            spread,
            self.whole & some,
            self.kept,
            self.numbers,
        )
