"""Bernoulli columns: 0/1 values, or intensities in [0, 1] scored by their cross-entropy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from skrgvae.likelihoods.family import DTYPE, Family


class Bernoulli(Family):
    """p(x = 1) = sigmoid(output), one output per column.

    Values strictly between 0 and 1 are taken as the probability that the column is on, as
    scikit-learn's BernoulliRBM takes them; their "log-density" is then the cross-entropy.
    """

    name = "bernoulli"
    rate: Tensor

    def __init__(self, n_columns: int) -> None:
        super().__init__(n_columns)
        self.register_buffer("rate", torch.full((n_columns,), 0.5, dtype=DTYPE))

    def set_statistics(self, columns: NDArray[np.floating]) -> None:
        # Half a pseudo-count on each side keeps the logit of a column that is never on finite.
        rate = (columns.sum(axis=0, dtype=np.float64) + 0.5) / (len(columns) + 1.0)
        # ... and the clip does so where float32 would round the rate to 1.
        self.rate.copy_(torch.from_numpy(rate.clip(2.0**-24, 1 - 2.0**-24)))

    def initial_outputs(self) -> Tensor:
        return torch.logit(self.rate)

    def observe(self, columns: Tensor) -> Tensor:
        return columns.to(self.rate.dtype)

    def inputs(self, observed: Tensor) -> Tensor:
        return observed - self.rate

    def log_prob(self, observed: Tensor, outputs: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(
            outputs, observed.expand_as(outputs), reduction="none"
        )

    def mean(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(outputs), generator=generator)
