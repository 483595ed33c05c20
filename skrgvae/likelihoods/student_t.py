"""Student-t columns: numbers with outliers that should not steer the fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from skrgvae.data.summary import Summary
from skrgvae.likelihoods.family import (
    DTYPE,
    LARGEST,
    Family,
    Observed,
    blank,
    first_scale,
    softplus_parameter,
    too_far_out,
)
from skrgvae.likelihoods.gaussian import SCALE_FLOOR
from skrgvae.likelihoods.robust import centre_and_width, without_outliers

# Degrees of freedom stay above this: mean and variance exist.
DF_FLOOR = 2.0
FIRST_DF = 5.0

# Widths from the centre at which an input turns from linear to logarithmic. A spike of 1,000
# widths then weighs like one of 20: it is seen, and does not drown the other columns.
KNEE = 3.0


class StudentT(Family):
    """x ~ loc + width * (output + scale * t), t of Student's law with `df` degrees of freedom.

    The decoder gives the location of every entry; scale and df > 2 are learned, one per column.
    Median and robust width of the training columns are the units. Constant columns contribute
    nothing: their log-density is 0 and their mean the constant.
    """

    name = "student_t"
    completed = True
    linear = True
    loc: Tensor
    width: Tensor
    varies: Tensor

    def __init__(self, n_categories: Sequence[int]) -> None:
        super().__init__(n_categories)
        n_columns = self.n_columns
        # In float64 whatever the network computes in, for the reason given in gaussian.py.
        self.register_buffer("loc", torch.zeros(n_columns, dtype=torch.float64))
        self.register_buffer("width", torch.ones(n_columns, dtype=torch.float64))
        self.register_buffer("varies", torch.ones(n_columns, dtype=torch.bool))
        self.raw_scale = softplus_parameter(n_columns, 1.0)
        self.raw_df = softplus_parameter(n_columns, FIRST_DF - DF_FLOOR)

    @classmethod
    def refusal(cls, summary: Summary, column: int) -> str | None:
        return too_far_out(summary, column)

    def set_statistics(self, summary: Summary) -> None:
        centre, width = (torch.from_numpy(values) for values in centre_and_width(summary))
        self.varies.copy_(width > 0.0)
        self.loc.copy_(centre)
        self.width.copy_(torch.where(self.varies, width, 1.0))

    def extend(self, summary: Summary) -> Summary:
        late, loc, width = first_scale([summary], ~self.varies, self.loc)
        self.loc[late], self.width[late] = loc, width
        self.varies |= late
        return super().extend(summary)

    def coordinate_summary(self, summary: Summary) -> Summary:
        loc, width, varies = (part.numpy() for part in (self.loc, self.width, self.varies))
        return without_outliers(summary, loc, width, varies)

    def initial_outputs(self) -> Tensor:
        return torch.zeros(self.n_columns, dtype=DTYPE)

    def observe(self, columns: Tensor) -> Tensor:
        standardised = ((columns - self.loc) / self.width).clamp(-LARGEST, LARGEST)
        return torch.where(self.varies, standardised, 0.0).to(self.raw_scale.dtype)

    def inputs(self, observed: Observed) -> Tensor:
        return KNEE * torch.asinh(observed.values / KNEE)

    def scale(self) -> Tensor:
        """Scale in units of the column's width, shape (n_columns,)."""
        return SCALE_FLOOR + F.softplus(self.raw_scale)

    def df(self) -> Tensor:
        """Degrees of freedom, shape (n_columns,)."""
        return DF_FLOOR + F.softplus(self.raw_df)

    def log_prob(self, observed: Observed, outputs: Tensor) -> Tensor:
        scale, df = self.scale(), self.df()
        square = ((observed.values - outputs) / scale).square()
        log_density = -0.5 * (df + 1) * torch.log1p(square / df) - self._normaliser(scale, df)
        return blank(log_density * self.varies, observed.known)

    def expectation(self, outputs: Tensor, observed: Observed | None = None) -> Tensor:
        return self.loc + self.width * torch.where(self.varies, outputs, 0.0)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        df = self.df().expand_as(outputs)
        normal = torch.randn(
            outputs.shape, generator=generator, dtype=outputs.dtype, device=outputs.device
        )
        chi_square = 2 * torch._standard_gamma(df / 2, generator=generator)
        return self.expectation(outputs + self.scale() * normal * torch.sqrt(df / chi_square))

    def _normaliser(self, scale: Tensor, df: Tensor) -> Tensor:
        # In float64: for many degrees of freedom the difference of the two cancels.
        half = 0.5 * df.double()
        ratio = torch.lgamma(half) - torch.lgamma(half + 0.5)
        in_data_units = ratio + 0.5 * torch.log(2 * math.pi * half) + torch.log(self.width)
        return in_data_units.to(df.dtype) + torch.log(scale)
