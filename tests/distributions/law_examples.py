"""Examples of every latent law; the generic tests run over this table.

A law added to `skrgvae.distributions` needs a row here, or `test_every_law_has_examples` fails.
"""

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from skrgvae.distributions import LATENT_LAWS, LatentLaw

# Name of the law -> pairs (loc, scale).
EXAMPLES = {
    "rectified_gaussian": [
        (0.0, 1.0),
        (1.0, 1.0),
        (-1.0, 0.5),
        (-3.0, 1.0),
        (0.3, 0.1),
        (5.0, 2.0),
        (2.0, 30.0),
    ],
    "gaussian": [(0.0, 1.0), (-1.0, 0.5), (2.0, 30.0)],
    "laplace": [(0.0, 1.0), (-1.0, 0.5), (2.5, 30.0), (0.3, 0.1)],
    "spike_and_slab": [
        (0.0, 1.0),
        (0.0, 0.1),
        (1.0, 1.0),
        (-1.0, 0.5),
        (0.3, 0.1),
        (-0.4, 0.1),
        (2.0, 30.0),
    ],
}

# Scales on each side of loc beyond which less than 1e-37 of the mass lies.
REACH = {"laplace": 90.0}


class Example:
    """One law at one (loc, scale), in double precision."""

    def __init__(self, name: str, loc: float, scale: float) -> None:
        self.law: LatentLaw = LATENT_LAWS[name]
        self.loc = torch.tensor(loc, dtype=torch.float64)
        self.scale = torch.tensor(scale, dtype=torch.float64)
        self.label = f"{name}({loc:g}, {scale:g})"

    @property
    def arguments(self) -> tuple[Tensor, Tensor]:
        return self.loc, self.scale

    @property
    def distribution(self) -> Distribution:
        return self.law.distribution(*self.arguments)

    @property
    def lower_end(self) -> Tensor:
        """Where quadrature starts: the end of the support, or where no mass is left."""
        if self.law.distribution.support is constraints.nonnegative:
            return torch.zeros_like(self.loc)
        return self.loc - REACH.get(self.law.name, 13.0) * self.scale

    def nodes(self, *kinks: Tensor) -> tuple[Tensor, Tensor]:
        """Points and weights that integrate against the law's dominating measure.

        300-point Gauss-Legendre quadrature over the support, between each two of: its ends, `loc`,
        and the other points named where what is integrated may have a kink. A unit atom at zero
        comes first where the law has one.
        """
        lower = self.lower_end
        upper = self.loc.clamp(min=0) + REACH.get(self.law.name, 13.0) * self.scale
        ends = torch.stack([lower, self.loc, *kinks, upper]).clamp(lower, upper).sort().values
        unit, weight = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(300))
        half_width = ends.diff()[:, None] / 2
        points = (ends[:-1, None] + half_width * (1 + unit)).flatten()
        weights = (half_width * weight).flatten()
        if self.law.has_atom:
            points = torch.cat([torch.zeros(1, dtype=torch.float64), points])
            weights = torch.cat([torch.ones(1, dtype=torch.float64), weights])
        return points, weights


ALL_EXAMPLES = [Example(name, *pair) for name, pairs in EXAMPLES.items() for pair in pairs]
EXAMPLE_PAIRS = [(q, p) for q in ALL_EXAMPLES for p in ALL_EXAMPLES if q.law is p.law]
