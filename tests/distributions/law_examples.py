"""Examples of every latent law; the generic tests run over this table.

A law added to `skrgvae.distributions` needs a row here, or `test_every_law_has_examples` fails.
"""

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

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
}


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
        end = self.loc - 13 * self.scale
        return torch.zeros_like(end) if self.law.has_atom else end

    def nodes(self) -> tuple[Tensor, Tensor]:
        """Points and weights that integrate against the law's dominating measure.

        300-point Gauss-Legendre quadrature over the support up to 13 scales from loc, beyond
        which less than 1e-37 of the mass lies; a unit atom at zero where the law has one.
        """
        lower, upper = self.lower_end, self.loc.clamp(min=0) + 13 * self.scale
        unit, weight = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(300))
        half_width = (upper - lower) / 2
        points, weights = lower + half_width * (1 + unit), half_width * weight
        if self.law.has_atom:
            points = torch.cat([torch.zeros(1, dtype=torch.float64), points])
            weights = torch.cat([torch.ones(1, dtype=torch.float64), weights])
        return points, weights


ALL_EXAMPLES = [Example(name, *pair) for name, pairs in EXAMPLES.items() for pair in pairs]
EXAMPLE_PAIRS = [(q, p) for q in ALL_EXAMPLES for p in ALL_EXAMPLES if q.law is p.law]
