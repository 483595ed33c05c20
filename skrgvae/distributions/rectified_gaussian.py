"""The rectified Gaussian law: max(z, 0) for Gaussian z.

Densities are taken against a unit atom at zero plus Lebesgue measure on the positive half-line.

References
----------
.. [1] T. Salimans (2016). A Structured Variational Auto-encoder for Learning Deep Hierarchies of
   Sparse Features. arXiv:1602.08734.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, constraints, register_kl
from torch.distributions.utils import broadcast_all

from skrgvae.distributions._numerics import (
    HALF_LOG_2PI,
    INV_SQRT_2PI,
    UNDERFLOW,
    is_negative,
    normal_log_sf,
    normal_parts,
    scaled_tail,
    tail_limit,
)


class KLSlopes(NamedTuple):
    """Partial derivatives of a KL divergence; the scales' are those with respect to their logs."""

    loc_q: Tensor
    log_scale_q: Tensor
    loc_p: Tensor
    log_scale_p: Tensor


def rectified_gaussian_kl_and_slopes(
    loc_q: Tensor, scale_q: Tensor, loc_p: Tensor, scale_p: Tensor, with_slopes: bool = True
) -> tuple[Tensor, KLSlopes | None]:
    """Value and partial derivatives in one go, as they share nearly everything.

    With a = mu / sigma of q, b = m / s of p, r = sigma / s and x = (mu - m) / s,

        KL = P0 [log Phi(-a) - log Phi(-b)] - P1 log r
             + [(P1 - a phi(a)) (r^2 - 1) + 2 r x phi(a) + x^2 P1] / 2

    where P0 = Phi(-a) and P1 = Phi(a): each term vanishes by itself at q = p, so nothing large
    cancels there. The derivatives for q contain the difference of both log hazards,

        G = log [h(a) / sigma] - log [h(b) / s],    h(u) = phi(u) / Phi(-u).

    For p the code has exp(max(b, 0)^2 / 2) Phi(-b), which lies in (0, 1] and never underflows,
    in place of Phi(-b): b^2 / 2, which would drown the rest, is added to the KL alone and
    never formed in G, where it cancels.

    Parameters
    ----------
    loc_q, scale_q, loc_p, scale_p : Tensor, broadcastable to one shape (...)
        Mean and standard deviation before rectification; nothing here is recorded for autograd.
    with_slopes : bool

    Returns
    -------
    kl : Tensor of shape (...)
        KL(q || p) in nats, elementwise.
    slopes : KLSlopes of Tensors of shape (...), or None
    """
    # The innermost loop of training: few elementwise passes, in place where a buffer is
    # free, and 0-dim tensors instead of Python scalars, which take longer to dispatch.
    limit = tail_limit(loc_q.dtype)
    a = (loc_q / scale_q).clamp_(-limit, limit)
    zero, one = a.new_zeros(()), a.new_ones(())
    log_bell_q = torch.addcmul(zero, a, a, value=-0.5)
    bell_q = log_bell_q.exp()
    lesser_mass = scaled_tail(a.abs()).mul_(bell_q)
    pdf = bell_q.mul_(INV_SQRT_2PI)
    negative = is_negative(a)
    p_zero = (negative - lesser_mass).abs_()
    p_active = (one - negative).sub_(lesser_mass).abs_()

    b = loc_p / scale_p
    b_negative_part = b.clamp(max=0)
    log_bell_p = torch.addcmul(zero, b_negative_part, b_negative_part, value=-0.5)
    bell_p = log_bell_p.exp()
    scaled_survival_p = scaled_tail(b.abs()).mul_(bell_p).sub_(is_negative(b)).abs_()

    ratio = scale_q / scale_p
    log_ratio = ratio.log()
    ratio_gap = torch.addcmul(-one, ratio, ratio)
    shift = (loc_q - loc_p) / scale_p
    mass_ratio = p_zero / scaled_survival_p
    log_mass_ratio = mass_ratio.log()

    a_pdf = a * pdf
    spread = p_active - a_pdf  # E[(z - mu)^2; z > 0] / sigma^2
    edge = ratio * pdf
    offset = torch.addcmul(edge, shift, p_active)  # E[z - m; z > 0] / s
    square_gap = torch.addcmul(spread * ratio_gap, shift, edge + offset)
    kl = torch.addcmul(log_mass_ratio, b, b.relu(), value=0.5).mul_(p_zero)
    kl.addcmul_(p_active, log_ratio, value=-1).add_(square_gap, alpha=0.5)
    if not with_slopes:
        return kl, None

    log_hazard_ratio = (log_bell_q - log_mass_ratio).sub_(log_bell_p).sub_(log_ratio)
    moved = ratio * shift
    by_loc_q = (log_hazard_ratio + ratio_gap).mul_(pdf).addcmul_(moved, p_active).div_(scale_q)
    by_scale_q = moved.mul_(pdf).addcmul_(log_hazard_ratio, a_pdf, value=-1)
    by_scale_q.addcmul_(spread, ratio_gap)
    edge_p = torch.addcmul(zero, mass_ratio, bell_p, value=INV_SQRT_2PI)  # P0 h(b)
    by_loc_p = (edge_p - offset).div_(scale_p)
    by_scale_p = (a_pdf - square_gap).addcmul_(b, edge_p, value=-1)
    return kl, KLSlopes(by_loc_q, by_scale_q, by_loc_p, by_scale_p)


class _RectifiedGaussianKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, loc_q: Tensor, scale_q: Tensor, loc_p: Tensor, scale_p: Tensor
    ) -> Tensor:
        with_slopes = any(ctx.needs_input_grad)
        kl, slopes = rectified_gaussian_kl_and_slopes(loc_q, scale_q, loc_p, scale_p, with_slopes)
        if slopes is not None:
            slopes.log_scale_q.div_(scale_q)
            slopes.log_scale_p.div_(scale_p)
            ctx.save_for_backward(*slopes)
            ctx.shapes = [x.shape for x in (loc_q, scale_q, loc_p, scale_p)]
        return kl

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(
            (slope * grad).sum_to_size(shape) if needed else None
            for slope, shape, needed in zip(
                ctx.saved_tensors, ctx.shapes, ctx.needs_input_grad, strict=True
            )
        )


def rectified_gaussian_kl(
    loc_q: Tensor, scale_q: Tensor, loc_p: Tensor, scale_p: Tensor
) -> Tensor:
    """KL divergence of two rectified Gaussians, in closed form.

    Parameters
    ----------
    loc_q, scale_q, loc_p, scale_p : Tensor, broadcastable to one shape (...)
        Mean and standard deviation before rectification; once differentiable in all four.

    Returns
    -------
    Tensor of shape (...)
        KL(q || p) in nats, elementwise.
    """
    kl: Tensor = _RectifiedGaussianKL.apply(loc_q, scale_q, loc_p, scale_p)
    return kl


def rectified_gaussian_sample(loc: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """max(loc + scale * noise, 0) for standard normal noise of shape (..., *loc.shape)."""
    return torch.addcmul(loc, scale, noise).relu()


def rectified_gaussian_log_prob(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Log mass where ``value`` is 0, log density above, -inf below; in nats."""
    density = -0.5 * ((value - loc) / scale) ** 2 - scale.log() - HALF_LOG_2PI
    # The dominating measure changes here: a unit atom at zero, Lebesgue measure above it.
    log_prob = torch.where(value > 0, density, normal_log_sf(loc / scale))
    return log_prob.masked_fill(value < 0, -torch.inf)


def rectified_gaussian_median(loc: Tensor, scale: Tensor) -> Tensor:
    """max(loc, 0), which is exactly zero wherever ``loc`` is not positive."""
    return torch.broadcast_tensors(loc, scale)[0].relu()


def rectified_gaussian_mean(loc: Tensor, scale: Tensor) -> Tensor:
    """Expectation; positive everywhere, unlike the median."""
    parts = normal_parts(loc / scale)
    return loc * parts.cdf + scale * parts.pdf


def rectified_gaussian_active(loc: Tensor, scale: Tensor) -> Tensor:
    """Probability of a value above zero."""
    return normal_parts(loc / scale).cdf


class RectifiedGaussian(Distribution):
    """Law of ``max(loc + scale * noise, 0)`` with standard normal noise.

    It has an atom at zero, of mass ``Phi(-loc / scale)``, and the Gaussian density above it.

    Parameters
    ----------
    loc : float or Tensor of shape (...)
        Mean before rectification.
    scale : float or Tensor of shape (...)
        Standard deviation before rectification, positive.
    validate_args : bool, optional
        Whether arguments and values are checked; torch's default if None.

    References
    ----------
    .. [1] T. Salimans (2016). A Structured Variational Auto-encoder for Learning Deep Hierarchies
       of Sparse Features. arXiv:1602.08734.

    Examples
    --------
    >>> import torch
    >>> from skrgvae.distributions import RectifiedGaussian
    >>> law = RectifiedGaussian(torch.tensor([-1.0, 1.0]), 1.0)
    >>> law.median
    tensor([0., 1.])
    >>> law.prob_active
    tensor([0.1587, 0.8413])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True

    def __init__(
        self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(
        self, batch_shape: Any, _instance: "RectifiedGaussian | None" = None
    ) -> "RectifiedGaussian":
        new = self._get_checked_instance(RectifiedGaussian, _instance)
        new.loc = self.loc.expand(batch_shape)
        new.scale = self.scale.expand(batch_shape)
        super(RectifiedGaussian, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def prob_active(self) -> Tensor:
        """P(z > 0), of shape batch_shape."""
        return rectified_gaussian_active(self.loc, self.scale)

    @property
    def mean(self) -> Tensor:
        return rectified_gaussian_mean(self.loc, self.scale)

    @property
    def median(self) -> Tensor:
        return rectified_gaussian_median(self.loc, self.scale)

    @property
    def variance(self) -> Tensor:
        # E[z^2] - E[z]^2 with the powers of a cancelled by hand; what is left is tail-safe.
        a = (self.loc / self.scale).clamp(-UNDERFLOW, UNDERFLOW)
        pdf, cdf, sf = normal_parts(a)
        return self.scale**2 * (cdf * (1 + a**2 * sf) - pdf * (a * (cdf - sf) + pdf))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return rectified_gaussian_sample(self.loc, self.scale, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log mass at zero, log density above it."""
        if self._validate_args:
            self._validate_sample(value)
        return rectified_gaussian_log_prob(value, self.loc, self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        cdf = normal_parts((value - self.loc) / self.scale).cdf
        return cdf.masked_fill(value < 0, 0)

    def icdf(self, value: Tensor) -> Tensor:
        """Smallest z with P(Z <= z) >= value: zero up to the mass of the atom."""
        return (self.loc + self.scale * torch.special.ndtri(value)).relu()

    def entropy(self) -> Tensor:
        """Entropy in nats, against the measure of `log_prob`."""
        a = (self.loc / self.scale).clamp(-UNDERFLOW, UNDERFLOW)
        pdf, cdf, sf = normal_parts(a)
        atom = sf * normal_log_sf(a)
        return cdf * (HALF_LOG_2PI + self.scale.log()) + 0.5 * (cdf - a * pdf) - atom


@register_kl(RectifiedGaussian, RectifiedGaussian)
def _kl_rectified_gaussian(p: RectifiedGaussian, q: RectifiedGaussian) -> Tensor:
    return rectified_gaussian_kl(p.loc, p.scale, q.loc, q.scale)
