"""Negative binomial columns: counts that vary more than Poisson's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.counts import Counts, at_positive
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

        def log_coefficient(count: Tensor, *where: Tensor) -> Tensor:
            size = dispersion.double()[where[-1]]
            return torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)

        log_odds = self.log_mean(outputs, observed) - self._log_dispersion()
        return blank(
            at_positive(values, log_coefficient)
            + dispersion * F.logsigmoid(-log_odds)
            + values * F.logsigmoid(log_odds),
            known,
        )

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        # A Poisson law whose rate is of a gamma law.
        dispersion = self.dispersion().expand_as(outputs)
        relative = torch._standard_gamma(dispersion, generator=generator) / dispersion
        return torch.poisson(self.expectation(outputs) * relative, generator=generator)

    def _log_dispersion(self) -> Tensor:
        return self.log_dispersion.clamp(*LOG_BOUNDS)
