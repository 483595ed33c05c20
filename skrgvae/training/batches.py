"""Rows in random order, a batch at a time, on a device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skrgvae.data.sources import Source, n_batches


class Rows:
    """Rows of a source, handed out as tensors on a device.

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

    def __len__(self) -> int:
        return self.source.n_rows

    def n_batches(self, batch_size: int) -> int:
        """Batches in one pass."""
        return n_batches(len(self), batch_size)

    def shuffled(self, batch_size: int, rng: np.random.Generator) -> Iterator[Tensor]:
        """One pass in random order."""
        for batch in self.source.batches(batch_size, rng, self.weights):
            yield torch.from_numpy(batch).to(self.device)
