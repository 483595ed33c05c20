"""Negative binomial columns: counts that vary more than Poisson's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.counts import LOG_LARGEST, Counts, at_positive
from skrgvae.likelihoods.family import DTYPE, Observed, blank

# Bounds of the dispersion. At the upper one the law is Poisson's in all but name.
LOG_BOUNDS = math.log(1e-3), math.log(1e6)


class NegativeBinomial(Counts):
    """x of mean m = exposure * exp(output) and variance m + m^2 / dispersion.

    The dispersion is learned, one per column, as its logarithm. See `Counts` for the exposure of a
    row, as scVI has it (Lopez et al. 2018, "Deep generative modeling for single-cell
    transcriptomics"): from `EXPOSURE_COLUMNS` columns on, log-densities are conditional on the
    rows' totals.
    """

    name = "negative_binomial"

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        self.log_dispersion = nn.Parameter(torch.zeros(self.n_columns, dtype=DTYPE))

    def set_statistics(self, summary: Summary) -> None:
        super().set_statistics(summary)
        # From mean and variance: 1 / dispersion = (spread / mean)^2 - 1 / mean.
        mean = summary.mean.clip(1e-9)
        inverse = np.square((summary.spread / mean).clip(max=1e9)) - 1 / mean
        # Where exposure or latent units explain much of the variance, less is left: start inside.
        start = np.log(1 / inverse.clip(0.01, 10.0))
        with torch.no_grad():
            self.log_dispersion.copy_(torch.from_numpy(start))

    def dispersion(self) -> Tensor:
        """Shape (n_columns,); the smaller, the more the counts vary."""
        return torch.exp(self._log_dispersion())

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        values, known = observed.values, observed.known
        dispersion = self.dispersion()
        log_odds = self.log_mean(outputs, observed) - self._log_dispersion()
        return blank(
            at_positive(values, partial(_log_coefficient, dispersion))
            + dispersion * F.logsigmoid(-log_odds)
            + values * F.logsigmoid(log_odds),
            known,
        )

    def log_prob_and_slopes(
        self, observed: Observed, outputs: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        # With s = sigmoid(log_odds), log p = log_coefficient + r log(1 - s) + x log s, and its
        # slope by the log-odds is x (1 - s) - r s. Nearly all counts of a wide table are 0: terms
        # that are 0 with them are computed for the others alone.
        values, known, dispersion = observed.values, observed.known, self.dispersion()
        log_mean = self.log_mean(outputs, observed)
        log_odds = log_mean - self._log_dispersion()
        log_p_zero = blank(F.logsigmoid(-log_odds), known)
        slope = blank(torch.sigmoid(log_odds).mul_(-dispersion), known)
        where = torch.nonzero(values, as_tuple=True)
        count, column, odds = values[where], where[-1], log_odds[where]
        size = dispersion[column]
        terms = _log_coefficient(dispersion, count.double(), column).to(values.dtype)
        terms += count * F.logsigmoid(odds)
        log_prob = torch.mv(log_p_zero, dispersion).index_add_(0, where[0], terms)
        slope.index_put_(where, count * torch.sigmoid(-odds) - size * torch.sigmoid(odds))
        digammas = torch.digamma(count.double() + size) - torch.digamma(size.double())
        by_dispersion = log_p_zero.sum(dim=0).index_add_(0, column, digammas.to(values.dtype))
        by_log_dispersion = by_dispersion * dispersion - slope.sum(dim=0)
        low, high = LOG_BOUNDS
        free = (self.log_dispersion >= low) & (self.log_dispersion <= high)
        slope.mul_(log_mean.abs() < LOG_LARGEST)  # a mean at its bound stays there
        return log_prob, (slope, by_log_dispersion * free)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        # A Poisson law whose rate is of a gamma law.
        dispersion = self.dispersion().expand_as(outputs)
        relative = torch._standard_gamma(dispersion, generator=generator) / dispersion
        return torch.poisson(self.expectation(outputs) * relative, generator=generator)

    def _log_dispersion(self) -> Tensor:
        return self.log_dispersion.clamp(*LOG_BOUNDS)


def _log_coefficient(dispersion: Tensor, count: Tensor, *where: Tensor) -> Tensor:
    """log Gamma(x + r) / (Gamma(r) x!) of counts x above 0, in the columns that end `where`."""
    size = dispersion.double()[where[-1]]
    return torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
