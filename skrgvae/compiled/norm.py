"""Batch normalisation of the first columns of a matrix, in place, by the moments of its rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skrgvae.compiled.arithmetic import ONE, ZERO, compiled, f


@compiled
def _forward(
    x, gain, shift, running_mean, running_variance, momentum, floor, standard, inverse_deviation
):
    n_rows, n_units = standard.shape
    total, mean, square = np.zeros(n_units), np.empty(n_units, np.float32), np.zeros(n_units)
    for row in range(n_rows):
        values = x[row, :n_units]
        for unit in range(n_units):
            total[unit] += values[unit]
    for unit in range(n_units):
        mean[unit] = total[unit] / n_rows
    for row in range(n_rows):
        values = x[row, :n_units]
        for unit in range(n_units):
            difference = values[unit] - mean[unit]
            square[unit] += difference * difference
    for unit in range(n_units):
        inverse_deviation[unit] = ONE / np.sqrt(f(square[unit] / n_rows) + floor)
        variance = f(square[unit] / (n_rows - 1))
        running_mean[unit] += momentum * (mean[unit] - running_mean[unit])
        running_variance[unit] += momentum * (variance - running_variance[unit])
    for row in range(n_rows):
        values, standards = x[row, :n_units], standard[row]
        for unit in range(n_units):
            value = (values[unit] - mean[unit]) * inverse_deviation[unit]
            standards[unit] = value
            values[unit] = value * gain[unit] + shift[unit]


@compiled
def _add_where_positive(grad, x, from_rectified):
    n_rows, n_units = from_rectified.shape
    for row in range(n_rows):
        grads, values, others = grad[row, :n_units], x[row, :n_units], from_rectified[row]
        for unit in range(n_units):
            grads[unit] += ZERO if values[unit] <= ZERO else others[unit]


@compiled
def _backward(grad, gain, standard, inverse_deviation, grad_gain, grad_shift):
    n_rows, n_units = standard.shape
    total, along = np.zeros(n_units), np.zeros(n_units)
    for row in range(n_rows):
        grads, standards = grad[row, :n_units], standard[row]
        for unit in range(n_units):
            total[unit] += grads[unit]
            along[unit] += grads[unit] * standards[unit]
    factor, mean = np.empty(n_units, np.float32), np.empty(n_units, np.float32)
    slope = np.empty(n_units, np.float32)
    for unit in range(n_units):
        grad_gain[unit], grad_shift[unit] = along[unit], total[unit]
        factor[unit] = gain[unit] * inverse_deviation[unit]
        mean[unit], slope[unit] = total[unit] / n_rows, along[unit] / n_rows
    for row in range(n_rows):
        grads, standards = grad[row, :n_units], standard[row]
        for unit in range(n_units):
            rest = grads[unit] - mean[unit] - standards[unit] * slope[unit]
            grads[unit] = rest * factor[unit]


class CompiledNorm:
    """Normalises the first columns of two rows at least, as many as there are units.

    Parameters
    ----------
    state : tuple of Tensor of shape (n_units,)
        Gain, shift, running mean and running variance; the last two are moved.
    floor : float
        Added to the variances.
    """

    def __init__(self, state: tuple[Tensor, ...], floor: float) -> None:
        self.state = [part.numpy() for part in state]
        self.gain, self.floor = self.state[0], f(floor)
        self.standard = np.empty((0, len(self.gain)), np.float32)
        self.inverse_deviation = np.empty_like(self.gain)
        self.slopes = torch.empty(2, len(self.gain), dtype=torch.float32)
        self.written = self.slopes.numpy()

    def forward(self, x: Tensor, momentum: float) -> None:
        """Put the results in the place of the values.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_units or more)
        momentum : float
            Weight of this batch in the running moments.
        """
        if len(x) != len(self.standard):
            self.standard = np.empty((len(x), len(self.gain)), np.float32)
        kept = self.standard, self.inverse_deviation
        self.x = x.numpy()
        _forward(self.x, *self.state, f(momentum), self.floor, *kept)

    def backward(self, grad: Tensor, from_rectified: Tensor | None) -> Tensor:
        """Put the values' gradients in the place of the results'; return gain's and shift's.

        Parameters
        ----------
        grad : Tensor of the shape of x
        from_rectified : Tensor of shape (n_rows, n_units) or None
            Gradient of the rectified results, which is to be added.
        """
        kept, written = (self.standard, self.inverse_deviation), grad.numpy()
        if from_rectified is not None:
            _add_where_positive(written, self.x, from_rectified.numpy())
        _backward(written, self.gain, *kept, *self.written)
        return self.slopes
