"""The laws of latent units, in the form the network calls them.

To add one, write its functions in a file of their own and enter them in `LATENT_LAWS`; the tests
then ask for a row in their table of examples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor
from torch.distributions import Distribution, Normal

from skrgvae.distributions import gaussian, rectified_gaussian


@dataclass(frozen=True)
class LatentLaw:
    """One law of latent units, as functions of (loc, scale) before rectification.

    All functions are elementwise over the broadcast shape of their arguments and build no
    `Distribution`, whose checks would show in a training step.

    Attributes
    ----------
    name : str
        Key in `LATENT_LAWS`.
    distribution : type[Distribution]
        The same law as a torch distribution with parameters ``loc`` and ``scale``.
    has_atom : bool
        Whether there is mass at exactly zero.
    sample : callable (loc, scale, noise)
        Reparameterised draw from standard normal noise.
    kl : callable (loc_q, scale_q, loc_p, scale_p)
        KL(q || p) in nats, in closed form.
    log_prob : callable (value, loc, scale)
        Log density in nats; with an atom, log mass at zero.
    median, mean, active : callable (loc, scale)
        Median, expectation and P(z > 0).
    """

    name: str
    distribution: type[Distribution]
    has_atom: bool
    sample: Callable[[Tensor, Tensor, Tensor], Tensor]
    kl: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    log_prob: Callable[[Tensor, Tensor, Tensor], Tensor]
    median: Callable[[Tensor, Tensor], Tensor]
    mean: Callable[[Tensor, Tensor], Tensor]
    active: Callable[[Tensor, Tensor], Tensor]


_LAWS = (
    LatentLaw(
        name="rectified_gaussian",
        distribution=rectified_gaussian.RectifiedGaussian,
        has_atom=True,
        sample=rectified_gaussian.rectified_gaussian_sample,
        kl=rectified_gaussian.rectified_gaussian_kl,
        log_prob=rectified_gaussian.rectified_gaussian_log_prob,
        median=rectified_gaussian.rectified_gaussian_median,
        mean=rectified_gaussian.rectified_gaussian_mean,
        active=rectified_gaussian.rectified_gaussian_active,
    ),
    LatentLaw(
        name="gaussian",
        distribution=Normal,
        has_atom=False,
        sample=gaussian.gaussian_sample,
        kl=gaussian.gaussian_kl,
        log_prob=gaussian.gaussian_log_prob,
        median=gaussian.gaussian_mean,
        mean=gaussian.gaussian_mean,
        active=gaussian.gaussian_active,
    ),
)

LATENT_LAWS: Mapping[str, LatentLaw] = MappingProxyType({law.name: law for law in _LAWS})
