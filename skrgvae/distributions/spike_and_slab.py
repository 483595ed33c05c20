"""A spike-and-slab law on two numbers: an atom at zero and a Gaussian, drawn together.

With probability ``pi`` the value comes from the slab N(loc, scale**2), else it is exactly zero.
The gate is no third number but follows from the slab,

    log [pi / (1 - pi)] = log(scale) + (loc / scale)**2 / 2,

which makes it the Gaussian kernel ``exp(-(z - loc)**2 / (2 scale**2))`` taken against the measure
``delta_0 + dz / sqrt(2 pi)`` and normalised: an exponential family in z and z**2. It follows:

- The product of such a law with a Gaussian pseudo-observation is such a law again, with the merged
  (loc, scale) of the Gaussian merge: the structured posterior is the exact posterior of the
  pseudo-observation, its gate included (with a gate of its own, its log odds would have to move by
  ``log N(0; loc_p, scale_p) - log N(0; loc_q, scale_q)``, which is what the tie does).
- The unit is off where the slab can't be told from zero: ``|loc|`` of the order of a small
  ``scale``.
- Where the slab stands far from zero the gate is open, so there is no gap without mass between
  atom and slab: the quantile function is continuous in (loc, scale) and never much steeper in the
  noise than the larger of ``scale`` and ``sqrt(2 pi) |noise|``. The quantile at ``Phi(noise)`` is
  an exact draw with an unbiased pathwise gradient. So nothing is relaxed, in training or later,
  and every bound is that of the discrete mixture itself.
- As the unit of z is free (the weights that read it can take up any factor), the tie of a constant
  prior's sparsity to its scale costs no generality. What is given up is a prior that is, given the
  layers above, rarely on and yet sure of a value far from zero.

Densities are taken against a unit atom at zero plus Lebesgue measure on the whole line.

References
----------
.. [1] T. J. Mitchell, J. J. Beauchamp (1988). Bayesian Variable Selection in Linear Regression.
   Journal of the American Statistical Association 83.
.. [2] F. Tonolini, B. S. Jensen, R. Murray-Smith (2019). Variational Sparse Coding. UAI.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl
from torch.distributions.utils import broadcast_all
from torch.nn import functional as F

from skrgvae.distributions._numerics import HALF_LOG_2PI, normal_parts
from skrgvae.distributions.gaussian import gaussian_kl, gaussian_log_prob

# Tail probabilities below it are those of no draw; without it, a branch that is not taken would
# have an infinite value and spoil the gradient of the one that is.
_LEAST_TAIL = 1e-30


class _Gate(NamedTuple):
    """Probabilities of slab and atom, and their logarithms, each with full relative accuracy."""

    on: Tensor
    off: Tensor
    log_on: Tensor
    log_off: Tensor


def _gate(loc: Tensor, scale: Tensor) -> _Gate:
    log_odds = scale.log() + 0.5 * (loc / scale) ** 2
    return _Gate(
        torch.sigmoid(log_odds),
        torch.sigmoid(-log_odds),
        F.logsigmoid(log_odds),
        F.logsigmoid(-log_odds),
    )


def spike_and_slab_start(rate: float) -> tuple[float, float]:
    """(loc, scale) of a slab around zero with ``P(z != 0) = rate``."""
    return 0.0, rate / (1 - rate)


def spike_and_slab_sample(loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """Quantile at ``Phi(noise)`` for standard normal noise of shape (..., *loc.shape).

    Continuous in all arguments, zero over the atom. Either side of the atom counts its tail
    probabilities from its own end, so that no small one is the difference of large ones.
    """
    gate, slab, draw = _gate(loc, scale), normal_parts(loc / scale), normal_parts(noise)
    above = draw.sf < gate.on * slab.cdf
    below = draw.cdf < gate.on * slab.sf
    lower_tail = (draw.cdf - gate.off * ~below) / gate.on
    upper_tail = (draw.sf - gate.off * below) / gate.on
    in_lower_half = lower_tail < upper_tail
    tail = torch.where(in_lower_half, lower_tail, upper_tail).clamp(min=_LEAST_TAIL)
    quantile = torch.special.ndtri(tail)
    value = loc + scale * torch.where(in_lower_half, quantile, -quantile)
    # The sign is asked for as well, as rounding can put a value on the other side of zero.
    off = ~((above & (value > 0)) | (below & (value < 0)))
    return value.masked_fill(off, 0.0)


def spike_and_slab_kl(loc_q: Tensor, scale_q: Tensor, loc_p: Tensor, scale_p: Tensor) -> Tensor:
    """KL(q || p) in nats, elementwise over the broadcast shape.

    That of the gates, and that of the slabs where q is on:

        KL = on_q log(on_q / on_p) + off_q log(off_q / off_p) + on_q KL(slab_q || slab_p)
    """
    q, p = _gate(loc_q, scale_q), _gate(loc_p, scale_p)
    slabs = gaussian_kl(loc_q, scale_q, loc_p, scale_p)
    return q.on * (q.log_on - p.log_on + slabs) + q.off * (q.log_off - p.log_off)


def spike_and_slab_log_prob(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Log mass where ``value`` is 0, log density elsewhere; in nats."""
    gate = _gate(loc, scale)
    density = gate.log_on + gaussian_log_prob(value, loc, scale)
    # The dominating measure changes here: a unit atom at zero, Lebesgue measure around it.
    return torch.where(value == 0, gate.log_off, density)


def spike_and_slab_median(loc: Tensor, scale: Tensor) -> Tensor:
    """Median: exactly zero unless more than half of the mass lies on one side of zero."""
    return spike_and_slab_sample(loc, scale, torch.zeros_like(loc))


def spike_and_slab_mean(loc: Tensor, scale: Tensor) -> Tensor:
    """Expectation; zero only where ``loc`` is."""
    return _gate(loc, scale).on * loc


def spike_and_slab_active(loc: Tensor, scale: Tensor) -> Tensor:
    """Probability of a value above zero: what the slab has there, times the gate."""
    return _gate(loc, scale).on * normal_parts(loc / scale).cdf


class SpikeAndSlab(Distribution):
    """Gaussian slab with an atom at zero whose mass follows from the slab.

    ``P(z != 0)`` is the logistic function of ``log(scale) + (loc / scale)**2 / 2``.

    Parameters
    ----------
    loc : float or Tensor of shape (...)
        Mean of the slab.
    scale : float or Tensor of shape (...)
        Standard deviation of the slab, positive.
    validate_args : bool, optional
        Whether arguments and values are checked; torch's default if None.

    Examples
    --------
    >>> import torch
    >>> from skrgvae.distributions import SpikeAndSlab
    >>> law = SpikeAndSlab(torch.tensor([0.1, 1.0]), 0.2)
    >>> law.prob_on
    tensor([0.1848, 1.0000])
    >>> law.median
    tensor([0.0000, 1.0000])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: "SpikeAndSlab | None" = None) -> "SpikeAndSlab":
        new = self._get_checked_instance(SpikeAndSlab, _instance)
        new.loc = self.loc.expand(batch_shape)
        new.scale = self.scale.expand(batch_shape)
        super(SpikeAndSlab, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def prob_on(self) -> Tensor:
        """P(z != 0), of shape batch_shape."""
        return _gate(self.loc, self.scale).on

    @property
    def mean(self) -> Tensor:
        return spike_and_slab_mean(self.loc, self.scale)

    @property
    def median(self) -> Tensor:
        return spike_and_slab_median(self.loc, self.scale)

    @property
    def variance(self) -> Tensor:
        gate = _gate(self.loc, self.scale)
        return gate.on * (self.scale**2 + gate.off * self.loc**2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return spike_and_slab_sample(self.loc, self.scale, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log mass at zero, log density elsewhere."""
        if self._validate_args:
            self._validate_sample(value)
        return spike_and_slab_log_prob(value, self.loc, self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        gate = _gate(self.loc, self.scale)
        slab = gate.on * normal_parts((value - self.loc) / self.scale).cdf
        return slab + gate.off * (value >= 0)

    def icdf(self, value: Tensor) -> Tensor:
        """Smallest z with P(Z <= z) >= value."""
        return spike_and_slab_sample(self.loc, self.scale, torch.special.ndtri(value))

    def entropy(self) -> Tensor:
        """Entropy in nats, against the measure of `log_prob`."""
        gate = _gate(self.loc, self.scale)
        slab = HALF_LOG_2PI + 0.5 + self.scale.log()
        return gate.on * (slab - gate.log_on) - gate.off * gate.log_off


@register_kl(SpikeAndSlab, SpikeAndSlab)
def _kl_spike_and_slab(p: SpikeAndSlab, q: SpikeAndSlab) -> Tensor:
    return spike_and_slab_kl(p.loc, p.scale, q.loc, q.scale)
