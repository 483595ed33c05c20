"""Batch normalisation of the first columns of a matrix, in place, by the moments of its rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skrgvae.compiled.arithmetic import ONE, compiled, f


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
    """Two rows at least, normalised in place; what it needs for the way back is kept."""

    def forward(self, x: Tensor, state: tuple[Tensor, ...], momentum: float, floor: float) -> None:
        """Normalise the first columns, as many as the state has.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_units or more)
        state : tuple of Tensor of shape (n_units,)
            Gain, shift, running mean and running variance; the last two are moved.
        momentum : float
            Weight of this batch in the running moments.
        floor : float
            Added to the variances.
        """
        arrays = [part.numpy() for part in state]
        self.gain = arrays[0]
        self.standard = np.empty((len(x), len(self.gain)), np.float32)
        self.inverse_deviation = np.empty_like(self.gain)
        kept = self.standard, self.inverse_deviation
        _forward(x.numpy(), *arrays, f(momentum), f(floor), *kept)

    def backward(self, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Put the input's gradient in the place of the result's; return gain's and shift's."""
        grads = np.empty_like(self.gain), np.empty_like(self.gain)
        _backward(grad.numpy(), self.gain, self.standard, self.inverse_deviation, *grads)
        return torch.from_numpy(grads[0]), torch.from_numpy(grads[1])
