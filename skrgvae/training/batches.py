"""Rows in random order, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Rows:
    """Rows of a table, handed out as tensors on a device.

    Rows are gathered by numpy, so that a read-only array or a memory map is never written to and
    never held twice.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    device : torch.device
    """

    def __init__(self, table: NDArray, device: torch.device) -> None:
        self.table = table
        self.device = device

    def __len__(self) -> int:
        return len(self.table)

    def take(self, index: NDArray[np.intp]) -> Tensor:
        """Rows at the given positions, shape (n_taken, n_columns)."""
        return torch.from_numpy(self.table[index]).to(self.device)

    def n_batches(self, batch_size: int) -> int:
        """Batches in one pass."""
        return max(1, -(-len(self) // batch_size))

    def shuffled(self, batch_size: int, rng: np.random.Generator) -> Iterator[Tensor]:
        """One pass in random order.

        The batches differ by one row at most: a small remainder would be normalised by the
        moments of a handful of rows.
        """
        order = rng.permutation(len(self))
        for index in np.array_split(order, self.n_batches(batch_size)):
            yield self.take(index)
