"""Examples of every likelihood family; the generic tests run over this table.

A family added to `skrgvae.likelihoods` needs a row here, or `test_every_family_has_examples`
fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skrgvae.data.summary import summarise
from skrgvae.likelihoods import FAMILIES
from skrgvae.likelihoods.counts import Counts
from skrgvae.likelihoods.family import Family, Observed

DOUBLE = torch.float64


def fitted(
    name: str, table: NDArray, n_categories: Sequence[int] | None = None, double: bool = True
) -> Family:
    """A family with the statistics of a table, and parameters that differ by column."""
    family = FAMILIES[name](n_categories or [0] * table.shape[1])
    family.set_statistics(summarise([table]))
    with torch.no_grad():
        for parameter in family.parameters():
            parameter.copy_(torch.linspace(-1.5, 1.5, len(parameter)))
    return family.double() if double else family


def observed(family: Family, table: NDArray) -> Observed:
    """Entries as the network sees them; NaN is missing."""
    rows = torch.tensor(table)
    known = ~torch.isnan(rows)
    if known.all():
        return Observed(family.observe(rows), None)
    return Observed(torch.where(known, family.observe(rows), 0.0), known)


def log_prob(family: Family, table: NDArray, outputs: Tensor) -> NDArray:
    """Log-density of every entry."""
    return family.log_prob(observed(family, table), outputs).detach().numpy()


def random_outputs(family: Family, n_rows: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return scale * torch.randn(n_rows, family.n_outputs, dtype=DOUBLE, generator=generator)


@dataclass
class Example:
    """A family over a table of its kind, in double precision."""

    label: str
    name: str
    table: NDArray
    n_categories: Sequence[int] | None = None

    @cached_property
    def family(self) -> Family:
        return fitted(self.name, self.table, self.n_categories)

    @property
    def is_count(self) -> bool:
        return isinstance(self.family, Counts)

    @property
    def uses_totals(self) -> bool:
        """Whether a row's known columns have a part in the law of each of them."""
        return self.is_count and self.family.n_columns >= self.family.exposure_columns

    @property
    def is_bent(self) -> bool:
        """Whether there are columns with long tails, whose expectation is held inside them."""
        return self.name == "gaussian" and bool(self.family.bent.any())

    @property
    def has_large_values(self) -> bool:
        return self.name not in ("bernoulli", "categorical")

    def with_holes(self) -> NDArray:
        """The table without a tenth of its entries, one whole row and one whole column."""
        table = self.table.copy()
        table[np.random.default_rng(3).random(table.shape) < 0.1] = np.nan
        table[4] = np.nan
        table[:, 1] = np.nan
        return table


class LogProb(nn.Module):
    """So that functional_call can replace a family's parameters."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.family = family

    def forward(self, observed: Observed, outputs: Tensor) -> Tensor:
        return self.family.log_prob(observed, outputs)


def _tables() -> list[Example]:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(30, 4)) * [1, 20, 0.1, 3] + [0, 7, 0, -100]
    numbers[:, 3] = 5.0  # constant
    outliers = rng.standard_t(2.5, size=(30, 3)) * [1, 1e3, 1e-3]
    tails = np.exp(2 * rng.normal(size=(30, 3))) * [1, 1e3, 1e-3]
    tails[:, 1] *= rng.random(30) < 0.3
    tails[0] *= 50
    few = rng.poisson([0.2, 3, 40], size=(30, 3)).astype(float)
    many = rng.poisson(rng.gamma(0.5, 2, size=24), size=(30, 24)).astype(float)
    codes = np.column_stack([rng.integers(0, k, 30) for k in (3, 2, 7, 1)]).astype(float)
    return [
        Example("bernoulli", "bernoulli", (rng.random((30, 3)) < 0.3).astype(float)),
        Example("intensities", "bernoulli", rng.random((30, 3))),
        Example("gaussian", "gaussian", numbers),
        Example("gaussian, bent", "gaussian", tails),
        Example("student_t", "student_t", outliers),
        Example("poisson", "poisson", few),
        Example("poisson, exposure", "poisson", many),
        Example("negative_binomial", "negative_binomial", few),
        Example("negative_binomial, exposure", "negative_binomial", many),
        Example("categorical", "categorical", codes, (3, 2, 7, 1)),
        Example("multinomial", "multinomial", many),
        Example("multinomial, few", "multinomial", few),
    ]


EXAMPLES = _tables()
