"""A table of architectures with rows to run them on; the generic tests run over it."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from skrgvae.data.summary import summarise
from skrgvae.distributions import LATENT_LAWS
from skrgvae.network import POSTERIORS, Architecture, Hierarchy

FAMILIES = ("gaussian", "bernoulli", "gaussian", "bernoulli", "gaussian")
SIZES = ((3,), (4, 3), (4, 3, 2), (6, 4, 3, 2), (6, 5, 4, 4, 2))

ALL = [
    Architecture(
        sizes,
        tuple(range(5, 5 + len(sizes))) if hidden else None,
        FAMILIES,
        latent=latent,
        posterior=posterior,
        batch_norm=batch_norm,
        firing_rate=rate,
        skip_connections=skip,
        direct_inputs=skip and rate is not None,
    )
    for sizes, hidden, latent, posterior, batch_norm, rate, skip in product(
        SIZES, (False, True), LATENT_LAWS, POSTERIORS, (False, True), (None, 0.2), (False, True)
    )
]
# For the dear tests: a step coprime to the sizes of the table meets all values of every option.
SOME = ALL[::13]


def label(architecture: Architecture) -> str:
    """Short name of an architecture for pytest."""
    parts = [
        f"{len(architecture.layer_sizes)}",
        "hidden" if architecture.hidden_layer_sizes else "plain",
        architecture.latent,
        architecture.posterior,
        "norm" if architecture.batch_norm else "",
        "" if architecture.firing_rate is None else "rate",
        "skip" if architecture.skip_connections else "",
        "direct" if architecture.direct_inputs else "",
    ]
    return "-".join(part for part in parts if part)


def example_rows(n_rows: int = 12) -> np.ndarray:
    """Rows for `FAMILIES`."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(n_rows, len(FAMILIES))) * [1, 1, 20, 1, 0.1] + [0, 0, 300, 0, 0]
    table[:, [1, 3]] = rng.random((n_rows, 2)) < [0.3, 0.6]
    return table


def build(
    architecture: Architecture,
    table: np.ndarray | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    moved: bool = True,
) -> Hierarchy:
    """A drawn module with the statistics of some rows, its biases moved away from zero.

    A bias of exactly zero puts a unit that is fed nothing but zeros on the kink of its rectifier,
    where one-sided derivatives differ. `moved=False` leaves the biases as they are drawn.
    """
    module = Hierarchy(architecture)
    module.likelihood.set_statistics(summarise([example_rows() if table is None else table]))
    generator = torch.Generator().manual_seed(seed)
    module.draw(generator)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if moved and name.endswith("bias"):
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module.to(dtype) if dtype == torch.float64 else module


def noise_for(
    architecture: Architecture, *shape: int, seed: int = 1, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Standard normal noise of every layer, (*shape, n_units) each."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*shape, size, generator=generator, dtype=dtype)
        for size in architecture.layer_sizes
    ]
