"""What every likelihood family answers, whatever its columns mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skrgvae.data.summary import Summary, summarise

# Of parameters and statistics when they are made, whatever torch's default is.
DTYPE = torch.float32

# No entry counts for more, in internal units. Squares of it, and sums of such squares over all the
# columns of a wide table, stay far inside float32.
LARGEST = 1e15

# Numbers of training rows lie no further from 0. Units and ends made from them are at most ten
# times as large, and so still floats: of Student-t columns those of the robust widths, and the
# ends of what counts beyond these.
FURTHEST = 1e307


class Observed(NamedTuple):
    """Entries of a table as the network sees them, (n_rows, n_columns) each.

    Attributes
    ----------
    values : Tensor
        In internal units; 0 where an entry is missing.
    known : Tensor of bool, or None
        None: no entry is missing.
    data : Tensor or None
        In data units, NaN where an entry is missing; None if none is but for hidden ones.
    """

    values: Tensor
    known: Tensor | None
    data: Tensor | None = None

    def informed(self) -> Tensor | None:
        """Which rows say anything, (n_rows, 1); None: all of them."""
        return None if self.known is None else self.known.any(dim=-1, keepdim=True)


class Family(nn.Module):
    """Law of one block of columns given the decoder's outputs.

    Values exist in two forms: as the user's table holds them ("data units") and as the network
    sees them ("internal units", what `observe` returns). Log-densities are always those of the
    data units, in nats, so that scores don't depend on an internal scaling.

    A missing entry has log-density 0 and inputs 0: nothing is known of it, and nothing asked.

    Parameters
    ----------
    n_categories : sequence of int
        One entry per column of the block: how many categories it has, 0 for numbers.

    Attributes
    ----------
    n_columns : int
    n_inputs : int
        Numbers that `inputs` hands to the bottom-up pass.
    n_outputs : int
        Numbers the decoder must give per row.
    n_expected : int
        Numbers that `expectation` gives.
    recordable : bool
        Whether the kernels behind `log_prob_and_slopes` depend on shapes alone.
    completed : bool
        Whether the bottom-up pass reads, in the place of holes, what is linear in the coordinates
        of the row's other completed columns.
    linear : bool
        Whether `impute` adds that to what the outputs make one expect. Not where these saturate:
        added to a probability near 0, what a rare value of another column says is mostly wrong.
    """

    name: ClassVar[str]
    recordable: ClassVar[bool] = True
    completed: ClassVar[bool] = False
    linear: ClassVar[bool] = False

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__()
        self.n_columns = len(n_categories)
        self.n_inputs = self.n_columns
        self.n_outputs = self.n_columns
        self.n_expected = self.n_columns

    @classmethod
    def refusal(cls, summary: Summary, column: int) -> str | None:
        """Why a column of a table can't be of this family, or None: "values in [0, 1]", say."""
        return None

    def set_statistics(self, summary: Summary) -> None:
        """Take what the block needs from the summary of its training columns."""
        raise NotImplementedError

    def extend(self, summary: Summary) -> Summary:
        """Let values count as far out as in more rows, which training goes on with.

        Each time by at most the range so far on either side.

        Returns
        -------
        Summary
            Of the coordinates; extremes are NaN where those of the values say nothing of how far
            out a coordinate counts.
        """
        return self.coordinate_summary(summary)

    def initial_outputs(self) -> Tensor:
        """Decoder bias, shape (n_outputs,), at which every column has its marginal law."""
        raise NotImplementedError

    def observe(self, columns: Tensor) -> Tensor:
        """Data units to internal units, (n_rows, n_columns); what it makes of NaN is ignored."""
        raise NotImplementedError

    def inputs(self, observed: Observed) -> Tensor:
        """What the bottom-up pass reads, shape (n_rows, n_inputs), near a spread of 1."""
        raise NotImplementedError

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        """Log-density in data units (nats), shape (..., n_rows, n_columns); 0 where missing."""
        raise NotImplementedError

    def log_prob_and_slopes(
        self, observed: Observed, outputs: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Log-densities summed over the columns, (n_rows,), and derivatives of their total.

        These are for the outputs, (n_rows, n_outputs), and for every parameter of the family.
        """
        with torch.enable_grad():
            leaf = outputs.detach().requires_grad_()
            rows = self.log_prob(observed, leaf).sum(dim=-1)
            slopes = torch.autograd.grad(
                rows.sum(), [leaf, *self.parameters()], materialize_grads=True
            )
        return rows.detach(), slopes

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        """Expected values in data units, shape (..., n_expected), that may be averaged.

        Parameters
        ----------
        outputs : Tensor of shape (..., n_outputs)
        observed : Observed or None
            What is known of the rows, for laws in which it says more than the outputs do.
        """
        raise NotImplementedError

    def coordinates(self, columns: Tensor) -> Tensor:
        """What is completed, for data units: (n_rows, n_expected), NaN where missing."""
        return columns

    def coordinates_of(self, expectation: Tensor) -> Tensor:
        """The same for what is expected."""
        return expectation

    def coordinate_summary(self, summary: Summary) -> Summary:
        """Units and usual extremes of the coordinates, for the summary of the columns."""
        return summary

    def inputs_at(self, coordinates: Tensor) -> Tensor:
        """What the bottom-up pass reads for coordinates without a hole: (n_rows, n_inputs)."""
        return self.inputs(Observed(self.observe(coordinates), None))

    def point(self, expectation: Tensor) -> Tensor:
        """One value per column, in data units, for an expectation: shape (..., n_columns)."""
        return expectation

    def effect(self, on: Tensor, off: Tensor) -> Tensor:
        """One number per column for the change between two expectations."""
        return on - off

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x given the outputs, in data units, shape (..., n_columns)."""
        raise NotImplementedError


def too_far_out(summary: Summary, column: int) -> str | None:
    """The refusal of numbers of which the units would be no floats, or None."""
    furthest = max(summary.low[column], summary.high[column], key=abs)
    if abs(furthest) <= FURTHEST or not summary.n_known[column]:
        return None
    return f"values from {-FURTHEST:g} to {FURTHEST:g}, but there is {furthest:g} among them"


def summary_of_coordinates(family: Family, summary: Summary) -> Summary:
    """Summary of the coordinates of the sampled rows of a family's columns."""
    return summarise([family.coordinates(torch.tensor(summary.rows)).numpy()])


def softplus_parameter(n_columns: int, value: float) -> nn.Parameter:
    """Parameters whose softplus is `value`."""
    return nn.Parameter(torch.full((n_columns,), math.log(math.expm1(value)), dtype=DTYPE))


def blank(values: Tensor, known: Tensor | None) -> Tensor:
    """Values, shape (..., n_rows, n_columns), with 0 in place of those of missing entries."""
    return values if known is None else torch.where(known, values, 0.0)


def within_reach(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values no further beyond those of the training rows, low to high, than their own range.

    One broken sensor says nothing about the others, however far out it is.
    """
    far = high - low
    return values.clamp(low - far, high + far)


def first_scale(
    parts: Sequence[Summary], still: Tensor, loc: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Scale of columns that had one value or none so far, and have others in more rows.

    Parameters
    ----------
    parts : sequence of Summary
        Of the columns in the new rows, side by side.
    still : Tensor of bool of shape (n_columns,)
        Which columns had one value or none so far: `loc`.
    loc : Tensor of shape (n_columns,)

    Returns
    -------
    late : Tensor of bool of shape (n_columns,)
        Columns that have others now.
    mean, spread : Tensor of shape (n_late,)
        Of the new values; the spread of a single one is its distance from the value so far.
    """
    n_known, mean, spread = (
        torch.from_numpy(np.concatenate([getattr(part, name) for part in parts]))
        for name in ("n_known", "mean", "spread")
    )
    distance = (mean - loc).abs()
    # The same number in float32 and in float64 is one value.
    late = still & (n_known > 0) & ((spread > 0.0) | (distance > 1e-6 * mean.abs()))
    return late, mean[late], torch.where(spread > 0.0, spread, distance)[late]


def widen(
    low: Tensor, high: Tensor, lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> None:
    """Move ends out to those of more rows, in place; NaN says nothing.

    No further than values count: one broken sensor does not open the range.
    """
    new_low, new_high = (
        within_reach(torch.from_numpy(end), low, high) for end in (lowest, highest)
    )
    low.copy_(torch.fmin(low, new_low))
    high.copy_(torch.fmax(high, new_high))
