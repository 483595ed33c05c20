"""Bernoulli columns: 0/1 values, or intensities in [0, 1] scored by their cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from skrgvae import compiled, kernels
from skrgvae.data.summary import Summary
from skrgvae.likelihoods.family import DTYPE, Family, Observed, blank


class Bernoulli(Family):
    """p(x = 1) = sigmoid(output), one output per column.

    Values strictly between 0 and 1 are taken as the probability that the column is on, as
    scikit-learn's BernoulliRBM takes them; their "log-density" is then the cross-entropy. What is
    beyond 0 and 1 in new rows counts as 0 and 1.
    """

    name = "bernoulli"
    completed = True
    rate: Tensor

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        self.register_buffer("rate", torch.full((self.n_columns,), 0.5, dtype=DTYPE))

    @classmethod
    def refusal(cls, summary: Summary, column: int) -> str | None:
        low, high = summary.low[column], summary.high[column]
        if low < 0 or high > 1:
            return f"values in [0, 1], but they go from {low:g} to {high:g}"
        return None

    def set_statistics(self, summary: Summary) -> None:
        # Half a pseudo-count on each side keeps the logit of a column that is never on finite.
        rate = (summary.mean * summary.n_known + 0.5) / (summary.n_known + 1.0)
        # ... and the clip does so where float32 would round the rate to 1.
        self.rate.copy_(torch.from_numpy(rate.clip(2.0**-24, 1 - 2.0**-24)))

    def initial_outputs(self) -> Tensor:
        return torch.logit(self.rate)

    def observe(self, columns: Tensor) -> Tensor:
        # New rows may go beyond [0, 1], as those of a scaler that was fitted on others do.
        return columns.to(self.rate.dtype).clamp(0.0, 1.0)

    def inputs(self, observed: Observed) -> Tensor:
        return blank(observed.values - self.rate, observed.known)

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        cross_entropy = F.binary_cross_entropy_with_logits(
            outputs, observed.values.expand_as(outputs), reduction="none"
        )
        return blank(-cross_entropy, observed.known)

    def log_prob_and_slopes(
        self, observed: Observed, outputs: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if observed.known is None and compiled.available(outputs):
            from skrgvae.compiled import bernoulli

            rows, slope = bernoulli.log_prob_and_slopes(observed.values, outputs)
            return rows, (slope,)
        if observed.known is None and kernels.available(outputs):
            from skrgvae.kernels import bernoulli as on_device

            rows, slope = on_device.log_prob_and_slopes(observed.values, outputs)
            return rows, (slope,)
        # log p = x y - max(y, 0) + log max(p, 1 - p) for the output y and p = sigmoid(y).
        values, known = observed.values, observed.known
        slope = torch.sigmoid(outputs)
        log_prob = (slope - 0.5).abs_().add_(0.5).log_()
        log_prob.addcmul_(values, outputs).sub_(outputs.relu())
        torch.sub(values, slope, out=slope)
        if known is not None:
            slope *= known
            log_prob *= known
        return log_prob.sum(dim=-1), (slope,)

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        return torch.sigmoid(outputs)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.bernoulli(torch.sigmoid(outputs), generator=generator)
