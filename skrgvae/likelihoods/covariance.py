"""The linear part of what numbers say about each other: a covariance that survives few rows."""

from __future__ import annotations

import torch
from torch import Tensor

# Share of its diagonal in the covariance. Ledoit and Wolf (2004), "A well-conditioned estimator
# for large-dimensional covariance matrices", estimate it; a fifth is near what they find where
# there are a few rows per column, and keeps every system that is solved well conditioned.
SHRINKAGE = 0.2

# Rows, evenly spaced ones, that the covariance is taken from: each with holes asks for a solution.
MAX_ROWS = 1000

# Numbers that the systems solved at a time may hold.
BLOCK = 2**22


def shrunk_covariance(values: Tensor, known: Tensor) -> Tensor:
    """Covariance of columns with mean 0, shrunk towards its diagonal.

    Missing entries are first taken as 0, then as what the covariance so found expects of them
    given the row's known ones, without the spread around it (the first step of an EM algorithm
    whose conditional variances are left to the shrinkage).

    Parameters
    ----------
    values, known : Tensor of shape (n_rows, n_columns)

    Returns
    -------
    Tensor of shape (n_columns, n_columns)
        Positive definite. Columns that are 0 throughout have variance 1.
    """
    step = max(1, -(-len(values) // MAX_ROWS))
    values, known = torch.where(known, values, 0.0)[::step], known[::step]
    covariance = _shrunk(values)
    holes = torch.nonzero(~known.all(dim=1)).squeeze(1)
    if not len(holes):
        return covariance
    expected = expected_given_known(covariance, values[holes], known[holes])
    filled = torch.where(known[holes], values[holes], expected)
    return _shrunk(values.index_copy(0, holes, filled))


def expected_given_known(covariance: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Expectation of all columns given a row's known ones, for a Gaussian law with mean 0.

    ::

        E[y | y_o] = S_{:,o} S_oo^{-1} y_o

    Parameters
    ----------
    covariance : Tensor of shape (n_columns, n_columns)
        S, positive definite.
    values : Tensor of shape (..., n_rows, n_columns)
        Whatever stands in place of unknown entries is ignored.
    known : Tensor of bool of shape (n_rows, n_columns)

    Returns
    -------
    Tensor of shape (..., n_rows, n_columns)
    """
    size = max(1, BLOCK // max(len(covariance), 1) ** 2)
    given = torch.where(known, values, 0.0)
    # One system per row, with a right-hand side for each leading index: (n_rows, n_columns, k).
    sides = given.reshape(-1, *known.shape).permute(1, 2, 0)
    pieces = []
    for side, here in zip(sides.split(size), known.split(size), strict=True):
        some = here.to(covariance.dtype)
        # Rows and columns of unknown entries become those of the identity: they drop out.
        system = covariance * some.unsqueeze(-1) * some.unsqueeze(-2)
        system.diagonal(dim1=-2, dim2=-1).add_(1.0 - some)
        weights = torch.cholesky_solve(side, torch.linalg.cholesky_ex(system).L)
        pieces.append(covariance @ weights)
    return torch.cat(pieces).permute(2, 0, 1).reshape(given.shape)


def _shrunk(values: Tensor) -> Tensor:
    covariance = values.t() @ values / max(len(values), 1)
    variance = covariance.diagonal().clone()
    covariance = (1.0 - SHRINKAGE) * covariance
    covariance.diagonal().copy_(torch.where(variance > 0.0, variance, 1.0))
    return covariance
