"""A trained network as plain arrays, and what can be asked of it: rows in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skrgvae.data.sources import ArrayRows, Source
from skrgvae.likelihoods import ColumnLikelihood
from skrgvae.network import Architecture, Hierarchy
from skrgvae.noise import normal_noise, row_keys
from skrgvae.torch_modes import own_modes, what_is_wrong_with

# Rows in one piece at least: for a handful of rows the matrix products take another path, whose
# rounding differs, and a row's features would depend on how many rows came with it.
MIN_ROWS = 16
# Numbers in one piece of rows: 2 MB in float32; a pass holds some thirty such tensors at a time.
# Pieces of twice the size are 4 to 8 % quicker with 784 columns, and take 30 to 60 MB more.
PIECE = 2**19
# Numbers of rows and noise that are kept for the next time.
MOST_KEPT = 2**24
# Posterior draws that an expectation of missing entries is averaged over.
N_IMPUTATIONS = 20

# Where rows stand, the rows, and the noise of one sample per row, bottom layer first.
_NoisyPiece = tuple[slice, Tensor, Sequence[Tensor]]


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
        self,
        rows: Source,
        statistic: str,
        layers: Sequence[int],
        out: NDArray[np.floating] | None = None,
    ) -> NDArray[np.floating]:
        """A statistic of q for the given layers, of one deterministic top-down pass.

        Parameters
        ----------
        rows : Source
        statistic : "median", "mean" or "active"
        layers : sequence of int
        out : ndarray or None
            Where to write; None: a new array of the rows' dtype.

        Returns
        -------
        ndarray of shape (n_rows, sum of the layers' sizes)
        """
        if out is None:
            sizes = self.architecture.layer_sizes
            out = np.empty((rows.n_rows, sum(sizes[layer] for layer in layers)), rows.dtype)
        for where, part in self.feature_pieces(rows, statistic, layers):
            out[where] = part
        return out

    def medians(self, rows: Source) -> list[NDArray[np.floating]]:
        """Posterior medians of all units, (n_rows, n_units) for each layer, bottom first."""
        sizes = self.architecture.layer_sizes
        values = self.features(rows, "median", range(len(sizes)))
        return np.split(values, np.cumsum(sizes)[:-1], axis=1)

    def feature_pieces(
        self, rows: Source, statistic: str, layers: Sequence[int]
    ) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """The same, some rows at a time, and where they stand."""
        module = self.module(_dtype_of(rows))
        for where, table in _pieces(rows, rows.n_columns + sum(self.architecture.layer_sizes)):
            yield where, _features(module, table, statistic, layers)[: where.stop - where.start]

    def score(self, rows: Source, n_samples: int) -> NDArray[np.floating]:
        """ELBO (one sample) or importance-weighted bound (more) of every row, in nats.

        Returns
        -------
        ndarray of shape (n_rows,), of the rows' dtype
        """
        return score_rows(self.module(_dtype_of(rows)), rows, self.seed, n_samples)

    @own_modes()
    @torch.no_grad()
    def elbo_draws(self, rows: Source, n_draws: int) -> NDArray[np.floating]:
        """ELBO of every row by each of several joint samples, in nats; the first is the score.

        Returns
        -------
        ndarray of shape (n_draws, n_rows), of the rows' dtype
        """
        module = self.module(_dtype_of(rows))
        return np.stack([_elbo(module, rows, self.seed, number) for number in range(n_draws)])

    @own_modes()
    @torch.no_grad()
    def decode(
        self, values: Sequence[NDArray[np.floating]], by_category: bool = False
    ) -> NDArray[np.floating]:
        """E[x | z], of a categorical column the likeliest category, in data units.

        Parameters
        ----------
        values : sequence of ndarray of shape (n_rows, n_units)
            Of all layers, bottom first.
        by_category : bool, default=False
            Gives the probabilities of all categories in place of the likeliest one.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), of the values' dtype
            With `by_category` a categorical column is as many as it has categories.
        """
        module = self.module(_dtype_of(values[0]))
        out = np.empty((len(values[0]), _width(module.likelihood, by_category)), values[0].dtype)
        for where, layers in self._layer_pieces(module, values):
            outputs = module.top_down.decode(layers)
            _put(out, where, _expected(module.likelihood, outputs, by_category))
        return out

    @own_modes()
    @torch.no_grad()
    def effects(
        self,
        on: Sequence[NDArray[np.floating]],
        off: Sequence[NDArray[np.floating]],
        by_category: bool = False,
    ) -> NDArray[np.floating]:
        """What every column gains from values of all layers over other values of them.

        Parameters
        ----------
        on, off : sequence of ndarray of shape (n_rows, n_units)
            Bottom first.
        by_category : bool, default=False
            Gives the changes of the probabilities of all categories.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), of the values' dtype
            E[x | on] - E[x | off]; of a categorical column half the sum of the absolute changes
            of its probabilities. With `by_category` that column is as many as it has categories.
        """
        module = self.module(_dtype_of(on[0]))
        out = np.empty((len(on[0]), _width(module.likelihood, by_category)), on[0].dtype)
        pieces = zip(self._layer_pieces(module, on), self._layer_pieces(module, off), strict=True)
        for (where, layers_on), (_, layers_off) in pieces:
            present, absent = (
                module.likelihood.expectation(module.top_down.decode(layers))
                for layers in (layers_on, layers_off)
            )
            if by_category:
                change = module.likelihood.by_category(present - absent)
            else:
                change = module.likelihood.effect(present, absent)
            _put(out, where, change)
        return out

    @own_modes()
    @torch.no_grad()
    def impute(self, rows: Source) -> NDArray[np.floating]:
        """Rows with their missing entries at what the model expects of them.

        ::

            E[x | what is known] ~ (1 / K) sum_k E[x | z^k],    z^k ~ q(z | what is known)

        The draws of a row are a function of its content, as those of the scores.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), of the rows' dtype
        """
        module = self.module(_dtype_of(rows))
        out = np.empty((rows.n_rows, rows.n_columns), rows.dtype)
        width = rows.n_columns + sum(self.architecture.layer_sizes)
        for where, table in _pieces(rows, N_IMPUTATIONS * width):
            observed = module.likelihood.observe(torch.from_numpy(table).to(_device_of(module)))
            noise = _noise(module, row_keys(table, self.seed), range(N_IMPUTATIONS))
            values = [record.value for record in module.posterior(observed, noise)]
            expected = module.likelihood.expectation(module.top_down.decode(values), observed)
            point = module.likelihood.impute(expected.mean(dim=0), observed).cpu().numpy()
            out[where] = np.where(np.isnan(table), point, table)[: where.stop - where.start]
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
        for where, part in _pieces(ArrayRows(joined), sum(sizes)):
            values = list(torch.from_numpy(part).to(_device_of(module)).split(sizes[n_below:], 1))
            for layer in reversed(range(n_below)):
                loc, scale = module.top_down.prior(layer, values, (len(part),))
                values.insert(0, module.law.mean(loc, scale))
            _put(out, where, torch.cat(values, dim=1))
        return np.split(out, np.cumsum(sizes)[:-1], axis=1)

    @own_modes()
    @torch.no_grad()
    def sample(self, n_samples: int, seed: int) -> NDArray[np.float64]:
        """New rows from the generative model, shape (n_samples, n_columns)."""
        pieces = self._generated(n_samples, seed)
        return np.concatenate([law.sample(z, rng).cpu().numpy() for law, z, rng in pieces])

    @own_modes()
    @torch.no_grad()
    def expected_sample(
        self, n_samples: int, seed: int, by_category: bool = False
    ) -> NDArray[np.float64]:
        """E[x | z] of units from the generative model, as `decode` gives it."""
        pieces = self._generated(n_samples, seed)
        parts = [_expected(law, z, by_category) for law, z, _ in pieces]
        return np.concatenate([part.cpu().numpy() for part in parts])

    @own_modes()
    @torch.no_grad()
    def unit_kl(self, rows: Source) -> list[NDArray[np.float64]]:
        """Mean KL of every unit over the rows, by one joint sample per row, in nats.

        Returns
        -------
        list of ndarray of shape (n_units,), bottom layer first
        """
        module = self.module(_dtype_of(rows))
        totals = [np.zeros(size) for size in self.architecture.layer_sizes]
        for where, table, noise in _noisy_pieces(module, rows, self.seed):
            records = module.descend(module.messages(table), noise)
            for total, record in zip(totals, records, strict=True):
                kl = module.kl(record)[: where.stop - where.start]
                total += kl.double().sum(dim=0).cpu().numpy()
        return [total / rows.n_rows for total in totals]

    def _generated(
        self, n_samples: int, seed: int
    ) -> Iterator[tuple[ColumnLikelihood, Tensor, torch.Generator]]:
        """The likelihood, its parameters from drawn units, and what draws, in double precision.

        For some samples at a time.
        """
        module, sizes = self.module(torch.float64), self.architecture.layer_sizes
        generator = torch.Generator(device=_device_of(module)).manual_seed(seed)
        piece = _rows_per_piece(len(self.architecture.families) + sum(sizes))
        for start in range(0, n_samples, piece):
            shape = (min(piece, n_samples - start), sum(sizes))
            noise = torch.randn(
                shape, generator=generator, dtype=torch.float64, device=generator.device
            )
            values = module.generate(noise.split(sizes, dim=1))
            yield module.likelihood, module.top_down.decode(values), generator

    def _layer_pieces(
        self, module: Hierarchy, values: Sequence[NDArray[np.floating]]
    ) -> Iterator[tuple[slice, Sequence[Tensor]]]:
        """Values of all layers for some rows at a time, and where they stand."""
        sizes = self.architecture.layer_sizes
        joined = ArrayRows(np.concatenate(values, axis=1))
        for where, part in _pieces(joined, len(self.architecture.families) + sum(sizes)):
            yield where, torch.from_numpy(part).to(_device_of(module)).split(sizes, dim=1)


@own_modes()
@torch.no_grad()
def _features(
    module: Hierarchy, table: NDArray[np.floating], statistic: str, layers: Sequence[int]
) -> NDArray[np.floating]:
    of = getattr(module.law, statistic)
    messages = module.messages(torch.from_numpy(table).to(_device_of(module)))
    records = module.descend(messages, noise=None)
    parts = [of(records[layer].loc_q, records[layer].scale_q) for layer in layers]
    return torch.cat(parts, dim=1).cpu().numpy()


@own_modes()
@torch.no_grad()
def score_rows(
    module: Hierarchy, rows: Source, seed: int, n_samples: int = 1
) -> NDArray[np.floating]:
    """Bound of every row (nats): the ELBO for one sample, else the importance-weighted bound.

    The latter is log (1/k) sum_i p(x, z^i) / q(z^i | x) (Burda et al. 2016, eq. 8), accumulated
    over pieces of samples so that any k fits in memory.
    """
    if n_samples > 1:
        return _importance_weighted(module, rows, seed, n_samples)
    return _elbo(module, rows, seed, sample=0)


class HeldOutTerms(NamedTuple):
    """Means over held-out rows of one joint sample per row, in nats."""

    log_likelihood: float
    kl: Tensor  # per unit, all layers side by side: shape (n_units,), float64

    def elbo(self) -> float:
        """The bound."""
        return self.log_likelihood - float(self.kl.sum())


class HeldOut:
    """Rows whose terms of the bound are asked for again and again, those that `score_rows` has.

    A row's noise is the same every time: it is kept, beside the row, where there is little of it.

    Parameters
    ----------
    rows : Source
    weights : ndarray of shape (n_rows,) or None
    seed : int
    """

    def __init__(self, rows: Source, weights: NDArray[np.float64] | None, seed: int) -> None:
        self.rows, self.seed = rows, seed
        weights = np.ones(rows.n_rows) if weights is None else weights
        self.shares = torch.from_numpy(weights / weights.sum())
        self._kept: list[_NoisyPiece] = []

    @own_modes()
    @torch.no_grad()
    def terms(self, module: Hierarchy, hidden_share: float = 0.0) -> HeldOutTerms:
        """For a module of the same architecture, dtype and device each time.

        The bottom-up pass doesn't see the given share of the entries, each time the same ones.
        """
        means = torch.zeros(1 + sum(module.architecture.layer_sizes), dtype=torch.float64)
        generator, hidden = torch.Generator().manual_seed(self.seed), None
        for where, table, noise in self._pieces(module):
            shares = self.shares[where]
            if hidden_share > 0.0:
                uniform = torch.rand(table.shape, generator=generator)
                hidden = (uniform < hidden_share).to(table.device)
            terms = module(table, noise, hidden)
            found = torch.cat([terms.log_likelihood.unsqueeze(1), *terms.kl], dim=1)
            means += shares @ found[: len(shares)].double().cpu()
        return HeldOutTerms(float(means[0]), means[1:])

    def _pieces(self, module: Hierarchy) -> Iterable[_NoisyPiece]:
        pieces: Iterable[_NoisyPiece] = self._kept
        if not self._kept:
            pieces = _noisy_pieces(module, self.rows, self.seed)
            width = self.rows.n_columns + sum(module.architecture.layer_sizes)
            if self.rows.n_rows * width <= MOST_KEPT:
                pieces = self._kept = list(pieces)
        return pieces


def _elbo(module: Hierarchy, rows: Source, seed: int, sample: int) -> NDArray[np.floating]:
    """ELBO of every row by its joint sample of that number."""
    out = np.empty(rows.n_rows, rows.dtype)
    for where, table, noise in _noisy_pieces(module, rows, seed, sample):
        terms = module(table, noise)
        kl = torch.stack([layer.sum(dim=1) for layer in terms.kl]).sum(dim=0)
        _put(out, where, terms.log_likelihood - kl)
    return out


def _importance_weighted(
    module: Hierarchy, rows: Source, seed: int, n_samples: int
) -> NDArray[np.floating]:
    sizes = module.architecture.layer_sizes
    width = rows.n_columns + sum(sizes)
    # As many samples as fill a piece with the fewest rows that one has.
    samples_per_piece = max(1, min(n_samples, PIECE // (MIN_ROWS * width)))
    device = _device_of(module)
    out = np.empty(rows.n_rows, rows.dtype)
    for where, table in _pieces(rows, width * samples_per_piece):
        keys = row_keys(table, seed)
        total = torch.full((len(table),), -torch.inf, dtype=torch.float64, device=device)
        for first in range(0, n_samples, samples_per_piece):
            samples = range(first, min(first + samples_per_piece, n_samples))
            noise = _noise(module, keys, samples)
            weights = module.log_weights(torch.from_numpy(table).to(device), noise)
            total = torch.logaddexp(total, torch.logsumexp(weights.double(), dim=0))
        _put(out, where, total - math.log(n_samples))
    return out


def _noisy_pieces(
    module: Hierarchy, rows: Source, seed: int, sample: int = 0
) -> Iterator[_NoisyPiece]:
    for where, table in _pieces(rows, rows.n_columns + sum(module.architecture.layer_sizes)):
        noise = _noise(module, row_keys(table, seed), range(sample, sample + 1))
        yield (
            where,
            torch.from_numpy(table).to(_device_of(module)),
            [layer.squeeze(0) for layer in noise],
        )


def _noise(module: Hierarchy, keys: NDArray[np.uint64], samples: range) -> Sequence[Tensor]:
    """Noise of samples of rows, shape (len(samples), n_rows, n_units), bottom layer first."""
    sizes = module.architecture.layer_sizes
    noise = torch.from_numpy(normal_noise(keys, sum(sizes), samples))
    return noise.to(_device_of(module), module.top_down.top.loc.dtype).split(sizes, dim=-1)


def _pieces(rows: Source, width: int) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    """Rows to work on at once, and where they stand; a small piece is filled up with its last row.

    Parameters
    ----------
    rows : Source
    width : int
        Numbers per row that the work needs.
    """
    for where, table in rows.pieces(_rows_per_piece(width)):
        n_missing = MIN_ROWS - len(table)
        yield where, np.pad(table, ((0, n_missing), (0, 0)), "edge") if n_missing > 0 else table


def _width(likelihood: ColumnLikelihood, by_category: bool) -> int:
    """Columns of what `_expected` gives."""
    return likelihood.n_expected if by_category else likelihood.n_columns


def _expected(likelihood: ColumnLikelihood, outputs: Tensor, by_category: bool) -> Tensor:
    """E[x | z], of a categorical column the likeliest category or all probabilities."""
    if by_category:
        return likelihood.by_category(likelihood.expectation(outputs))
    return likelihood.mean(outputs)


def _put(out: NDArray[np.floating], where: slice, piece: Tensor) -> None:
    """Write a piece's rows to where they belong, without those that only filled it up."""
    out[where] = piece[: where.stop - where.start].cpu().numpy()


def _rows_per_piece(width: int) -> int:
    return max(MIN_ROWS, PIECE // width)


def _dtype_of(rows: Source | NDArray) -> torch.dtype:
    return torch.float32 if rows.dtype == np.float32 else torch.float64


def _device_of(module: Hierarchy) -> torch.device:
    return module.top_down.top.loc.device


def _usable_device(name: str) -> torch.device:
    """The named device, or the CPU where a model that was trained on a GPU finds none like it."""
    return torch.device("cpu" if what_is_wrong_with(name) else name)
