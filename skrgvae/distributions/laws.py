"""The laws of latent units, in the form the network calls them.

To add one, write its functions in a file of their own and enter them in `LATENT_LAWS`; the tests
then ask for a row in their table of examples.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from skrgvae.distributions import gaussian, laplace, rectified_gaussian, spike_and_slab


@dataclass(frozen=True)
class LatentLaw:
    """One law of latent units, as functions of two numbers (loc, scale).

    They are those of the Gaussian that the posterior merges: before rectification for the
    rectified law, the slab for the spike and slab. Laws for which this merge is not the plain
    product of two Gaussians say in their own file what it stands for.

    All functions but `start` are elementwise over the broadcast shape of their arguments and build
    no `Distribution`, whose checks would show in a training step.

    Attributes
    ----------
    name : str
        Key in `LATENT_LAWS`.
    distribution : type[Distribution]
        The same law as a torch distribution with parameters ``loc`` and ``scale``.
    has_atom : bool
        Whether there is mass at exactly zero.
    start : callable (rate)
        Floats (loc, scale) of a law that is on with probability `rate`: above zero, for the
        spike and slab other than zero.
    sample : callable (loc, scale, noise)
        Reparameterised draw from standard normal noise: the quantile at its probability.
    kl : callable (loc_q, scale_q, loc_p, scale_p)
        KL(q || p) in nats, in closed form.
    log_prob : callable (value, loc, scale)
        Log density in nats; with an atom, log mass at zero.
    median, mean, active : callable (loc, scale)
        Median, expectation and P(z > 0).
    lowest : float
        Where `loc` of a prior stops if units are to have a firing rate.
    """

    name: str
    distribution: type[Distribution]
    has_atom: bool
    start: Callable[[float], tuple[float, float]]
    sample: Callable[[Tensor, Tensor, Tensor], Tensor]
    kl: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    log_prob: Callable[[Tensor, Tensor, Tensor], Tensor]
    median: Callable[[Tensor, Tensor], Tensor]
    mean: Callable[[Tensor, Tensor], Tensor]
    active: Callable[[Tensor, Tensor], Tensor]
    lowest: float = -math.inf


_LAWS = (
    LatentLaw(
        name="rectified_gaussian",
        distribution=rectified_gaussian.RectifiedGaussian,
        has_atom=True,
        start=gaussian.gaussian_start,
        sample=rectified_gaussian.rectified_gaussian_sample,
        kl=rectified_gaussian.rectified_gaussian_kl,
        log_prob=rectified_gaussian.rectified_gaussian_log_prob,
        median=rectified_gaussian.rectified_gaussian_median,
        mean=rectified_gaussian.rectified_gaussian_mean,
        active=rectified_gaussian.rectified_gaussian_active,
        # There P(z > 0) at a scale of 1 is 3e-5, and falls so fast that switching the unit on
        # costs more and more nats.
        lowest=-4.0,
    ),
    LatentLaw(
        name="gaussian",
        distribution=Normal,
        has_atom=False,
        start=gaussian.gaussian_start,
        sample=gaussian.gaussian_sample,
        kl=gaussian.gaussian_kl,
        log_prob=gaussian.gaussian_log_prob,
        median=gaussian.gaussian_mean,
        mean=gaussian.gaussian_mean,
        active=gaussian.gaussian_active,
    ),
    LatentLaw(
        name="laplace",
        distribution=Laplace,
        has_atom=False,
        start=laplace.laplace_start,
        sample=laplace.laplace_sample,
        kl=laplace.laplace_kl,
        log_prob=laplace.laplace_log_prob,
        median=laplace.laplace_mean,
        mean=laplace.laplace_mean,
        active=laplace.laplace_active,
    ),
    LatentLaw(
        name="spike_and_slab",
        distribution=spike_and_slab.SpikeAndSlab,
        has_atom=True,
        start=spike_and_slab.spike_and_slab_start,
        sample=spike_and_slab.spike_and_slab_sample,
        kl=spike_and_slab.spike_and_slab_kl,
        log_prob=spike_and_slab.spike_and_slab_log_prob,
        median=spike_and_slab.spike_and_slab_median,
        mean=spike_and_slab.spike_and_slab_mean,
        active=spike_and_slab.spike_and_slab_active,
    ),
)

LATENT_LAWS: Mapping[str, LatentLaw] = MappingProxyType({law.name: law for law in _LAWS})
