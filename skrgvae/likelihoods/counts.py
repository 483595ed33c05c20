"""What the laws of counts share: exposure of rows, rates of columns, inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.family import (
    DTYPE,
    LARGEST,
    Family,
    Observed,
    blank,
    summary_of_coordinates,
)

# Log-means stay within plus and minus this, and means inside every float.
LOG_LARGEST = math.log(LARGEST)

# Columns from which on a row's exposure is read off its total. The total of a few columns would
# give the columns away.
EXPOSURE_COLUMNS = 20

# Length from which on a row of weighted counts is scaled to the common one; an empty row has 0.
SHORTEST = 1e-6

# Smallest unit of an input. A word found in one text of a thousand would else be an input of 30.
INPUT_UNIT = 0.1


class Counts(Family):
    """Counts 0, 1, 2, ..., one output per column: the logarithm of its mean at exposure 1.

    The exposure of a row says how much was counted in it (the length of a text, the depth of a
    sequencing): the total of its known counts over what these columns hold in a training row on
    average, one count added to both. This is the posterior mean of a Poisson law's rate under a
    Gamma(1, 1) prior, and 1 for a row of which nothing is known. Means are in proportion to it, so
    log-densities are conditional on the rows' totals. Blocks of fewer than `exposure_columns`
    columns have exposure 1.

    Draws, and expectations without a row to go by, are at exposure 1.
    """

    recordable = False  # see `at_positive`
    completed = True
    exposure_columns: ClassVar[int] = EXPOSURE_COLUMNS
    mean_count: Tensor
    input_loc: Tensor
    input_unit: Tensor

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        n_columns = self.n_columns
        self.register_buffer("mean_count", torch.ones(n_columns, dtype=DTYPE))
        self.register_buffer("input_loc", torch.zeros(n_columns, dtype=DTYPE))
        self.register_buffer("input_unit", torch.ones(n_columns, dtype=DTYPE))

    @classmethod
    def refusal(cls, summary: Summary, column: int) -> str | None:
        if summary.low[column] < 0:
            return f"counts, but the smallest value is {summary.low[column]:g}"
        if summary.n_known[column] and not summary.whole[column]:
            return "counts, but not all values are whole numbers"
        return None

    def set_statistics(self, summary: Summary) -> None:
        # Half a pseudo-count keeps the logarithm of a column that is always 0 finite.
        mean = summary.mean.clip(max=LARGEST)
        rate = (mean * summary.n_known + 0.5) / (summary.n_known + 1.0)
        self.mean_count.copy_(torch.from_numpy(rate))
        if self.n_columns < EXPOSURE_COLUMNS:
            self._set_input_units(summary)

    def _set_input_units(self, summary: Summary) -> None:
        rows = torch.tensor(summary.rows)
        known = ~torch.isnan(rows)
        observed = Observed(torch.where(known, self.observe(rows), 0.0), known)
        logarithms = torch.where(known, self._logarithms(observed), math.nan).numpy()
        some = known.any(dim=0).numpy()
        loc, unit = np.zeros(self.n_columns), np.ones(self.n_columns)
        loc[some] = np.nanmean(logarithms[:, some], axis=0, dtype=np.float64)
        unit[some] = np.nanstd(logarithms[:, some], axis=0, dtype=np.float64)
        self.input_loc.copy_(torch.from_numpy(loc))
        self.input_unit.copy_(torch.from_numpy(unit.clip(INPUT_UNIT)))

    def initial_outputs(self) -> Tensor:
        return torch.log(self.mean_count)

    def observe(self, columns: Tensor) -> Tensor:
        return columns.clamp(max=LARGEST).to(self.mean_count.dtype)

    def inputs(self, observed: Observed) -> Tensor:
        """Standardised logarithms; of many columns, what weighs words in texts.

        ::

            log(1 + count) log(1 + 1 / mean count),  rows scaled to the length sqrt(n_columns)

        (term frequency times inverse document frequency, with the mean count in the place of the
        documents' share: Salton and Buckley 1988, "Term-weighting approaches in automatic text
        retrieval".) Standardised, the rarest words would drown all others, and short rows the long
        ones.
        """
        if self.n_columns < EXPOSURE_COLUMNS:
            standardised = (self._logarithms(observed) - self.input_loc) / self.input_unit
            return blank(standardised, observed.known)
        weighted = torch.log1p(observed.values) * torch.log1p(1 / self.mean_count)
        length = torch.linalg.vector_norm(weighted, dim=-1, keepdim=True)
        return weighted * (math.sqrt(self.n_columns) / length.clamp(min=SHORTEST))

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        return torch.exp(self.log_mean(outputs, observed))

    def coordinates(self, columns: Tensor) -> Tensor:
        """Logarithms of one plus the counts: a few large ones do not stand for the column."""
        return torch.log1p(columns)

    def coordinates_of(self, expectation: Tensor) -> Tensor:
        return torch.log1p(expectation)

    def coordinate_summary(self, summary: Summary) -> Summary:
        return summary_of_coordinates(self, summary)

    def inputs_at(self, coordinates: Tensor) -> Tensor:
        return super().inputs_at(torch.expm1(coordinates))

    def exposure(self, observed: Observed) -> Tensor:
        """How much was counted in each row, in training rows: shape (n_rows, 1)."""
        values, known = observed.values, observed.known
        if self.n_columns < self.exposure_columns:
            return values.new_ones((*values.shape[:-1], 1))
        expected = self.mean_count if known is None else known.to(values.dtype) * self.mean_count
        return (values.sum(-1, keepdim=True) + 1) / (expected.sum(-1, keepdim=True) + 1)

    def log_mean(self, outputs: Tensor, observed: Observed | None) -> Tensor:
        """Logarithm of the mean at the rows' exposure, or at exposure 1 if none are observed."""
        if observed is not None:
            outputs = outputs + torch.log(self.exposure(observed))
        return outputs.clamp(-LOG_LARGEST, LOG_LARGEST)

    def _logarithms(self, observed: Observed) -> Tensor:
        return torch.log1p(observed.values / self.exposure(observed))


def at_positive(values: Tensor, of: Callable[..., Tensor]) -> Tensor:
    """A function of the counts above 0, and 0 for the others: shape of `values`.

    Few entries of a table of words are above 0, and the functions asked for (log-factorials) are
    slow. They run in float64, in which differences of large ones keep their digits.

    Parameters
    ----------
    values : Tensor of shape (n_rows, n_columns)
    of : callable
        Of the counts above 0, and of the tensors of indices at which they stand, one per axis.
    """
    where = torch.nonzero(values, as_tuple=True)
    found = of(values[where].double(), *where)
    return torch.zeros_like(values).index_put(where, found.to(values.dtype))
