"""Batch normalisation of the first columns of a matrix, in place, by the moments of its rows."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from skrgvae.kernels.tiles import tiles


@triton.jit
def _places(start, n_rows, n_units, width, unit, ROWS: tl.constexpr):
    """Which of some rows and units there are, and where they stand in x and among the units."""
    row = (start + tl.arange(0, ROWS))[:, None]
    inside = (row < n_rows) & (unit < n_units)[None, :]
    row = row.to(tl.int64)
    return inside, row * width + unit[None, :], row * n_units + unit[None, :]


@triton.jit
def _forward(
    x,
    width,
    gain,
    shift,
    running_mean,
    running_variance,
    n_batches,
    least,
    floor,
    standard,
    inverse_deviation,
    n_rows,
    n_units,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    some = unit < n_units
    total = tl.zeros([UNITS], tl.float32)
    for start in range(0, n_rows, ROWS):
        inside, at, _ = _places(start, n_rows, n_units, width, unit, ROWS)
        total += tl.sum(tl.load(x + at, inside, 0.0), 0)
    mean = total / n_rows
    square = tl.zeros([UNITS], tl.float32)
    for start in range(0, n_rows, ROWS):
        inside, at, _ = _places(start, n_rows, n_units, width, unit, ROWS)
        difference = tl.where(inside, tl.load(x + at, inside, 0.0) - mean[None, :], 0.0)
        square += tl.sum(difference * difference, 0)
    inverse = 1.0 / tl.sqrt(square / n_rows + floor)
    tl.store(inverse_deviation + unit, inverse, some)

    # A batch that is dropped later must not leave anything behind that is no finite number.
    momentum = tl.maximum(1.0 / tl.load(n_batches).to(tl.float32), least)
    variance = square / (n_rows - 1)
    old_mean = tl.load(running_mean + unit, some, 0.0)
    old_variance = tl.load(running_variance + unit, some, 0.0)
    good = some & (tl.abs(mean) < float("inf")) & (variance < float("inf"))
    tl.store(running_mean + unit, old_mean + momentum * (mean - old_mean), good)
    tl.store(running_variance + unit, old_variance + momentum * (variance - old_variance), good)

    g, b = tl.load(gain + unit, some, 0.0), tl.load(shift + unit, some, 0.0)
    for start in range(0, n_rows, ROWS):
        inside, at, kept = _places(start, n_rows, n_units, width, unit, ROWS)
        value = (tl.load(x + at, inside, 0.0) - mean[None, :]) * inverse[None, :]
        tl.store(standard + kept, value, inside)
        tl.store(x + at, value * g[None, :] + b[None, :], inside)


@triton.jit
def _gradients(grad, x, from_rectified, standard, at, kept, inside, RECTIFIED: tl.constexpr):
    """Of some results, and the standardised values there."""
    by_result = tl.load(grad + at, inside, 0.0)
    if RECTIFIED:
        passed = tl.load(from_rectified + kept, inside, 0.0)
        by_result += tl.where(tl.load(x + at, inside, 0.0) <= 0, 0.0, passed)
    return by_result, tl.load(standard + kept, inside, 0.0)


@triton.jit
def _backward(
    grad,
    width,
    x,
    from_rectified,
    gain,
    standard,
    inverse_deviation,
    slopes,
    n_rows,
    n_units,
    RECTIFIED: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
):
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    some = unit < n_units
    total, along = tl.zeros([UNITS], tl.float32), tl.zeros([UNITS], tl.float32)
    for start in range(0, n_rows, ROWS):
        inside, at, kept = _places(start, n_rows, n_units, width, unit, ROWS)
        g, s = _gradients(grad, x, from_rectified, standard, at, kept, inside, RECTIFIED)
        total += tl.sum(g, 0)
        along += tl.sum(g * s, 0)
    tl.store(slopes + unit, along, some)
    tl.store(slopes + n_units + unit, total, some)
    factor = tl.load(gain + unit, some, 0.0) * tl.load(inverse_deviation + unit, some, 0.0)
    mean, slope = total / n_rows, along / n_rows
    for start in range(0, n_rows, ROWS):
        inside, at, kept = _places(start, n_rows, n_units, width, unit, ROWS)
        g, s = _gradients(grad, x, from_rectified, standard, at, kept, inside, RECTIFIED)
        tl.store(grad + at, (g - mean[None, :] - s * slope[None, :]) * factor[None, :], inside)


class KernelNorm:
    """Normalises the first columns of two rows at least, as many as there are units.

    Parameters
    ----------
    state : tuple of Tensor of shape (n_units,)
        Gain, shift, running mean and running variance; the last two are moved.
    n_batches : Tensor of shape ()
        Batches seen so far, which is moved as well.
    least : float
        Weight of a batch in the running moments after many; that of the n-th is 1 / n before.
    floor : float
        Added to the variances.
    """

    def __init__(
        self, state: tuple[Tensor, ...], n_batches: Tensor, least: float, floor: float
    ) -> None:
        self.state, self.n_batches, self.limits = state, n_batches, (least, floor)
        self.gain = state[0]
        self.standard = self.gain.new_empty(0, len(self.gain))
        self.inverse_deviation = torch.empty_like(self.gain)
        self.slopes = self.gain.new_empty(2, len(self.gain))

    def forward(self, x: Tensor) -> None:
        """Put the results in the place of the values, (n_rows, n_units or more)."""
        n_rows, n_units = len(x), len(self.gain)
        if n_rows != len(self.standard):
            self.standard = self.gain.new_empty(n_rows, n_units)
        self.x = x
        self.n_batches.add_(1)
        self.tile = tiles(n_rows, n_units)
        kept = self.standard, self.inverse_deviation
        columns = (triton.cdiv(n_units, self.tile[1]),)
        arguments = x, x.stride(0), *self.state, self.n_batches, *self.limits, *kept
        _forward[columns](*arguments, n_rows, n_units, *self.tile)

    def backward(self, grad: Tensor, from_rectified: Tensor | None) -> Tensor:
        """Put the values' gradients in the place of the results'; return gain's and shift's.

        Parameters
        ----------
        grad : Tensor of the shape of x
        from_rectified : Tensor of shape (n_rows, n_units), contiguous, or None
            Gradient of the rectified results, which is to be added.
        """
        assert grad.stride(0) == self.x.stride(0)
        rectified = from_rectified is not None
        others = self.x, from_rectified if rectified else self.x, self.gain
        kept = self.standard, self.inverse_deviation, self.slopes
        columns = (triton.cdiv(len(self.gain), self.tile[1]),)
        arguments = grad, grad.stride(0), *others, *kept
        _backward[columns](*arguments, len(grad), len(self.gain), rectified, *self.tile)
        return self.slopes
