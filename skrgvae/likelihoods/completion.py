"""Holes of a row, filled in with what its known numbers say in a linear way."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.correlation import expected_given_known, shrunk_correlation
from skrgvae.likelihoods.family import DTYPE

# Columns up to which their correlation is kept.
MOST_CORRELATED = 1000


class LinearCompletion(nn.Module):
    """E[x_m | x_o] = f_m + D_m R_mo R_oo^{-1} D_o^{-1} (x_o - f_o).

    What is expected of a row's unknown numbers x_m given its known ones x_o under a Gaussian law
    with mean f (Eaton 1983, "Multivariate statistics", proposition 3.13; kriging with a trend is
    the same). D and R are the training rows' standard deviations and their shrunk correlation,
    whatever f is: a network that has few rows to learn from leaves less of those rows than of any
    others. Columns that stand for one another (sensors at the same pipe, samples of one curve)
    are so used in full, where latent units hold what many columns share.

    Known values count as no further beyond the training values than the range of these: one
    broken sensor says nothing about the others, however far out it is.

    Parameters
    ----------
    n_columns : int
        For more than a thousand the correlation is not kept, and nothing is added to f.
    """

    loc: Tensor
    unit: Tensor
    low: Tensor
    high: Tensor
    correlation: Tensor | None

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        # In float64 whatever the network computes in: see likelihoods/gaussian.py.
        for name in ("loc", "low", "high"):
            self.register_buffer(name, torch.zeros(n_columns, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(n_columns, dtype=torch.float64))
        few = n_columns <= MOST_CORRELATED
        self.register_buffer("correlation", torch.eye(n_columns, dtype=DTYPE) if few else None)

    def set_statistics(self, summary: Summary) -> None:
        """Take moments, extremes and the correlation from the summary of the columns."""
        self.loc.copy_(torch.from_numpy(summary.mean))
        self.unit.copy_(torch.from_numpy(np.where(summary.spread > 0, summary.spread, 1.0)))
        self.low.copy_(torch.from_numpy(np.nan_to_num(summary.low)))
        self.high.copy_(torch.from_numpy(np.nan_to_num(summary.high)))
        if self.correlation is not None:
            rows = torch.tensor(summary.rows)
            known = ~torch.isnan(rows)
            values = ((rows - self.loc) / self.unit).to(DTYPE)
            self.correlation.copy_(shrunk_correlation(values, known))

    def fill(self, rows: Tensor) -> Tensor:
        """Rows, (n_rows, n_columns) in data units, NaN filled in around the columns' means.

        No further out than the training values.
        """
        filled = self.given(rows, self.loc).clamp(self.low, self.high)
        return torch.where(torch.isnan(rows), filled.to(rows.dtype), rows)

    def given(self, rows: Tensor, expected: Tensor) -> Tensor:
        """What is expected of all entries, where f is `expected` without a look at the known ones.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_columns)
            In data units; NaN is missing.
        expected : Tensor of shape (n_rows, n_columns) or (n_columns,)
        """
        if self.correlation is None:
            return expected.expand_as(rows)
        far = self.high - self.low
        near = rows.clamp(self.low - far, self.high + far)
        left = (near - expected) / self.unit
        added = expected_given_known(self.correlation, left, ~torch.isnan(rows))
        return (expected + self.unit * added).clamp(self.low - far, self.high + far)
