"""p(x | z) of a whole table: one family per block of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skrgvae.likelihoods.bernoulli import Bernoulli
from skrgvae.likelihoods.family import Family
from skrgvae.likelihoods.gaussian import Gaussian

FAMILIES: dict[str, type[Family]] = {family.name: family for family in (Bernoulli, Gaussian)}


class ColumnLikelihood(nn.Module):
    """Independent columns given z, each under its own family.

    Parameters
    ----------
    names : sequence of str
        Family of each column, in the table's order.

    Attributes
    ----------
    n_inputs, n_outputs : int
        Width of what the bottom-up pass reads, and of what the decoder must give.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        array = np.asarray(names)
        self.n_columns = len(array)
        # Blocks in the order of FAMILIES: the same table always gives the same layout.
        present = [name for name in FAMILIES if (array == name).any()]
        self._columns = [torch.from_numpy(np.flatnonzero(array == name)) for name in present]
        self.families = nn.ModuleList(
            FAMILIES[name](int((array == name).sum())) for name in present
        )
        self.n_inputs = sum(family.n_inputs for family in self._blocks())
        self.n_outputs = sum(family.n_outputs for family in self._blocks())

    def set_statistics(self, table: NDArray[np.floating]) -> None:
        """Hand every family its training columns, shape (n_rows, n_columns)."""
        for family, columns in zip(self._blocks(), self._columns, strict=True):
            family.set_statistics(table if self._is_whole() else table[:, columns.numpy()])

    def initial_outputs(self) -> Tensor:
        """Decoder bias, shape (n_outputs,)."""
        return torch.cat([family.initial_outputs() for family in self._blocks()])

    def observe(self, table: Tensor) -> Tensor:
        """Data units to internal units, shape (n_rows, n_columns), columns in block order."""
        return torch.cat(
            [
                family.observe(self._take(table, columns))
                for family, columns in zip(self._blocks(), self._columns, strict=True)
            ],
            dim=-1,
        )

    def inputs(self, observed: Tensor) -> Tensor:
        """What the bottom-up pass reads, shape (n_rows, n_inputs)."""
        blocks = observed.split([family.n_columns for family in self._blocks()], dim=-1)
        return torch.cat(
            [family.inputs(block) for family, block in zip(self._blocks(), blocks, strict=True)],
            dim=-1,
        )

    def log_prob(self, observed: Tensor, outputs: Tensor) -> Tensor:
        """log p(x | z) in nats, summed over the columns: shape (..., n_rows)."""
        blocks = observed.split([family.n_columns for family in self._blocks()], dim=-1)
        terms = [
            family.log_prob(block, part).sum(dim=-1)
            for family, block, part in zip(
                self._blocks(), blocks, self._split_outputs(outputs), strict=True
            )
        ]
        return torch.stack(terms).sum(dim=0)

    def mean(self, outputs: Tensor) -> Tensor:
        """E[x | z] in data units and in the table's column order, shape (..., n_columns)."""
        parts = self._split_outputs(outputs)
        return self._assemble(
            [family.mean(part) for family, part in zip(self._blocks(), parts, strict=True)]
        )

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x given z, in data units and in the table's column order."""
        parts = self._split_outputs(outputs)
        return self._assemble(
            [
                family.sample(part, generator)
                for family, part in zip(self._blocks(), parts, strict=True)
            ]
        )

    def _blocks(self) -> list[Family]:
        return [family for family in self.families if isinstance(family, Family)]

    def _is_whole(self) -> bool:
        return len(self._columns) == 1

    def _take(self, table: Tensor, columns: Tensor) -> Tensor:
        return table if self._is_whole() else table[..., columns.to(table.device)]

    def _split_outputs(self, outputs: Tensor) -> tuple[Tensor, ...]:
        return outputs.split([family.n_outputs for family in self._blocks()], dim=-1)

    def _assemble(self, parts: list[Tensor]) -> Tensor:
        joined = torch.cat(parts, dim=-1)
        if self._is_whole():
            return joined
        order = torch.argsort(torch.cat(self._columns)).to(joined.device)
        return joined[..., order]
