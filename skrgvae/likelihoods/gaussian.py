"""Gaussian columns: a mean from the decoder, one learned scale per column."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from skrgvae.likelihoods.family import DTYPE, Family

# Smallest scale, as a share of the column's standard deviation. Without a floor one column that
# the latent units copy exactly would earn an unbounded density and drown all others.
SCALE_FLOOR = 0.1


class Gaussian(Family):
    """x ~ N(loc + spread * output, (spread * scale)^2), standardised by the training columns.

    Constant columns contribute nothing: their log-density is 0 and their mean the constant.
    """

    name = "gaussian"
    loc: Tensor
    spread: Tensor
    varies: Tensor

    def __init__(self, n_columns: int) -> None:
        super().__init__(n_columns)
        # Location and spread stay in float64 whatever the network computes in: a timestamp-like
        # column (1.6e9 + seconds) would lose its digits in float32 before it is centred.
        self.register_buffer("loc", torch.zeros(n_columns, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(n_columns, dtype=torch.float64))
        self.register_buffer("varies", torch.ones(n_columns, dtype=torch.bool))
        # softplus(0.5413) = 1: the scale starts at the column's own spread.
        start = torch.full((n_columns,), math.log(math.expm1(1.0)), dtype=DTYPE)
        self.raw_scale = nn.Parameter(start)

    def set_statistics(self, columns: NDArray[np.floating]) -> None:
        loc, spread = _robust_moments(columns)
        varies = spread > 0.0
        self.loc.copy_(torch.from_numpy(loc))
        self.spread.copy_(torch.from_numpy(np.where(varies, spread, 1.0)))
        self.varies.copy_(torch.from_numpy(varies))

    def initial_outputs(self) -> Tensor:
        return torch.zeros(self.n_columns, dtype=DTYPE)

    def observe(self, columns: Tensor) -> Tensor:
        standardised = (columns - self.loc) / self.spread
        return torch.where(self.varies, standardised, 0.0).to(self.raw_scale.dtype)

    def inputs(self, observed: Tensor) -> Tensor:
        return observed

    def scale(self) -> Tensor:
        """Standard deviation in units of the column's spread, shape (n_columns,)."""
        return SCALE_FLOOR + F.softplus(self.raw_scale)

    def log_prob(self, observed: Tensor, outputs: Tensor) -> Tensor:
        scale = self.scale()
        normaliser = (
            torch.log(scale) + torch.log(self.spread).to(scale.dtype) + 0.5 * math.log(2 * math.pi)
        )
        log_density = -0.5 * ((observed - outputs) / scale).square() - normaliser
        return log_density * self.varies

    def mean(self, outputs: Tensor) -> Tensor:
        return self.loc + self.spread * torch.where(self.varies, outputs, 0.0)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(
            outputs.shape, generator=generator, dtype=outputs.dtype, device=outputs.device
        )
        return self.mean(outputs + self.scale() * noise)


def _robust_moments(columns: NDArray[np.floating]) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of each column in float64, without overflow or underflow."""
    largest = np.maximum(np.abs(columns).max(axis=0).astype(np.float64), np.finfo(float).tiny)
    loc = np.empty(columns.shape[1])
    spread = np.empty(columns.shape[1])
    for j in range(columns.shape[1]):  # column by column: no float64 copy of the whole table
        scaled = columns[:, j].astype(np.float64) / largest[j]
        loc[j] = scaled.mean()
        spread[j] = scaled.std()
    # A spread at the level of rounding errors is that of a constant column.
    spread[spread <= 4 * np.finfo(columns.dtype).eps * np.abs(loc)] = 0.0
    return loc * largest, spread * largest
