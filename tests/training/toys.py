"""Modules and rows small enough to follow by hand."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import summarise
from skrgvae.network import Architecture, BoundTerms, Hierarchy
from skrgvae.training import Rows, Schedule, Settings, Trainer

CPU = torch.device("cpu")


class Toy(nn.Module):
    """One layer of two units around `loc`, whose loss can be spoilt at chosen calls.

    Parameters
    ----------
    spoilt : callable
        Given the number of a training call (0 = first), whether its loss is not a number.
    """

    running: Tensor

    def __init__(self, spoilt=lambda call: False) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.tensor([3.0, -2.0]))
        self.register_buffer("running", torch.zeros(2))
        self.spoilt = spoilt
        self.calls = 0

    def forward(self, rows: Tensor, noise: list[Tensor], hidden: Tensor | None) -> BoundTerms:
        factor = math.nan if self.spoilt(self.calls) else 1.0
        self.calls += 1
        with torch.no_grad():
            self.running.copy_(factor * rows.mean(dim=0))
        value = self.loc + noise[0]
        log_likelihood = -0.5 * factor * (rows - value).square().sum(dim=1)
        kl = (0.5 * self.loc.square()).expand_as(value)
        return BoundTerms(log_likelihood, (kl,), (value,))


def schedule(n_steps=100, learning_rate=0.1, kl_weight=1.0, kl_warmup=0.0, fall=None):
    return Schedule(n_steps, learning_rate, kl_weight, kl_warmup, fall)


def toy_rows(n_rows: int = 12, n_columns: int = 2) -> Rows:
    table = np.random.default_rng(0).normal(size=(n_rows, n_columns)).astype(np.float32)
    return Rows(ArrayRows(table), CPU)


def toy_trainer(module=None, batch_size=4, seed=0, **options) -> Trainer:
    settings = Settings("adamax", batch_size, (0.0,), 0.0, 0.0)
    return Trainer(module or Toy(), (2,), schedule(**options), settings, seed)


def small_network(
    n_columns: int = 4, table=None, family: str = "gaussian", **options
) -> Hierarchy:
    """A network with every kind of part, for columns of one family."""
    options = {"firing_rate": 0.2, "skip_connections": True, **options}
    architecture = Architecture((4, 3), (6, 5), (family,) * n_columns, **options)
    module = Hierarchy(architecture)
    if table is None:
        table = toy_rows(40, n_columns).source.table
    module.likelihood.set_statistics(summarise([table]))
    module.draw(torch.Generator().manual_seed(0))
    return module


def network_trainer(
    module, seed=0, optimizer="adamax", batch_size=8, input_dropout=0.0, **options
) -> Trainer:
    sizes = module.architecture.layer_sizes
    settings = Settings(optimizer, batch_size, (0.03,) * len(sizes), 0.01, 0.1, input_dropout)
    return Trainer(module, sizes, schedule(**options), settings, seed)
