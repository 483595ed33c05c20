"""p(x | z) of a whole table: one family per block of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.data.summary import Summary, some_rows
from skrgvae.likelihoods.bernoulli import Bernoulli
from skrgvae.likelihoods.categorical import Categorical
from skrgvae.likelihoods.completion import MAX_ROWS, MOST_CORRELATED, LinearCompletion
from skrgvae.likelihoods.family import Family, Observed, blank
from skrgvae.likelihoods.gaussian import Gaussian
from skrgvae.likelihoods.multinomial import Multinomial
from skrgvae.likelihoods.negative_binomial import NegativeBinomial
from skrgvae.likelihoods.poisson import Poisson
from skrgvae.likelihoods.student_t import StudentT

# The order is part of the file format: it is that of the blocks in a network's weights.
FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Bernoulli,
        Gaussian,
        StudentT,
        Poisson,
        NegativeBinomial,
        Categorical,
        Multinomial,
    )
}


class ColumnLikelihood(nn.Module):
    """Independent blocks of columns given z, each under its own family.

    Parameters
    ----------
    names : sequence of str
        Family of each column, in the table's order.
    n_categories : sequence of int
        Categories of each column, 0 for numbers.
    marked : sequence of int
        Positions of the columns whose missing entries the bottom-up pass is told of.

    Attributes
    ----------
    n_inputs, n_outputs, n_expected : int
        Width of what the bottom-up pass reads, of what the decoder must give, and of what is
        expected given that.
    recordable : bool
        Whether the kernels behind `log_prob_and_slopes` depend on shapes alone.
    """

    _marked: Tensor
    _order: Tensor
    _expected_order: Tensor

    def __init__(
        self, names: Sequence[str], n_categories: Sequence[int], marked: Sequence[int]
    ) -> None:
        super().__init__()
        array, categories = np.asarray(names), np.asarray(n_categories)
        self.n_columns = len(array)
        # Blocks in the order of FAMILIES: the same table always gives the same layout.
        present = [name for name in FAMILIES if (array == name).any()]
        columns = [torch.from_numpy(np.flatnonzero(array == name)) for name in present]
        for block, where in enumerate(columns):
            self.register_buffer(f"_columns_{block}", where, persistent=False)
        self.families = nn.ModuleList(
            FAMILIES[name](categories[array == name].tolist()) for name in present
        )
        self.recordable = all(family.recordable for family in self._blocks())
        # Where each column stands among the blocks.
        in_blocks = torch.cat(columns)
        self.register_buffer("_order", torch.argsort(in_blocks), persistent=False)
        # The same of what is expected of them, which is a number per category of some.
        widths = np.where(array == Categorical.name, np.maximum(categories, 1), 1)
        expected = in_blocks.repeat_interleave(torch.from_numpy(widths)[in_blocks])
        order = torch.argsort(expected, stable=True)
        self.register_buffer("_expected_order", order, persistent=False)
        self._completed = self._choose_completed()
        self.completion = LinearCompletion(sum(self._completed.values()))
        marks = self._order[torch.tensor(list(marked), dtype=torch.int64)]
        self.register_buffer("_marked", marks, persistent=False)
        self.n_inputs = sum(family.n_inputs for family in self._blocks()) + len(marked)
        self.n_outputs = sum(family.n_outputs for family in self._blocks())
        self.n_expected = sum(family.n_expected for family in self._blocks())

    def set_statistics(self, summary: Summary) -> None:
        """Hand every family the summary of its training columns."""
        parts = self._parts(summary)
        for family, part in zip(self._blocks(), parts, strict=True):
            family.set_statistics(part)
        if self._completed:
            blocks = self._blocks()
            coordinates = [blocks[b].coordinate_summary(parts[b]) for b in self._completed]
            rows = _side_by_side([torch.tensor(some_rows(part.rows, MAX_ROWS)) for part in parts])
            self.completion.set_statistics(coordinates, self._coordinates(rows))

    def extend(self, summary: Summary) -> None:
        """Let values count as far out as in more rows, which training goes on with."""
        blocks = zip(self._blocks(), self._parts(summary), strict=True)
        extended = [family.extend(part) for family, part in blocks]
        self.completion.extend([extended[block] for block in self._completed])

    def initial_outputs(self) -> Tensor:
        """Decoder bias, shape (n_outputs,)."""
        return torch.cat([family.initial_outputs() for family in self._blocks()])

    def observe(self, table: Tensor, complete: bool | None = None) -> Observed:
        """Data units, NaN where missing, to internal units; columns in block order.

        `complete` tells whether no entry is missing; None: look.
        """
        parts = [self._take(table, columns) for columns in self._columns()]
        values = _side_by_side(
            [family.observe(part) for family, part in zip(self._blocks(), parts, strict=True)]
        )
        if complete is None:  # one pass over most tables, and no look at each entry
            complete = not (torch.isnan(table.sum()) and torch.isnan(table).any())
        if complete:
            return Observed(values, None)
        data = _side_by_side(parts)
        known = ~torch.isnan(data)
        return Observed(torch.where(known, values, 0.0), known, data)

    def seen(self, observed: Observed, hidden: Tensor | None = None) -> Observed:
        """What the bottom-up pass may see of rows, (n_rows, n_columns); all entries are scored.

        In training q sees no `hidden` entries (True where), and where rows have holes, of each row
        only what the row before it in the (shuffled) batch has as well (of the first: the last).
        This is a bound of the same log-density, as any q gives one; and it makes the network fill
        holes, such as the table has, where else it would learn to copy what it sees, and never be
        asked about what it does not. Vincent et al. (2008), "Extracting and composing robust
        features with denoising autoencoders", hide entries for the same reason.
        """
        known = observed.known
        if self.training and known is not None:
            known = known & known.roll(1, dims=0)
        if hidden is not None:
            shown = ~self._in_blocks(hidden)
            known = shown if known is None else known & shown
        if known is None or known is observed.known:
            return observed
        # Without holes there is nothing to fill in: what is hidden then reads as 0, from which a
        # network over many columns learns more than from a guess, in half of the time.
        data = None if observed.data is None else torch.where(known, observed.data, torch.nan)
        return Observed(blank(observed.values, known), known, data)

    def inputs(self, observed: Observed) -> Tensor:
        """What the bottom-up pass reads, (n_rows, n_inputs).

        Holes are filled in first with what the rest of the row says; what can't be filled in so is
        0, as is what is hidden of rows without holes. A marked column adds 1 where it is missing,
        in rows of which something is known.
        """
        filled = self._filled(observed)
        parts = [
            family.inputs_at(filled[block]) if block in filled else family.inputs(part)
            for block, (family, part) in enumerate(
                zip(self._blocks(), self._split(observed), strict=True)
            )
        ]
        if len(self._marked):
            parts.append(self._marks(observed))
        return _side_by_side(parts)

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        """log p(x | z) in nats, summed over the known columns: shape (..., n_rows)."""
        terms = [
            family.log_prob(part, output).sum(dim=-1)
            for family, part, output in zip(
                self._blocks(), self._split(observed), self._split_outputs(outputs), strict=True
            )
        ]
        return terms[0] if len(terms) == 1 else torch.stack(terms).sum(dim=0)

    def log_prob_and_slopes(
        self, observed: Observed, outputs: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same, and derivatives of the total over the rows: by outputs and by parameters."""
        found = [
            family.log_prob_and_slopes(part, output)
            for family, part, output in zip(
                self._blocks(), self._split(observed), self._split_outputs(outputs), strict=True
            )
        ]
        if len(found) == 1:
            return found[0]
        rows = torch.stack([rows for rows, _ in found]).sum(dim=0)
        by_outputs = _side_by_side([slopes[0] for _, slopes in found])
        return rows, (by_outputs, *(slope for _, slopes in found for slope in slopes[1:]))

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        """What families expect given z, side by side in block order: shape (..., n_expected)."""
        parts = [None] * len(self.families) if observed is None else self._split(observed)
        return _side_by_side(
            [
                family.expectation(output, part)
                for family, output, part in zip(
                    self._blocks(), self._split_outputs(outputs), parts, strict=True
                )
            ]
        )

    def point(self, expectation: Tensor) -> Tensor:
        """One value per column, in data units and in the table's column order."""
        parts = self._split_expected(expectation)
        return self._assemble(
            [family.point(part) for family, part in zip(self._blocks(), parts, strict=True)]
        )

    def by_category(self, expectation: Tensor) -> Tensor:
        """The same in the table's column order, all categories in the place of their column."""
        return expectation[..., self._expected_order]

    def effect(self, on: Tensor, off: Tensor) -> Tensor:
        """Change of every column between two expectations, in the table's column order."""
        sizes = [family.n_expected for family in self._blocks()]
        return self._assemble(
            [
                family.effect(*parts)
                for family, *parts in zip(
                    self._blocks(), on.split(sizes, dim=-1), off.split(sizes, dim=-1), strict=True
                )
            ]
        )

    def mean(self, outputs: Tensor) -> Tensor:
        """E[x | z] (the likeliest category) in data units, in the table's column order."""
        return self.point(self.expectation(outputs))

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x given z, in data units and in the table's column order."""
        return self._assemble(
            [
                family.sample(part, generator)
                for family, part in zip(self._blocks(), self._split_outputs(outputs), strict=True)
            ]
        )

    def impute(self, expectation: Tensor, observed: Observed) -> Tensor:
        """The same as `point`, and what is linear in the deviations of known entries from it."""
        parts = self._split_expected(expectation)
        if observed.data is not None and self._completed:
            blocks = self._blocks()
            expected = _side_by_side([blocks[b].coordinates_of(parts[b]) for b in self._completed])
            given = self.completion.given(self._coordinates(observed.data), expected)
            for block, coordinates in self._by_block(given):
                if blocks[block].linear:
                    parts[block] = coordinates.to(expectation.dtype)
        return self.point(_side_by_side(parts))

    def _choose_completed(self) -> dict[int, int]:
        """Blocks that are completed, and their coordinates: as many as fit, numbers first."""
        sizes: dict[int, int] = {}
        for block, family in enumerate(self._blocks()):
            fits = sum(sizes.values()) + family.n_expected <= MOST_CORRELATED
            if family.completed and fits:
                sizes[block] = family.n_expected
        return sizes

    def _filled(self, observed: Observed) -> dict[int, Tensor]:
        """Coordinates without a hole of the completed blocks, if rows have any."""
        if observed.data is None or not self._completed:
            return {}
        return dict(self._by_block(self.completion.fill(self._coordinates(observed.data))))

    def _coordinates(self, data: Tensor) -> Tensor:
        """Of the completed blocks, for data units in block order."""
        parts = self._split_columns(data)
        return _side_by_side([self._blocks()[b].coordinates(parts[b]) for b in self._completed])

    def _by_block(self, coordinates: Tensor) -> Iterator[tuple[int, Tensor]]:
        sizes = list(self._completed.values())
        return zip(self._completed, coordinates.split(sizes, dim=-1), strict=True)

    def _split_expected(self, expectation: Tensor) -> list[Tensor]:
        return list(expectation.split([family.n_expected for family in self._blocks()], dim=-1))

    def _marks(self, observed: Observed) -> Tensor:
        values, known = observed.values, observed.known
        if known is None:
            return values.new_zeros((*values.shape[:-1], len(self._marked)))
        missing = ~known[..., self._marked] & known.any(dim=-1, keepdim=True)
        return missing.to(values.dtype)

    def _blocks(self) -> list[Family]:
        return [family for family in self.families if isinstance(family, Family)]

    def _columns(self) -> list[Tensor]:
        """Positions of the columns of each block."""
        return [self.get_buffer(f"_columns_{block}") for block in range(len(self.families))]

    def _parts(self, summary: Summary) -> list[Summary]:
        """That of the columns of each block."""
        return [summary.columns(columns.numpy()) for columns in self._columns()]

    def _is_single(self) -> bool:
        return len(self.families) == 1

    def _take(self, table: Tensor, columns: Tensor) -> Tensor:
        return table if self._is_single() else table[..., columns]

    def _in_blocks(self, table: Tensor) -> Tensor:
        """Columns of a table in block order."""
        return _side_by_side([self._take(table, columns) for columns in self._columns()])

    def _split(self, observed: Observed) -> list[Observed]:
        values = self._split_columns(observed.values)
        if observed.known is None:
            return [Observed(part, None) for part in values]
        known = self._split_columns(observed.known)
        return [Observed(*parts) for parts in zip(values, known, strict=True)]

    def _split_columns(self, joined: Tensor) -> tuple[Tensor, ...]:
        return joined.split([family.n_columns for family in self._blocks()], dim=-1)

    def _split_outputs(self, outputs: Tensor) -> tuple[Tensor, ...]:
        return outputs.split([family.n_outputs for family in self._blocks()], dim=-1)

    def _assemble(self, parts: list[Tensor]) -> Tensor:
        joined = _side_by_side(parts)
        if self._is_single():
            return joined
        return joined[..., self._order]


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)
