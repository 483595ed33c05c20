"""From data to a pseudo-observation of every layer's units."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skrgvae.distributions import LATENT_LAWS
from skrgvae.network.architecture import Architecture
from skrgvae.network.modules import VARIANCE_FLOOR, Affine, BatchNorm, Hidden, positive
from skrgvae.network.records import Message

# Spread of the normalised pseudo-observations, beside a prior that starts at scale 1: with a shift
# of -0.76, 20 % of the units are on.
FIXED_GAIN = 0.9
# Share of the drawn weights in those that start from rows. It tells units apart that start from
# the same row, where there are fewer rows than units.
DRAWN_SHARE = 0.3


class BottomUp(nn.Module):
    """Deterministic upward pass.

    Without hidden layers the rectified pseudo-observation of a layer is what the next layer
    reads (the plain chain); with them, each reads the hidden layer below it. With direct inputs,
    each reads the row as well.
    """

    def __init__(self, n_inputs: int, architecture: Architecture) -> None:
        super().__init__()
        sizes, widths = architecture.layer_sizes, architecture.hidden_layer_sizes
        fixed = None
        if architecture.firing_rate is not None:
            loc, scale = LATENT_LAWS[architecture.latent].start(architecture.firing_rate)
            fixed = (FIXED_GAIN, FIXED_GAIN * loc / scale)
        below = n_inputs
        self.hidden = nn.ModuleList()
        self.heads = nn.ModuleList()
        self.direct = nn.ModuleList()  # what the upper layers add from the row
        self.norms = nn.ModuleList()
        for layer, size in enumerate(sizes):
            if widths is not None:
                self.hidden.append(Hidden(below, widths[layer], architecture.batch_norm))
                below = widths[layer]
            self.heads.append(Affine(below, 2 * size))
            if layer > 0 and architecture.direct_inputs:
                self.direct.append(Affine(n_inputs, 2 * size, bias=False))
            self.norms.append(BatchNorm(size, fixed) if architecture.batch_norm else nn.Identity())
            if widths is None:
                below = size

    def draw(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        for hidden in self.hidden:
            assert isinstance(hidden, Hidden)
            hidden.draw(generator)
        for layer in range(len(self.heads)):
            sources = self._sources(layer)
            for source in sources:  # their sum has the spread of a single one
                source.draw(generator, len(sources) ** -0.5)

    @torch.no_grad()
    def start_from(self, inputs: Tensor, generator: torch.Generator) -> None:
        """Let every unit of a plain chain start as the detector of one row.

        The weights of its location become what sets a row apart from the mean of all, at the
        length that the drawn ones have; layer by layer, each sees what the one below makes of the
        rows, and with direct inputs the rows. These are good features as they are (Coates and
        Ng 2011, "The importance of encoding versus training with sparse coding and vector
        quantization", section 4.3), and training gets far in a few steps from there. With hidden
        layers, or without the normalisation that gives any weights the same scale, the drawn
        weights stay.

        Parameters
        ----------
        inputs : Tensor of shape (n_rows, n_inputs)
            What the pass reads of some training rows.
        generator : torch.Generator
            Of the choice of rows.
        """
        if self.hidden or len(inputs) < 2:
            return
        below = inputs
        for layer, norm in enumerate(self.norms):
            if not isinstance(norm, BatchNorm):
                return
            n_units = len(norm.gain)
            n_orders = -(-n_units // len(below))
            orders = [torch.randperm(len(below), generator=generator) for _ in range(n_orders)]
            rows = torch.cat(orders)[:n_units]
            sources, loc = self._sources(layer), torch.zeros(())
            for source, seen in zip(sources, (below, inputs), strict=False):
                weight = source.weight.chunk(2)[0]
                special = F.normalize((seen - seen.mean(dim=0))[rows], dim=1)
                weight.copy_(F.normalize(special + DRAWN_SHARE * weight, dim=1))
                weight.mul_(len(sources) ** -0.5)
                loc = loc + F.linear(seen, weight)
            below = F.relu(
                F.batch_norm(
                    loc, None, None, norm.gain, norm.shift, training=True, eps=VARIANCE_FLOOR
                )
            )

    def forward(self, inputs: Tensor) -> list[Message]:
        """Messages to all layers, bottom first.

        Parameters
        ----------
        inputs : Tensor of shape (n_rows, n_inputs)

        Returns
        -------
        list of Message, tensors of shape (n_rows, n_units of the layer)
        """
        messages = []
        below = inputs
        for layer, norm in enumerate(self.norms):
            if self.hidden:
                below = self.hidden[layer](below)
            head, *direct = self._sources(layer)
            message = head(below)
            if direct:
                message = message + direct[0](inputs)
            loc, raw_precision = message.chunk(2, dim=-1)
            loc = norm(loc)
            messages.append(Message(loc, positive(raw_precision)))
            if not self.hidden:
                below = F.relu(loc)
        return messages

    def _sources(self, layer: int) -> list[Affine]:
        """What a layer's message is the sum of: a map of the layer below, and one of the row."""
        maps = [self.heads[layer]]
        if layer > 0 and len(self.direct):
            maps.append(self.direct[layer - 1])
        return [source for source in maps if isinstance(source, Affine)]
