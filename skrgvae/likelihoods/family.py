"""What every likelihood family answers, whatever its columns mean."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Of parameters and statistics when they are made, whatever torch's default is.
DTYPE = torch.float32


class Family(nn.Module):
    """Law of one block of columns given the decoder's outputs.

    Values exist in two forms: as the user's table holds them ("data units") and as the network
    sees them ("internal units", what `observe` returns). Log-densities are always those of the
    data units, in nats, so that scores don't depend on an internal scaling.

    Parameters
    ----------
    n_columns : int
        Columns of the block.

    Attributes
    ----------
    n_inputs : int
        Columns that `inputs` hands to the bottom-up pass.
    n_outputs : int
        Numbers the decoder must give per row.
    """

    name: ClassVar[str]

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.n_columns = n_columns
        self.n_inputs = n_columns
        self.n_outputs = n_columns

    def set_statistics(self, columns: NDArray[np.floating]) -> None:
        """Take what the block needs from the training columns, shape (n_rows, n_columns)."""
        raise NotImplementedError

    def initial_outputs(self) -> Tensor:
        """Decoder bias, shape (n_outputs,), at which every column has its marginal law."""
        raise NotImplementedError

    def observe(self, columns: Tensor) -> Tensor:
        """Data units to internal units, both of shape (n_rows, n_columns)."""
        raise NotImplementedError

    def inputs(self, observed: Tensor) -> Tensor:
        """What the bottom-up pass reads, shape (n_rows, n_inputs); 0 means nothing is known."""
        raise NotImplementedError

    def log_prob(self, observed: Tensor, outputs: Tensor) -> Tensor:
        """Log-density in data units (nats), shape (..., n_rows, n_columns)."""
        raise NotImplementedError

    def mean(self, outputs: Tensor) -> Tensor:
        """E[x | outputs] in data units, shape (..., n_columns)."""
        raise NotImplementedError

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x given the outputs, in data units, shape (..., n_columns)."""
        raise NotImplementedError
