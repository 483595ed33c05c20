"""Categorical columns: one of K categories, K different from column to column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.family import DTYPE, Family, Observed, blank, summary_of_coordinates


class Categorical(Family):
    """p(x = k) = softmax(outputs of the column)_k, for codes 0 .. K - 1 in the table.

    Inputs, outputs and expectations (probabilities) are all as wide as the categories of all
    columns together, one column after the other. A column without any category has one of its own.
    """

    name = "categorical"
    completed = True
    frequency: Tensor
    column: Tensor
    first: Tensor

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        sizes = np.maximum(np.asarray(n_categories, dtype=np.int64), 1)
        self.n_inputs = self.n_outputs = self.n_expected = int(sizes.sum())
        self.register_buffer("frequency", torch.ones(self.n_outputs, dtype=DTYPE))
        # Column of every category, and where the categories of every column start. The sizes say
        # as much, so neither goes into a file.
        column = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
        self.register_buffer("column", column, persistent=False)
        first = torch.from_numpy(np.cumsum(sizes) - sizes)
        self.register_buffer("first", first, persistent=False)

    @classmethod
    def refusal(cls, summary: Summary, column: int) -> str | None:
        if summary.low[column] < 0:
            return f"codes from 0 on, but the smallest value is {summary.low[column]:g}"
        if summary.n_known[column] and not summary.whole[column]:
            return "codes, but not all values are whole numbers"
        return None

    def set_statistics(self, summary: Summary) -> None:
        known = ~np.isnan(summary.rows)
        codes = np.where(known, summary.rows, 0).astype(np.int64) + self.first.numpy()
        count = np.bincount(codes[known], minlength=self.n_outputs)
        # Half a pseudo-count each: a category that few rows have may be in none of those sampled.
        weight = torch.from_numpy(count + 0.5)
        self.frequency.copy_(weight / self._total(weight)[self.column])

    def initial_outputs(self) -> Tensor:
        return torch.log(self.frequency)

    def observe(self, columns: Tensor) -> Tensor:
        return columns.to(self.frequency.dtype)

    def inputs(self, observed: Observed) -> Tensor:
        known = observed.known
        everywhere = None if known is None else known[..., self.column]
        return blank(self.inputs_at(self._one_hot(observed.values)), everywhere)

    def coordinates(self, columns: Tensor) -> Tensor:
        missing = torch.isnan(columns)
        one_hot = self._one_hot(torch.where(missing, 0.0, columns))
        return torch.where(missing[..., self.column], torch.nan, one_hot)

    def coordinate_summary(self, summary: Summary) -> Summary:
        return summary_of_coordinates(self, summary)

    def inputs_at(self, coordinates: Tensor) -> Tensor:
        return coordinates.to(self.frequency.dtype) - self.frequency

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        place = self._place(observed.values).expand(*outputs.shape[:-1], self.n_columns)
        shifted = outputs - self._highest(outputs)[..., self.column]
        log_density = shifted.gather(-1, place) - torch.log(self._total(torch.exp(shifted)))
        return blank(log_density, observed.known)

    def log_prob_and_slopes(
        self, observed: Observed, outputs: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        # Of the output of a category: whether it is the entry's own, less its probability.
        place, known = self._place(observed.values), observed.known
        shifted = outputs - self._highest(outputs)[:, self.column]
        weight = torch.exp(shifted)
        total = self._total(weight)
        log_prob = blank(shifted.gather(-1, place).sub_(torch.log(total)), known)
        slope = weight.div_(total[:, self.column]).neg_()
        slope.scatter_add_(-1, place, torch.ones_like(log_prob))
        if known is not None:
            slope *= known[:, self.column]
        return log_prob.sum(dim=-1), (slope,)

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        weight = torch.exp(outputs - self._highest(outputs)[..., self.column])
        return weight / self._total(weight)[..., self.column]

    def point(self, expectation: Tensor) -> Tensor:
        """Code of the likeliest category, shape (..., n_columns); the first of equals."""
        highest = self._highest(expectation)[..., self.column]
        code = torch.arange(self.n_outputs, device=expectation.device) - self.first[self.column]
        others = code.new_full((), self.n_outputs)
        candidates = torch.where(expectation == highest, code, others)
        index = self.column.expand_as(candidates)
        start = candidates.new_full((*candidates.shape[:-1], self.n_columns), self.n_outputs)
        lowest = start.scatter_reduce(-1, index, candidates, "amin")
        return lowest.to(expectation.dtype)

    def effect(self, on: Tensor, off: Tensor) -> Tensor:
        """Total variation distance of the two laws: half the change of all probabilities.

        In [0, 1], without a sign: no category of a column comes before another.
        """
        return 0.5 * self._total((on - off).abs())

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        # The highest of logits with Gumbel noise added is drawn from the softmax (Gumbel 1954).
        exponential = torch.empty_like(outputs).exponential_(generator=generator)
        return self.point(outputs - torch.log(exponential))

    def _place(self, codes: Tensor) -> Tensor:
        """Where the category of each entry stands among all, shape (n_rows, n_columns)."""
        return codes.long() + self.first

    def _one_hot(self, codes: Tensor) -> Tensor:
        zeros = codes.new_zeros((*codes.shape[:-1], self.n_outputs))
        return zeros.scatter_(-1, self._place(codes), 1.0)

    def _total(self, values: Tensor) -> Tensor:
        """Sum over the categories of every column, shape (..., n_columns)."""
        start = values.new_zeros((*values.shape[:-1], self.n_columns))
        return start.scatter_add(-1, self.column.expand_as(values), values)

    def _highest(self, values: Tensor) -> Tensor:
        """Largest over the categories of every column, without gradient: (..., n_columns)."""
        values = values.detach()
        start = values.new_full((*values.shape[:-1], self.n_columns), -torch.inf)
        return start.scatter_reduce(-1, self.column.expand_as(values), values, "amax")
