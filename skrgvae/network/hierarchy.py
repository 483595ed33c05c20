"""The whole model: bottom-up pass, structured top-down pass, decoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from skrgvae.distributions import LATENT_LAWS
from skrgvae.likelihoods import ColumnLikelihood, Observed
from skrgvae.network.architecture import Architecture
from skrgvae.network.bottom_up import BottomUp
from skrgvae.network.fused import FusedPass
from skrgvae.network.merge import POSTERIORS, structured
from skrgvae.network.modules import BatchNorm
from skrgvae.network.records import BoundTerms, LayerPass, Message
from skrgvae.network.top_down import TopDown


class Hierarchy(nn.Module):
    """A deep hierarchy of stochastic layers over a table (Salimans 2016, arXiv 1602.08734)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.law = LATENT_LAWS[architecture.latent]
        self.merge = POSTERIORS[architecture.posterior]
        self.likelihood = ColumnLikelihood(
            architecture.families,
            architecture.n_categories or (0,) * len(architecture.families),
            architecture.marked,
        )
        self.bottom_up = BottomUp(self.likelihood.n_inputs, architecture)
        self.top_down = TopDown(self.likelihood.n_outputs, architecture)

    def draw(self, generator: torch.Generator) -> None:
        """Draw all weights; the likelihood must have its statistics by then."""
        self.bottom_up.draw(generator)
        self.top_down.draw(generator, self.likelihood.initial_outputs())

    @torch.no_grad()
    def take_moments(self, batches: Iterable[tuple[Tensor, Sequence[Tensor]]]) -> None:
        """Let the running moments be those of rows and their noise, of which all is seen."""
        norms, decoders = _norms(self), _norms(self.top_down.decoder)
        if not norms:
            return
        for norm in norms:
            norm.n_batches.zero_()
        self.train()
        for table, noise in batches:
            layers = self.posterior(self.likelihood.observe(table), noise)
            if decoders:  # else the largest of all products is for nothing
                self.top_down.decode([record.value for record in layers])
        self.eval()

    def start_from(self, table: Tensor, generator: torch.Generator) -> None:
        """Let units start as detectors of training rows, (n_rows, n_columns) in data units."""
        inputs = self.likelihood.inputs(self.likelihood.observe(table))
        self.bottom_up.start_from(inputs, generator)

    def messages(self, table: Tensor) -> list[Message]:
        """Bottom-up pass over rows in data units, shape (n_rows, n_columns); NaN is missing."""
        return self._messages(self.likelihood.observe(table))

    def posterior(self, observed: Observed, noise: Sequence[Tensor] | None) -> list[LayerPass]:
        """Both passes over observed rows; `noise` and what is returned are those of `descend`."""
        return self.descend(self._messages(observed), noise)

    def _messages(self, observed: Observed) -> list[Message]:
        messages = self.bottom_up(self.likelihood.inputs(observed))
        informed = observed.informed()
        if informed is None:
            return messages
        return [Message(loc, precision * informed) for loc, precision in messages]

    def descend(
        self, messages: Sequence[Message], noise: Sequence[Tensor] | None
    ) -> list[LayerPass]:
        """Top-down pass through q(z_l | z_{l+1}, x), layers returned bottom first.

        Parameters
        ----------
        messages : sequence of Message, bottom first
        noise : sequence of Tensor of shape (..., n_rows, n_units), bottom first, or None
            Standard normal noise of a joint sample; None: every layer hands down its median.
        """
        layers: list[LayerPass] = []
        for layer in reversed(range(len(messages))):
            loc = messages[layer].loc
            shape = loc.shape[:-1] if noise is None else noise[layer].shape[:-1]
            above = [record.value for record in layers]
            loc_p, scale_p = self.top_down.prior(layer, above, shape)
            loc_q, scale_q = self.merge(loc_p, scale_p, messages[layer])
            if noise is None:
                value = self.law.median(loc_q, scale_q)
            else:
                value = self.law.sample(loc_q, scale_q, noise[layer])
            layers.insert(0, LayerPass(value, loc_q, scale_q, loc_p, scale_p))
        return layers

    def kl(self, record: LayerPass) -> Tensor:
        """KL(q || p) of every unit given the layer above (nats), shape (..., n_rows, n_units)."""
        return self.law.kl(record.loc_q, record.scale_q, record.loc_p, record.scale_p)

    def forward(
        self, table: Tensor, noise: Sequence[Tensor], hidden: Tensor | None = None
    ) -> BoundTerms:
        """Terms of the bound for rows in data units, by one joint sample per row.

        Parameters
        ----------
        table : Tensor of shape (n_rows, n_columns)
        noise : sequence of Tensor of shape (n_rows, n_units), bottom first
        hidden : Tensor of bool of shape (n_rows, n_columns) or None
            Entries that are scored and that the bottom-up pass doesn't see; None: none.
        """
        observed = self.likelihood.observe(table)
        layers = self.posterior(self.likelihood.seen(observed, hidden), noise)
        values = tuple(record.value for record in layers)
        log_likelihood = self.likelihood.log_prob(observed, self.top_down.decode(values))
        return BoundTerms(log_likelihood, tuple(self.kl(record) for record in layers), values)

    def fused_pass(self, n_rows: int, recurrent: bool) -> FusedPass | None:
        """What computes the same faster, and its gradient, where there is such a thing.

        `recurrent` tells whether many batches will have as many rows.
        """
        if self.law.name != "rectified_gaussian" or self.merge is not structured:
            return None
        return FusedPass(self.likelihood, self.bottom_up, self.top_down, n_rows, recurrent)

    def log_weights(self, table: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """log p(x, z) - log q(z | x) of sampled z, on the law's own measure: (..., n_rows)."""
        observed = self.likelihood.observe(table)
        layers = self.posterior(observed, noise)
        outputs = self.top_down.decode([record.value for record in layers])
        total = self.likelihood.log_prob(observed, outputs)
        for record in layers:
            log_p = self.law.log_prob(record.value, record.loc_p, record.scale_p)
            log_q = self.law.log_prob(record.value, record.loc_q, record.scale_q)
            total = total + (log_p - log_q).sum(dim=-1)
        return total

    def generate(self, noise: Sequence[Tensor]) -> list[Tensor]:
        """Ancestral sample of all layers from the prior, bottom first."""
        values: list[Tensor] = []
        for layer in reversed(range(len(noise))):
            loc, scale = self.top_down.prior(layer, values, noise[layer].shape[:-1])
            values.insert(0, self.law.sample(loc, scale, noise[layer]))
        return values


def _norms(module: nn.Module) -> list[BatchNorm]:
    return [part for part in module.modules() if isinstance(part, BatchNorm)]
