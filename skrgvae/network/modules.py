"""Deterministic building blocks: affine maps, normalisation, positive numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skrgvae.likelihoods.family import DTYPE

# exp of a raw number clamped to this range gives every scale and precision of the network. The
# range is far wider than training uses; it only keeps one wild step from ending in 0 or infinity.
LOG_RANGE = 12.0
# The running statistics of the normalisation follow the last 1 / MOMENTUM batches.
MOMENTUM = 0.02
VARIANCE_FLOOR = 1e-5


def positive(raw: Tensor) -> Tensor:
    """Map any real number to a positive one: exp, with its argument clamped."""
    return raw.clamp(-LOG_RANGE, LOG_RANGE).exp()


class Affine(nn.Linear):
    """y = W x + b that is created empty and drawn from an explicit generator.

    `torch.nn.Linear` draws from the global generator when it is built, which a library must
    not touch.
    """

    def __init__(self, n_inputs: int, n_outputs: int, bias: bool = True) -> None:
        nn.Module.__init__(self)
        self.in_features = n_inputs
        self.out_features = n_outputs
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs, dtype=DTYPE))
        self.register_parameter("bias", None)
        if bias:
            self.bias = nn.Parameter(torch.zeros(n_outputs, dtype=DTYPE))

    def draw(self, generator: torch.Generator, gain: float = 1.0) -> None:
        """Draw the weights from U(-b, b), b = gain sqrt(3 / n_inputs)."""
        bound = gain * math.sqrt(3.0 / max(self.in_features, 1))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
            if self.bias is not None:
                self.bias.zero_()


class BatchNorm(nn.Module):
    """Batch normalisation over rows with learned, or fixed, gain and shift.

    In training mode it uses the batch's moments, except for a batch of a single row, which has
    none: that row, like every row at inference, meets the running moments.

    Parameters
    ----------
    n_units : int
    fixed : (gain, shift) or None
        Constants instead of learned parameters. With a fixed gain g and shift b a share
        Phi(b / g) of the (roughly normal) values is positive, and training can't undo it.
    """

    running_mean: Tensor
    running_variance: Tensor
    gain: Tensor
    shift: Tensor
    n_batches: Tensor

    def __init__(self, n_units: int, fixed: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(n_units, dtype=DTYPE))
        self.register_buffer("running_variance", torch.ones(n_units, dtype=DTYPE))
        if fixed is None:
            self.gain = nn.Parameter(torch.ones(n_units, dtype=DTYPE))
            self.shift = nn.Parameter(torch.zeros(n_units, dtype=DTYPE))
        else:
            self.register_buffer("gain", torch.full((n_units,), fixed[0], dtype=DTYPE))
            self.register_buffer("shift", torch.full((n_units,), fixed[1], dtype=DTYPE))
        # Batches seen so far: the first ones enter as a plain average, so that a short training
        # is not dominated by the zeros and ones above.
        self.register_buffer("n_batches", torch.zeros((), dtype=torch.int64))

    def uses_moments_of(self, x: Tensor) -> bool:
        """Whether the moments are the batch's."""
        return self.training and x.shape[0] > 1

    def momentum(self) -> float:
        """Weight of the next batch in the running moments, which is counted."""
        return max(MOMENTUM, 1.0 / int(self.n_batches.add_(1)))

    def forward(self, x: Tensor) -> Tensor:
        use_batch = self.uses_moments_of(x)
        return F.batch_norm(
            x.reshape(-1, x.shape[-1]),
            self.running_mean,
            self.running_variance,
            self.gain,
            self.shift,
            use_batch,
            self.momentum() if use_batch else 0.0,
            VARIANCE_FLOOR,
        ).reshape(x.shape)


class Hidden(nn.Module):
    """A deterministic layer: affine, normalised, rectified."""

    def __init__(self, n_inputs: int, n_units: int, batch_norm: bool) -> None:
        super().__init__()
        self.affine = Affine(n_inputs, n_units)
        self.norm = BatchNorm(n_units) if batch_norm else nn.Identity()

    def draw(self, generator: torch.Generator) -> None:
        self.affine.draw(generator, gain=math.sqrt(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.affine(x)))
