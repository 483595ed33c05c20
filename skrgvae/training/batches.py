"""Rows in random order, a batch at a time, on a device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skrgvae.data.sources import ArrayRows, Source, n_batches

# Share of a device's free memory that the rows may take.
RESIDENT_SHARE = 0.25
# Rows that go there at a time.
PIECE = 4096


class Rows:
    """Rows of a source, handed out as tensors on a device.

    Rows in memory go to a CUDA device once, if they take no more than a share of what is free
    there. Others go a batch at a time, while the device works on the batch before.

    Parameters
    ----------
    source : Source
    device : torch.device
    weights : ndarray of shape (n_rows,) or None
        A pass meets each row on average in proportion to its weight.
    """

    def __init__(
        self, source: Source, device: torch.device, weights: NDArray[np.float64] | None = None
    ) -> None:
        self.source = source
        self.device = device
        self.weights = weights
        self._resident: Tensor | None = None

    def __len__(self) -> int:
        return self.source.n_rows

    def n_batches(self, batch_size: int) -> int:
        """Batches in one pass."""
        return n_batches(len(self), batch_size)

    def sizes(self, batch_size: int) -> set[int]:
        """Numbers of rows that batches of every pass have: parts of one size, or nearly."""
        n_parts = self.n_batches(batch_size)
        return {batch_size, len(self) // n_parts, -(-len(self) // n_parts)}

    def shuffled(
        self, batch_size: int, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, bool | None]]:
        """One pass in random order.

        Yields
        ------
        rows : Tensor of shape (n_rows, n_columns)
        complete : bool or None
            Whether no entry is missing, where that is known already.
        """
        if self.device.type == "cuda":
            yield from self._to_device(batch_size, rng)
            return
        for batch in self.source.batches(batch_size, rng, self.weights):
            yield torch.from_numpy(batch).to(self.device), None

    def _to_device(
        self, batch_size: int, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, bool | None]]:
        table = self._resident_table()
        if table is None:
            for batch in self.source.batches(batch_size, rng, self.weights):
                pinned = torch.from_numpy(batch).pin_memory()
                yield pinned.to(self.device, non_blocking=True), not np.isnan(batch.sum())
            return
        assert isinstance(self.source, ArrayRows)
        complete = not bool(torch.isnan(table.sum()))
        positions = self.source.shuffled(batch_size, rng, self.weights)
        order = torch.from_numpy(np.concatenate(positions)).to(self.device)
        for which in order.split([len(part) for part in positions]):
            yield table.index_select(0, which), complete

    def _resident_table(self) -> Tensor | None:
        """All rows on the device, or None where they had better not be there."""
        source = self.source
        if self._resident is None and isinstance(source, ArrayRows):
            free, _ = torch.cuda.mem_get_info(self.device)
            n_bytes = source.n_rows * source.n_columns * source.dtype.itemsize
            if n_bytes <= RESIDENT_SHARE * free:
                dtype = torch.from_numpy(np.empty(0, source.dtype)).dtype
                shape = source.n_rows, source.n_columns
                self._resident = torch.empty(shape, dtype=dtype, device=self.device)
                for where, part in source.pieces(PIECE):
                    self._resident[where] = torch.from_numpy(part)
        return self._resident
