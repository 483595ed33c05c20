"""A step of Adamax over one long vector."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from skrgvae.compiled.arithmetic import ONE, compiled, f


@compiled
def _step(values, gradients, means, squares, beta, decay, rate, eps, shrinkage):
    for entry in range(len(values)):
        gradient = gradients[entry]
        mean = beta * means[entry] + (ONE - beta) * gradient
        kept, new = decay * squares[entry], gradient * gradient
        square = kept if kept > new else new
        means[entry], squares[entry] = mean, square
        values[entry] -= shrinkage * values[entry] + rate * mean / (np.sqrt(square) + eps)


def step(
    value: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    beta: float,
    decay: float,
    rate: float,
    eps: float,
    shrinkage: float = 0.0,
) -> None:
    """Move a vector, the mean of its gradients, and their largest square, which decays.

    The vector itself first loses a share of itself, the shrinkage.
    """
    arrays = (vector.detach().numpy() for vector in (value, gradient, mean, square))
    with np.errstate(over="ignore"):  # what a float32 does not hold moves values to infinity
        options = f(beta), f(decay), f(rate), f(eps), f(shrinkage)
    _step(*arrays, *options)
