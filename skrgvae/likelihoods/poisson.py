"""Poisson columns: counts whose variance is their mean."""

from __future__ import annotations

import torch
from torch import Tensor

from skrgvae.likelihoods.counts import LOG_LARGEST, Counts, at_positive
from skrgvae.likelihoods.family import Observed, blank


class Poisson(Counts):
    """x ~ Poisson(exposure * exp(output)); see `Counts` for the exposure of a row.

    From `EXPOSURE_COLUMNS` columns on, log-densities are conditional on the rows' totals.
    """

    name = "poisson"

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        log_mean = self.log_mean(outputs, observed)
        return blank(poisson_log_prob(observed.values, log_mean), observed.known)

    def log_prob_and_slopes(
        self, observed: Observed, outputs: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        log_mean = self.log_mean(outputs, observed)
        log_prob = blank(poisson_log_prob(observed.values, log_mean), observed.known)
        slope = blank(observed.values - torch.exp(log_mean), observed.known)
        slope.mul_(log_mean.abs() < LOG_LARGEST)  # a mean at its bound stays there
        return log_prob.sum(dim=-1), (slope,)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.poisson(self.expectation(outputs), generator=generator)


def poisson_log_prob(values: Tensor, log_mean: Tensor) -> Tensor:
    """Log-probability of counts, shape (..., n_rows, n_columns).

    With d = log(m / x), x log m - m - log x! = x (d - expm1(d)) + (x log x - x - log x!): large
    terms cancel in the last bracket alone, which is computed in float64.
    """
    ratio = log_mean - at_positive(values, lambda count, *_: torch.log(count))
    fit = values * (ratio - torch.expm1(ratio))
    rest = at_positive(
        values, lambda count, *_: count * torch.log(count) - count - torch.lgamma(count + 1)
    )
    return torch.where(values > 0, fit + rest, -torch.exp(log_mean))
