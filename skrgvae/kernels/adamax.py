"""A step of Adamax over one long vector."""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

# Entries that a program moves.
ENTRIES = 1024


@triton.jit
def _step(
    values,
    gradients,
    means,
    squares,
    good,
    rate,
    n_steps,
    n_entries,
    log_beta,
    decay,
    eps,
    ENTRIES: tl.constexpr,
):
    entry = tl.program_id(0).to(tl.int64) * ENTRIES + tl.arange(0, ENTRIES)
    moved = (entry < n_entries) & (tl.load(good + tl.zeros([ENTRIES], tl.int32)) != 0)
    beta = tl.exp(log_beta)
    corrected = tl.load(rate) / (1.0 - tl.exp(tl.load(n_steps) * log_beta))
    gradient = tl.load(gradients + entry, moved, 0.0)
    mean = beta * tl.load(means + entry, moved, 0.0) + (1.0 - beta) * gradient
    square = tl.maximum(decay * tl.load(squares + entry, moved, 0.0), gradient * gradient)
    value = tl.load(values + entry, moved, 0.0) - corrected * mean / (tl.sqrt(square) + eps)
    tl.store(means + entry, mean, moved)
    tl.store(squares + entry, square, moved)
    tl.store(values + entry, value, moved)


def step(
    value: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    good: Tensor,
    rate: Tensor,
    n_steps: Tensor,
    beta: float,
    decay: float,
    eps: float,
) -> None:
    """Move a vector, the mean of its gradients, and their largest square, which decays.

    Parameters
    ----------
    value, gradient, mean, square : Tensor of shape (n_entries,)
    good, rate, n_steps : Tensor of shape ()
        Whether anything moves at all, the learning rate, and the number of steps with this one.
    beta, decay, eps : float
    """
    vectors = value, gradient, mean, square, good, rate, n_steps
    options = len(value), math.log(beta), decay, eps, ENTRIES
    _step[(triton.cdiv(len(value), ENTRIES),)](*vectors, *options)
