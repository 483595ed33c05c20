"""From the layers above to the prior of a layer, and from the lowest ones to the data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skrgvae.distributions import LATENT_LAWS
from skrgvae.likelihoods.family import DTYPE
from skrgvae.network.architecture import Architecture
from skrgvae.network.modules import Affine, BatchNorm, Hidden, positive

# Weights of the priors start this small where a firing rate is asked for, so that a unit's first
# prior is its rate and not its neighbours' noise.
QUIET_GAIN = 0.1


class Step(nn.Module):
    """An optional hidden layer, then an affine head: one step of the generative model."""

    def __init__(
        self, n_inputs: int, n_outputs: int, width: int | None, architecture: Architecture
    ) -> None:
        super().__init__()
        self.hidden = (
            nn.Identity() if width is None else Hidden(n_inputs, width, architecture.batch_norm)
        )
        self.head = Affine(n_inputs if width is None else width, n_outputs)

    def draw(self, generator: torch.Generator, gain: float) -> None:
        if isinstance(self.hidden, Hidden):
            self.hidden.draw(generator)
        self.head.draw(generator, gain)

    def forward(self, above: Tensor) -> Tensor:
        return self.head(self.hidden(above))


class TopPrior(nn.Module):
    """Learned constants of the top layer."""

    def __init__(self, n_units: int, loc: float, scale: float) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.full((n_units,), loc, dtype=DTYPE))
        self.raw_scale = nn.Parameter(torch.full((n_units,), math.log(scale), dtype=DTYPE))

    def forward(self, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.loc.expand(*shape, -1), positive(self.raw_scale).expand(*shape, -1)


class LayerPrior(nn.Module):
    """p(z_l | layers above): location and scale before rectification, (..., n_rows, n_units)."""

    def __init__(
        self, n_inputs: int, n_units: int, width: int | None, architecture: Architecture
    ) -> None:
        super().__init__()
        self.step = Step(n_inputs, 2 * n_units, width, architecture)
        self.quiet = architecture.firing_rate is not None
        self.lowest = LATENT_LAWS[architecture.latent].lowest if self.quiet else -math.inf
        normalise = architecture.batch_norm and not self.quiet
        self.norm = BatchNorm(n_units) if normalise else nn.Identity()

    def draw(self, generator: torch.Generator, loc: float, scale: float) -> None:
        self.step.draw(generator, QUIET_GAIN if self.quiet else 1.0)
        with torch.no_grad():
            locs, raw_scales = self.step.head.bias.chunk(2)
            locs.fill_(loc)
            raw_scales.fill_(math.log(scale))

    def forward(self, above: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw_scale = self.step(above).chunk(2, dim=-1)
        loc = self.norm(loc)
        if self.lowest > -math.inf:
            loc = loc.clamp(min=self.lowest)
        return loc, positive(raw_scale)


class TopDown(nn.Module):
    """The generative model: priors of all layers, and the decoder to the data.

    With skip connections the decoder and every prior read all layers above them, else only the
    next one.
    """

    def __init__(self, n_outputs: int, architecture: Architecture) -> None:
        super().__init__()
        sizes, widths = architecture.layer_sizes, architecture.hidden_layer_sizes
        rate = architecture.firing_rate
        self.layer_sizes = sizes
        self.skip = architecture.skip_connections
        law = LATENT_LAWS[architecture.latent]
        self.first = (0.0, 1.0) if rate is None else law.start(rate)
        self.top = TopPrior(sizes[-1], *self.first)
        self.priors = nn.ModuleList()
        for layer in range(len(sizes) - 1):
            n_above = sum(sizes[layer + 1 :]) if self.skip else sizes[layer + 1]
            width = None if widths is None else widths[layer + 1]
            self.priors.append(LayerPrior(n_above, sizes[layer], width, architecture))
        n_above = sum(sizes) if self.skip else sizes[0]
        width = None if widths is None else widths[0]
        self.decoder = Step(n_above, n_outputs, width, architecture)

    def draw(self, generator: torch.Generator, decoder_bias: Tensor) -> None:
        """Draw all weights; the decoder starts at the columns' marginal laws."""
        for prior in self.priors:
            if isinstance(prior, LayerPrior):
                prior.draw(generator, *self.first)
        self.decoder.draw(generator, QUIET_GAIN)
        with torch.no_grad():
            self.decoder.head.bias.copy_(decoder_bias)

    def prior(
        self, layer: int, above: Sequence[Tensor], shape: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Location and scale of a layer given the values of the layers above, lowest first.

        Parameters
        ----------
        layer : int
            0 = bottom.
        above : sequence of Tensor of shape (..., n_rows, n_units)
            Empty for the top layer.
        shape : sequence of int
            Leading shape (..., n_rows) of the result.
        """
        if not above:
            return self.top(shape)
        return self.priors[layer](self._read(above))

    def decode(self, values: Sequence[Tensor]) -> Tensor:
        """Outputs for the likelihood, (..., n_rows, n_outputs), from all layers, bottom first."""
        return self.decoder(self._read(values))

    def _read(self, above: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(above), dim=-1) if self.skip and len(above) > 1 else above[0]
