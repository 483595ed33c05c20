"""The linear part of what numbers say about each other: a covariance that survives few rows."""

from __future__ import annotations

import torch
from torch import Tensor

# Bounds of the share of its diagonal in the covariance. The lower one keeps systems well
# conditioned. Above the upper one it costs more than it saves: sampling variances of columns with
# spikes are large (held-out rows of SECOM: error .81 at a fifth, .83 without an upper bound).
LEAST_SHRINKAGE, MOST_SHRINKAGE = 0.01, 0.2

# Rows, evenly spaced ones, that the covariance is taken from: each with holes asks for a solution.
MAX_ROWS = 1000

# Numbers that the systems solved at a time may hold.
BLOCK = 2**22


def shrunk_covariance(values: Tensor, known: Tensor) -> Tensor:
    """Covariance of columns with mean 0, shrunk towards its diagonal.

    ::

        S_jk = (1 - w) s_jk,    S_jj = s_jj,    w = sum_{j != k} Var(s_jk) / sum_{j != k} s_jk^2

    with s_jk the mean of y_j y_k over the rows, and Var(s_jk) its sampling variance, estimated
    from the same products; both sums are over columns scaled to variance 1 (Schaefer and Strimmer
    2005, "A shrinkage approach to large-scale covariance matrix estimation", section 2.4). w is
    kept within bounds.

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
    n_rows = max(len(values), 1)
    variance = values.square().sum(dim=0) / n_rows
    variance = torch.where(variance > 0.0, variance, 1.0)
    scaled = values * variance.rsqrt()
    correlation = scaled.t() @ scaled / n_rows
    squares = scaled.square()
    sampling = (squares.t() @ squares / n_rows - correlation.square()) / n_rows
    for matrix in (correlation, sampling):
        matrix.fill_diagonal_(0.0)
    total = correlation.square().sum().clamp(min=torch.finfo(values.dtype).tiny)
    shrinkage = (sampling.sum() / total).clamp(LEAST_SHRINKAGE, MOST_SHRINKAGE)
    correlation = (1.0 - shrinkage) * correlation
    correlation.fill_diagonal_(1.0)
    scale = variance.sqrt()
    return scale.unsqueeze(1) * correlation * scale
