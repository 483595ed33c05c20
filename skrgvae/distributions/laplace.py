"""The Laplace law as plain functions; as a distribution it is `torch.distributions.Laplace`.

It is the law behind an L1 penalty: its log density falls with ``|z - loc| / scale``. Many values
lie close to its centre and none on it, so that nothing it emits is exactly zero.

Its merge with the data's message is the Gaussian one on (loc, scale). No product with a Laplace
density is a Laplace density again; the merge keeps mean and variance instead: the prior gives way
to the Gaussian of equal mean and variance ``2 scale**2``, that one is multiplied with a
pseudo-observation of precision ``precision / 2``, and the product is turned back in the same way.
The bound holds for any posterior, so this choice can cost tightness and nothing else.
"""

import math

import torch
from torch import Tensor

from skrgvae.distributions._numerics import normal_log_sf


def laplace_start(rate: float) -> tuple[float, float]:
    """(loc, scale) of scale 1 with ``P(z > 0) = rate``."""
    return math.copysign(math.log(2 * min(rate, 1 - rate)), rate - 0.5), 1.0


def laplace_sample(loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """Quantile at ``Phi(noise)`` for standard normal noise of shape (..., *loc.shape)."""
    distance = -math.log(2) - normal_log_sf(noise.abs())  # -log(2 Phi(-|noise|)): exponential
    return torch.addcmul(loc, scale, noise.sign() * distance)


def laplace_kl(loc_q: Tensor, scale_q: Tensor, loc_p: Tensor, scale_p: Tensor) -> Tensor:
    """KL(q || p) in nats, elementwise over the broadcast shape.

    With r = scale_q / scale_p and x = |loc_q - loc_p| / scale_q,

        KL = r (x + exp(-x)) - 1 - log r,

    written so that what is large near q = p is never formed.
    """
    ratio = scale_q / scale_p
    shift = (loc_q - loc_p).abs() / scale_q
    return ratio * (shift + torch.expm1(-shift)) + (ratio - 1 - ratio.log())


def laplace_log_prob(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Log density in nats."""
    return -(value - loc).abs() / scale - scale.log() - math.log(2)


def laplace_mean(loc: Tensor, scale: Tensor) -> Tensor:
    """Mean, which is the median too, and zero only where ``loc`` is."""
    return torch.broadcast_tensors(loc, scale)[0]


def laplace_active(loc: Tensor, scale: Tensor) -> Tensor:
    """Probability of a value above zero."""
    alpha = loc / scale
    # Of the two rectifiers just one has slope 1 at zero, as the sum of both sides must.
    return 0.5 * (torch.exp(alpha.clamp(max=0)) - torch.expm1(-alpha.relu()))
