"""The Gaussian law as plain functions; as a distribution it is `torch.distributions.Normal`."""

from statistics import NormalDist

import torch
from torch import Tensor

from skrgvae.distributions._numerics import HALF_LOG_2PI, normal_parts


def gaussian_start(rate: float) -> tuple[float, float]:
    """(loc, scale) of scale 1 with ``P(z > 0) = rate``, rectified or not."""
    return NormalDist().inv_cdf(rate), 1.0


def gaussian_sample(loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """loc + scale * noise for standard normal noise of shape (..., *loc.shape)."""
    return torch.addcmul(loc, scale, noise)


def gaussian_kl(loc_q: Tensor, scale_q: Tensor, loc_p: Tensor, scale_p: Tensor) -> Tensor:
    """KL(q || p) in nats, elementwise over the broadcast shape."""
    ratio = scale_q / scale_p
    shift = (loc_q - loc_p) / scale_p
    return 0.5 * (ratio**2 - 1 + shift**2) - ratio.log()


def gaussian_log_prob(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Log density in nats."""
    return -0.5 * ((value - loc) / scale) ** 2 - scale.log() - HALF_LOG_2PI


def gaussian_mean(loc: Tensor, scale: Tensor) -> Tensor:
    """Mean, which is the median too."""
    return torch.broadcast_tensors(loc, scale)[0]


def gaussian_active(loc: Tensor, scale: Tensor) -> Tensor:
    """Probability of a value above zero."""
    return normal_parts(loc / scale).cdf
