"""Holes of a row, filled in with what the rest of it says in a linear way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.correlation import expected_given_known, shrunk_correlation
from skrgvae.likelihoods.family import DTYPE, first_scale, widen, within_reach

# Coordinates of which a correlation is kept, and rows that it is taken from, at most.
MOST_CORRELATED, MAX_ROWS = 1000, 2000

# Steps of the solver. Each costs a batch one product with the correlation, and in training the
# network doesn't need the last digits. Features do: after 8 or 20 steps those of float32 rows
# would differ from those of the same rows in float64.
N_STEPS, TRAINING_STEPS = 30, 8


class LinearCompletion(nn.Module):
    """E[x_m | x_o] = f_m + D_m R_mo R_oo^{-1} D_o^{-1} (x_o - f_o).

    What is expected of a row's unknown coordinates x_m (its numbers; a 1 or 0 for each category)
    given its known ones x_o under a Gaussian law with mean f (Eaton 1983, "Multivariate
    statistics", proposition 3.13; kriging with a trend is the same). D and R are the training
    rows' standard deviations and their shrunk correlation, whatever f is: a network that has few
    rows to learn from leaves less of those rows than of any others. Columns that stand for one
    another (sensors at the same pipe, samples of one curve) are so used in full, where latent
    units hold what many columns share.

    Known values count as no further beyond the training values (beyond what is usual among them,
    where a family has outliers) than the range of these.

    Parameters
    ----------
    n_coordinates : int
    """

    loc: Tensor
    unit: Tensor
    low: Tensor
    high: Tensor
    correlation: Tensor

    def __init__(self, n_coordinates: int) -> None:
        super().__init__()
        # In float64 whatever the network computes in: see likelihoods/gaussian.py.
        for name in ("loc", "low", "high"):
            self.register_buffer(name, torch.zeros(n_coordinates, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(n_coordinates, dtype=torch.float64))
        self.register_buffer("correlation", torch.eye(n_coordinates, dtype=DTYPE))

    def set_statistics(self, parts: Sequence[Summary], rows: Tensor) -> None:
        """Take moments and extremes of blocks of coordinates, and the correlation of all.

        Parameters
        ----------
        parts : sequence of Summary
            One for each block, of all training rows.
        rows : Tensor of shape (n_rows, n_coordinates)
            Training rows that the correlation is taken from; NaN is missing.
        """
        spread = torch.from_numpy(np.concatenate([part.spread for part in parts]))
        spread = torch.where(spread > 0.0, spread, 1.0)
        for buffer, name in ((self.loc, "mean"), (self.low, "low"), (self.high, "high")):
            statistic = np.concatenate([getattr(part, name) for part in parts])
            buffer.copy_(torch.from_numpy(np.nan_to_num(statistic)))
        values = (within_reach(rows, self.low, self.high) - self.loc) / spread
        # Of the same rows as the correlation: a spike that only the others hold is in neither.
        deviation = _deviation(values)
        self.unit.copy_(spread * torch.where(deviation > 0.0, deviation, 1.0))
        values = (values * (spread / self.unit)).to(DTYPE)
        self.correlation.copy_(shrunk_correlation(values, ~torch.isnan(rows)))

    def extend(self, parts: Sequence[Summary]) -> None:
        """Take extremes of more rows in, block by block; NaN says nothing."""
        if parts:
            late, loc, spread = first_scale(parts, self.low == self.high, self.loc)
            self.loc[late], self.unit[late] = loc, spread
            self.low[late], self.high[late] = loc - spread, loc + spread
            lowest, highest = (
                np.concatenate([getattr(part, name) for part in parts]) for name in ("low", "high")
            )
            widen(self.low, self.high, lowest, highest)

    def fill(self, rows: Tensor) -> Tensor:
        """Coordinates of rows, NaN filled in around the means of all, inside the training values.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_coordinates)
        """
        n_steps = TRAINING_STEPS if self.training else N_STEPS
        filled = self.given(rows, self.loc, n_steps).clamp(self.low, self.high)
        return torch.where(torch.isnan(rows), filled.to(rows.dtype), rows)

    def given(self, rows: Tensor, expected: Tensor, n_steps: int = N_STEPS) -> Tensor:
        """What is expected of all coordinates, where f is `expected`.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_coordinates)
            NaN is missing.
        expected : Tensor of shape (n_rows, n_coordinates) or (n_coordinates,)
        n_steps : int
            Of the solver.
        """
        known, reached = (within_reach(part, self.low, self.high) for part in (rows, expected))
        left = (known - reached) / self.unit
        added = expected_given_known(self.correlation, left, ~torch.isnan(rows), n_steps)
        far = self.high - self.low
        lowest = torch.minimum(self.low - far, expected)
        highest = torch.maximum(self.high + far, expected)
        return (expected + self.unit * added).clamp(lowest, highest)


def _deviation(values: Tensor) -> Tensor:
    """Standard deviation of what is known of every column; NaN where nothing is.

    0 exactly of a single value, such as that of a category which none of the rows has: the mean of
    equal numbers is not always one of them.
    """
    above = values - torch.where(torch.isnan(values), torch.inf, values).amin(dim=0)
    return (above - above.nanmean(dim=0)).square().nanmean(dim=0).sqrt()
