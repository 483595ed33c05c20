"""A trained network as plain arrays, and what can be asked of it: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skrgvae.network import Architecture, Hierarchy, LayerPass
from skrgvae.noise import normal_noise, row_keys
from skrgvae.training import Rows

# Numbers per tensor in one piece of work: 4 million (16 MB in float32) keep the passes long and
# the memory small.
PIECE = 2**22


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
        for start, records in self.passes(table):
            parts = [of(records[layer].loc_q, records[layer].scale_q) for layer in layers]
            joined = torch.cat(parts, dim=1).cpu().numpy()
            out[start : start + len(joined)] = joined
        return out

    @torch.no_grad()
    def passes(self, table: NDArray[np.floating]) -> Iterator[tuple[int, list[LayerPass]]]:
        """Deterministic passes piece by piece: position of the first row, records bottom first."""
        module = self.module(_dtype_of(table))
        start = 0
        n_rows = _rows_per_piece(table.shape[1] + sum(self.architecture.layer_sizes))
        for rows in Rows(table, _device_of(module)).in_order(n_rows):
            yield start, module.descend(module.messages(rows), noise=None)
            start += len(rows)

    def score(self, table: NDArray[np.floating], n_samples: int) -> NDArray[np.floating]:
        """ELBO (one sample) or importance-weighted bound (more) of every row, in nats.

        Returns
        -------
        ndarray of shape (n_rows,), of the table's dtype
        """
        return score_rows(self.module(_dtype_of(table)), table, self.seed, n_samples)

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
        module = self.module(_dtype_of(values[0]))
        device = _device_of(module)
        n_columns = len(self.architecture.families)
        out = np.empty((len(values[0]), n_columns), values[0].dtype)
        piece = _rows_per_piece(n_columns + sum(self.architecture.layer_sizes))
        for start in range(0, len(out), piece):
            part = [torch.tensor(value[start : start + piece]).to(device) for value in values]
            outputs = module.top_down.decode(part)
            out[start : start + piece] = module.likelihood.mean(outputs).cpu().numpy()
        return out

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

    @torch.no_grad()
    def unit_kl(self, table: NDArray[np.floating]) -> list[NDArray[np.float64]]:
        """Mean KL of every unit over the rows, by one joint sample per row, in nats.

        Returns
        -------
        list of ndarray of shape (n_units,), bottom layer first
        """
        module = self.module(_dtype_of(table))
        totals = [np.zeros(size) for size in self.architecture.layer_sizes]
        for rows, noise in _noisy_pieces(module, table, self.seed):
            for total, record in zip(totals, module.descend(module.messages(rows), noise)):
                total += module.kl(record).double().sum(dim=0).cpu().numpy()
        return [total / len(table) for total in totals]


@torch.no_grad()
def score_rows(
    module: Hierarchy, table: NDArray[np.floating], seed: int, n_samples: int = 1
) -> NDArray[np.floating]:
    """Bound of every row (nats): the ELBO for one sample, else the importance-weighted bound.

    The latter is log (1/k) sum_i p(x, z^i) / q(z^i | x) (Burda et al. 2016, eq. 8), accumulated
    over pieces of samples so that any k fits in memory.
    """
    if n_samples == 1:
        parts = []
        for rows, noise in _noisy_pieces(module, table, seed):
            terms = module(rows, noise)
            kl = torch.stack([layer.sum(dim=1) for layer in terms.kl]).sum(dim=0)
            parts.append((terms.log_likelihood - kl).cpu().numpy())
        return np.concatenate(parts).astype(table.dtype, copy=False)
    return _importance_weighted(module, table, seed, n_samples).astype(table.dtype, copy=False)


def _importance_weighted(
    module: Hierarchy, table: NDArray[np.floating], seed: int, n_samples: int
) -> NDArray[np.float64]:
    sizes = module.architecture.layer_sizes
    width = table.shape[1] + sum(sizes)
    samples_per_piece = min(n_samples, _rows_per_piece(width))
    rows_per_piece = max(1, _rows_per_piece(width) // samples_per_piece)
    device, dtype = _device_of(module), _dtype_of(table)
    out = np.empty(len(table))
    for start in range(0, len(table), rows_per_piece):
        rows = table[start : start + rows_per_piece]
        keys = row_keys(rows, seed)
        total = np.full(len(rows), -np.inf)
        for first in range(0, n_samples, samples_per_piece):
            samples = range(first, min(first + samples_per_piece, n_samples))
            noise = torch.from_numpy(normal_noise(keys, sum(sizes), samples)).to(device, dtype)
            weights = module.log_weights(torch.tensor(rows).to(device), noise.split(sizes, dim=-1))
            total = np.logaddexp(total, torch.logsumexp(weights.double(), dim=0).cpu().numpy())
        out[start : start + len(rows)] = total - np.log(n_samples)
    return out


def _noisy_pieces(
    module: Hierarchy, table: NDArray[np.floating], seed: int
) -> Iterator[tuple[Tensor, Sequence[Tensor]]]:
    """Rows in order with the noise of one sample per row, bottom layer first."""
    sizes = module.architecture.layer_sizes
    device = _device_of(module)
    dtype = module.top_down.top.loc.dtype
    piece = _rows_per_piece(table.shape[1] + sum(sizes))
    for start in range(0, len(table), piece):
        rows = table[start : start + piece]
        noise = torch.from_numpy(normal_noise(row_keys(rows, seed), sum(sizes))[0])
        yield torch.tensor(rows).to(device), noise.to(device, dtype).split(sizes, dim=-1)


def _rows_per_piece(width: int) -> int:
    return max(1, PIECE // width)


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
