"""A trained network as plain arrays, and what can be asked of it: arrays in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skrgvae.network import Architecture, Hierarchy
from skrgvae.noise import normal_noise, row_keys
from skrgvae.torch_modes import own_modes

# Numbers per tensor in one piece of work: 4 million (16 MB in float32) keep the passes long and
# the memory small.
PIECE = 2**22
# Rows in one piece at least: for a handful of rows the matrix products take another path, whose
# rounding differs, and a row's features would depend on how many rows came with it.
MIN_ROWS = 16


class Model:
    """Weights of a `Hierarchy` as numpy arrays.

    It pickles without any torch object, so that a model trained on a GPU opens anywhere. Modules
    are built when they are needed, one for each dtype, and never changed afterwards: any number
    of threads may use them.

    Parameters
    ----------
    architecture : Architecture
    arrays : dict of str to ndarray
        The module's state.
    seed : int
        Of the noise that scores draw.
    device : str
        Where to compute.
    """

    def __init__(
        self, architecture: Architecture, arrays: dict[str, NDArray], seed: int, device: str
    ) -> None:
        self.architecture = architecture
        self.arrays = arrays
        self.seed = seed
        self.device = device
        self._modules: dict[torch.dtype, Hierarchy] = {}

    @classmethod
    def from_module(cls, module: Hierarchy, seed: int, device: str) -> Model:
        """Copy a module's weights."""
        arrays = {name: value.cpu().numpy().copy() for name, value in module.state_dict().items()}
        return cls(module.architecture, arrays, seed, device)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_modules": {}}

    @own_modes()
    def new_module(self, dtype: torch.dtype = torch.float32) -> Hierarchy:
        """Build a module of its own with these weights, in evaluation mode."""
        module = Hierarchy(self.architecture)
        module.load_state_dict({name: torch.tensor(value) for name, value in self.arrays.items()})
        if dtype == torch.float64:
            module.double()  # float32 needs no cast, and would round what is kept in float64
        return module.to(_usable_device(self.device)).eval()

    def module(self, dtype: torch.dtype) -> Hierarchy:
        """The shared module for a dtype."""
        if dtype not in self._modules:
            self._modules[dtype] = self.new_module(dtype)
        return self._modules[dtype]

    @own_modes()
    @torch.no_grad()
    def features(
        self, table: NDArray[np.floating], statistic: str, layers: Sequence[int]
    ) -> NDArray[np.floating]:
        """A statistic of q for the given layers, of one deterministic top-down pass.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_columns), float32 or float64
        statistic : "median", "mean" or "active"
        layers : sequence of int

        Returns
        -------
        ndarray of shape (n_rows, sum of the layers' sizes), of the table's dtype
        """
        module = self.module(_dtype_of(table))
        of = getattr(module.law, statistic)
        sizes = self.architecture.layer_sizes
        out = np.empty((len(table), sum(sizes[layer] for layer in layers)), table.dtype)
        for where, rows in _pieces(table, table.shape[1] + sum(sizes)):
            messages = module.messages(torch.from_numpy(rows).to(_device_of(module)))
            records = module.descend(messages, noise=None)
            parts = [of(records[layer].loc_q, records[layer].scale_q) for layer in layers]
            _put(out, where, torch.cat(parts, dim=1))
        return out

    def score(self, table: NDArray[np.floating], n_samples: int) -> NDArray[np.floating]:
        """ELBO (one sample) or importance-weighted bound (more) of every row, in nats.

        Returns
        -------
        ndarray of shape (n_rows,), of the table's dtype
        """
        return score_rows(self.module(_dtype_of(table)), table, self.seed, n_samples)

    @own_modes()
    @torch.no_grad()
    def elbo_draws(self, table: NDArray[np.floating], n_draws: int) -> NDArray[np.floating]:
        """ELBO of every row by each of several joint samples, in nats; the first is the score.

        Returns
        -------
        ndarray of shape (n_draws, n_rows), of the table's dtype
        """
        module = self.module(_dtype_of(table))
        return np.stack([_elbo(module, table, self.seed, number) for number in range(n_draws)])

    @own_modes()
    @torch.no_grad()
    def decode(self, values: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
        """E[x | z] in data units for values of all layers, bottom first.

        Parameters
        ----------
        values : sequence of ndarray of shape (n_rows, n_units)

        Returns
        -------
        ndarray of shape (n_rows, n_columns), of the values' dtype
        """
        joined = np.concatenate(values, axis=1)
        module = self.module(_dtype_of(joined))
        sizes = self.architecture.layer_sizes
        n_columns = len(self.architecture.families)
        out = np.empty((len(joined), n_columns), joined.dtype)
        for where, rows in _pieces(joined, n_columns + sum(sizes)):
            layers = torch.from_numpy(rows).to(_device_of(module)).split(sizes, dim=1)
            _put(out, where, module.likelihood.mean(module.top_down.decode(layers)))
        return out

    @own_modes()
    @torch.no_grad()
    def follow(self, upper: Sequence[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
        """Values of all layers: the upper ones as given, those below at their prior means.

        Parameters
        ----------
        upper : sequence of ndarray of shape (n_rows, n_units)
            The highest layers, the lowest of them first.

        Returns
        -------
        list of ndarray of shape (n_rows, n_units), bottom layer first, of the values' dtype
        """
        joined = np.concatenate(upper, axis=1)
        module = self.module(_dtype_of(joined))
        sizes = self.architecture.layer_sizes
        n_below = len(sizes) - len(upper)
        out = np.empty((len(joined), sum(sizes)), joined.dtype)
        for where, rows in _pieces(joined, sum(sizes)):
            values = list(torch.from_numpy(rows).to(_device_of(module)).split(sizes[n_below:], 1))
            for layer in reversed(range(n_below)):
                loc, scale = module.top_down.prior(layer, values, (len(rows),))
                values.insert(0, module.law.mean(loc, scale))
            _put(out, where, torch.cat(values, dim=1))
        return np.split(out, np.cumsum(sizes)[:-1], axis=1)

    @own_modes()
    @torch.no_grad()
    def sample(self, n_samples: int, seed: int) -> NDArray[np.float64]:
        """New rows from the generative model, shape (n_samples, n_columns)."""
        module = self.module(torch.float64)
        device = _device_of(module)
        generator = torch.Generator(device=device).manual_seed(seed)
        sizes = self.architecture.layer_sizes
        pieces = []
        piece = _rows_per_piece(len(self.architecture.families) + sum(sizes))
        for start in range(0, n_samples, piece):
            shape = (min(piece, n_samples - start), sum(sizes))
            noise = torch.randn(shape, generator=generator, dtype=torch.float64, device=device)
            values = module.generate(noise.split(sizes, dim=1))
            rows = module.likelihood.sample(module.top_down.decode(values), generator)
            pieces.append(rows.cpu().numpy())
        return np.concatenate(pieces)

    @own_modes()
    @torch.no_grad()
    def unit_kl(self, table: NDArray[np.floating]) -> list[NDArray[np.float64]]:
        """Mean KL of every unit over the rows, by one joint sample per row, in nats.

        Returns
        -------
        list of ndarray of shape (n_units,), bottom layer first
        """
        module = self.module(_dtype_of(table))
        totals = [np.zeros(size) for size in self.architecture.layer_sizes]
        for where, rows, noise in _noisy_pieces(module, table, self.seed):
            records = module.descend(module.messages(rows), noise)
            for total, record in zip(totals, records, strict=True):
                kl = module.kl(record)[: where.stop - where.start]
                total += kl.double().sum(dim=0).cpu().numpy()
        return [total / len(table) for total in totals]


@own_modes()
@torch.no_grad()
def score_rows(
    module: Hierarchy, table: NDArray[np.floating], seed: int, n_samples: int = 1
) -> NDArray[np.floating]:
    """Bound of every row (nats): the ELBO for one sample, else the importance-weighted bound.

    The latter is log (1/k) sum_i p(x, z^i) / q(z^i | x) (Burda et al. 2016, eq. 8), accumulated
    over pieces of samples so that any k fits in memory.
    """
    if n_samples > 1:
        return _importance_weighted(module, table, seed, n_samples)
    return _elbo(module, table, seed, sample=0)


def _elbo(
    module: Hierarchy, table: NDArray[np.floating], seed: int, sample: int
) -> NDArray[np.floating]:
    """ELBO of every row by its joint sample of that number."""
    out = np.empty(len(table), table.dtype)
    for where, rows, noise in _noisy_pieces(module, table, seed, sample):
        terms = module(rows, noise)
        kl = torch.stack([layer.sum(dim=1) for layer in terms.kl]).sum(dim=0)
        _put(out, where, terms.log_likelihood - kl)
    return out


def _importance_weighted(
    module: Hierarchy, table: NDArray[np.floating], seed: int, n_samples: int
) -> NDArray[np.floating]:
    sizes = module.architecture.layer_sizes
    width = table.shape[1] + sum(sizes)
    # As many samples as fill a piece with the fewest rows that one has.
    samples_per_piece = max(1, min(n_samples, PIECE // (MIN_ROWS * width)))
    device = _device_of(module)
    out = np.empty(len(table), table.dtype)
    for where, rows in _pieces(table, width * samples_per_piece):
        keys = row_keys(rows, seed)
        total = torch.full((len(rows),), -torch.inf, dtype=torch.float64, device=device)
        for first in range(0, n_samples, samples_per_piece):
            samples = range(first, min(first + samples_per_piece, n_samples))
            noise = torch.from_numpy(normal_noise(keys, sum(sizes), samples).astype(table.dtype))
            weights = module.log_weights(
                torch.from_numpy(rows).to(device), noise.to(device).split(sizes, dim=-1)
            )
            total = torch.logaddexp(total, torch.logsumexp(weights.double(), dim=0))
        _put(out, where, total - math.log(n_samples))
    return out


def _noisy_pieces(
    module: Hierarchy, table: NDArray[np.floating], seed: int, sample: int = 0
) -> Iterator[tuple[slice, Tensor, Sequence[Tensor]]]:
    """Where rows stand, the rows, and the noise of one sample per row, bottom layer first."""
    sizes = module.architecture.layer_sizes
    device = _device_of(module)
    dtype = module.top_down.top.loc.dtype
    for where, rows in _pieces(table, table.shape[1] + sum(sizes)):
        number = range(sample, sample + 1)
        noise = torch.from_numpy(normal_noise(row_keys(rows, seed), sum(sizes), number)[0])
        yield (
            where,
            torch.from_numpy(rows).to(device),
            noise.to(device, dtype).split(sizes, dim=-1),
        )


def _pieces(
    table: NDArray[np.floating], width: int
) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    """Rows to work on at once, and where they stand; a small piece is filled up with its last row.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    width : int
        Numbers per row that the work needs.
    """
    n_rows = _rows_per_piece(width)
    for start in range(0, len(table), n_rows):
        where = slice(start, min(start + n_rows, len(table)))
        # Gathered, so that torch never sees a read-only array or a memory map.
        index = np.arange(where.start, max(where.stop, where.start + MIN_ROWS))
        yield where, table[np.minimum(index, where.stop - 1)]


def _put(out: NDArray[np.floating], where: slice, piece: Tensor) -> None:
    """Write a piece's rows to where they belong, without those that only filled it up."""
    out[where] = piece[: where.stop - where.start].cpu().numpy()


def _rows_per_piece(width: int) -> int:
    return max(MIN_ROWS, PIECE // width)


def _dtype_of(table: NDArray) -> torch.dtype:
    return torch.float32 if table.dtype == np.float32 else torch.float64


def _device_of(module: Hierarchy) -> torch.device:
    return module.top_down.top.loc.device


def _usable_device(name: str) -> torch.device:
    """The named device, or the CPU where a model that was trained on a GPU finds none."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        return torch.device("cpu")
    return device
