"""A step of Adamax over one long vector."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from skrgvae.compiled.arithmetic import ONE, ZERO, compiled, f, i

LARGEST = f(1.8e19)  # its square is the largest number, nearly


@compiled
def _step(values, gradients, means, squares, beta, decay, rate, eps, shrinkage):
    n_bad = i(0)
    for entry in range(len(values)):
        bad = not abs(gradients[entry]) < LARGEST
        n_bad += i(bad)
        gradient = ZERO if bad else gradients[entry]
        mean = beta * means[entry] + (ONE - beta) * gradient
        kept, new = decay * squares[entry], gradient * gradient
        square = kept if kept > new else new
        means[entry], squares[entry] = mean, square
        values[entry] -= shrinkage * values[entry] + rate * mean / (np.sqrt(square) + eps)
    return n_bad


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
) -> bool:
    """Move a vector, the mean of its gradients, and their largest square, which decays.

    The vector itself first loses a share of itself, the shrinkage.

    Returns
    -------
    bool
        Whether all gradients could be squared; the others are taken for zeros.
    """
    arrays = (vector.detach().numpy() for vector in (value, gradient, mean, square))
    return not _step(*arrays, f(beta), f(decay), f(rate), f(eps), f(shrinkage))
