"""Multinomial columns: how the words of a row are shared out among the columns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.counts import LOG_LARGEST, Counts, at_positive
from skrgvae.likelihoods.family import DTYPE, LARGEST, Observed, blank
from skrgvae.likelihoods.poisson import poisson_log_prob


class Multinomial(Counts):
    """Counts of a row given their total n: p = softmax(outputs), over its known columns.

    All columns of the block together have one law. It is that of independent Poisson counts with
    means n p_j, given that they add up to n: each column has its Poisson log-probability, and
    minus the logarithm of the total's, n - n log n + log n!, is shared out in proportion to the
    counts. The sum over the columns is log n! + sum_j (x_j log p_j - log x_j!).
    """

    name = "multinomial"
    exposure_columns = 1
    mean_total: Tensor

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        self.register_buffer("mean_total", torch.ones(1, dtype=DTYPE))

    def set_statistics(self, summary: Summary) -> None:
        super().set_statistics(summary)
        self.mean_total.fill_(float(summary.mean.clip(max=LARGEST).sum()))

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        values, known = observed.values, observed.known
        total = values.sum(-1, keepdim=True)
        log_total = torch.log(total.clamp(min=torch.finfo(total.dtype).tiny))
        # Shares of unknown columns have no bound, and must not spoil the gradient.
        log_mean = (log_total + self._log_shares(outputs, known)).clamp(max=LOG_LARGEST)

        def given_total(count: Tensor, *where: Tensor) -> Tensor:
            n = total[where[:-1]].squeeze(-1).double()
            return count / n * (n - n * torch.log(n) + torch.lgamma(n + 1))

        given = at_positive(values, given_total)
        return blank(poisson_log_prob(values, log_mean) + given, known)

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        """Total times shares, shape (..., n_columns).

        The total is that of the row's known columns, over their share; the training rows' mean
        without `observed`, and in rows of which no column is known.
        """
        usual = self.mean_total * torch.softmax(outputs, dim=-1)
        if observed is None:
            return usual
        shares = torch.exp(self._log_shares(outputs, observed.known).clamp(max=LOG_LARGEST))
        expected = observed.values.sum(-1, keepdim=True) * shares
        informed = observed.informed()
        return expected if informed is None else torch.where(informed, expected, usual)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the words of a row of average length, rounded up or down at random."""
        shares = torch.softmax(outputs, dim=-1)
        total = self.mean_total.to(shares.dtype).expand(shares.shape[:-1])
        up = torch.bernoulli(total - total.floor(), generator=generator)
        total = total.floor() + up
        return draw_multinomial(total, shares, generator)

    def _log_shares(self, outputs: Tensor, known: Tensor | None) -> Tensor:
        """log p_j with the shares of the known columns adding up to 1, shape (..., n_columns)."""
        if known is None:
            return torch.log_softmax(outputs, dim=-1)
        among = outputs.masked_fill(~known, torch.finfo(outputs.dtype).min)
        return outputs - torch.logsumexp(among, dim=-1, keepdim=True)


def draw_multinomial(total: Tensor, shares: Tensor, generator: torch.Generator) -> Tensor:
    """Share out totals at random: halves of the columns by a binomial draw, then their halves.

    Parameters
    ----------
    total : Tensor of shape (...)
    shares : Tensor of shape (..., n_columns)
        At least 0, adding up to 1 in each row.

    Returns
    -------
    Tensor of shape (..., n_columns)
        Adding up to `total` in each row.
    """
    n_columns = shares.shape[-1]
    depth = (n_columns - 1).bit_length()
    levels = [F.pad(shares, (0, 2**depth - n_columns))]
    for _ in range(depth):
        levels.append(levels[-1].unflatten(-1, (-1, 2)).sum(-1))
    counts = total.unsqueeze(-1)
    for level in reversed(levels[:-1]):
        pair = level.unflatten(-1, (-1, 2))
        first = pair[..., 0] / pair.sum(-1).clamp(min=torch.finfo(pair.dtype).tiny)
        drawn = torch.binomial(counts, first, generator=generator)
        counts = torch.stack([drawn, counts - drawn], dim=-1).flatten(-2)
    return counts[..., :n_columns]
