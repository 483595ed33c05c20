"""The rectified Gaussian: accuracy in the hard corners, gradients, the torch interface."""

import math

import pytest
import torch
from torch.distributions import kl_divergence

from skrgvae.distributions import RectifiedGaussian
from skrgvae.distributions._numerics import scaled_tail
from skrgvae.distributions.rectified_gaussian import rectified_gaussian_kl

DOUBLE = torch.float64

# Columns of the reference table: loc_q, scale_q, loc_p, scale_p, log mass of q at zero, its mean,
# its variance, KL(q || p); closed forms at 300 digits, 0 for what is below 1e-300.
HARD_ROWS = """
-30 1 -30 1 -4.90671392714819e-198 1.6319567340914e-199 1.08437248739835e-200 0
-30 1 5 0.001 -4.90671392714819e-198 1.6319567340914e-199 1.08437248739835e-200 12500009.4361318
-5 0.1 0.5 2 0 0 0 0.913061764811135
-5 0.1 -5 0.1 0 0 0 0
-8 1 8 1 -6.22096057427179e-16 7.5502624119465e-17 1.80750644714585e-17 35.0134371599145
8 1 -8 1 -35.0134371599146 8 0.999999999999999 128
-3 0.5 5 0.001 -9.86587645524376e-10 7.81784897985483e-11 1.21114418576677e-11 12500009.4357469
5 0.001 -30 1 -12500009.4361318 5 1e-06 618.907755778982
5 0.001 2 50 -12500009.4361318 5 1e-06 10.3215782846103
0.01 0.01 -30 1 -1.84102164500926 0.0108331547058769 7.51087807841609e-05 382.212987578407
2 50 0.01 0.01 -0.725574172043372 20.9630695839359 892.35944491901 6656948.50296723
30 1 8 1 -454.321243956343 30 1 242
"""

# loc_q, scale_q, loc_p, scale_p and the derivatives of the KL for them; numerical derivatives of
# the closed form at 400 digits.
HARD_GRADIENTS = """
-8 1 8 1 -1.86850913017107e-13 -1.49601534612277e-12 8.12136811223611 -64.9709448978889
-30 1 -30 1 0 0 0 0
8 1 -8 1 16.0000000000002 -1.33434267144959e-12 -16 -256
0.5 2 -30 1 105.877346678924 -9.21276388538753 -19.0338791669349 -605.529520576733
-3 0.5 5 0.001 -0.00485518080306207 -0.0298886488058056 5000000.19992181 -25000000999.2302
30 1 29.999 1 0.00100000000000122 0 -0.00100000000000122 -1.00000000000244e-06
0 1 30 1 -16.4474012012481 -11.968268412043 29.6176875533154 -876.562358187419
5 0.001 2 50 0.0012 -999.9999996 -0.0012 0.019927999992
-1 1 -1.0001 1 4.7022437019198e-5 5.5353984077966e-5 -4.7020431174319e-5 -5.5356680276204e-5
1 1 0 1 0.998111399628796 0.0852040709588898 -0.956726892985519 -1.08331547058769
"""


def parse(rows: str) -> torch.Tensor:
    table = [[float(field) for field in row.split()] for row in rows.strip().splitlines()]
    return torch.tensor(table, dtype=DOUBLE)


def plain_kl(loc_q, scale_q, loc_p, scale_p):
    """The formula as printed in the documentation: readable, accurate in the middle only."""
    alpha, beta, gap = loc_q / scale_q, loc_p / scale_p, loc_q - loc_p
    p_zero, p_active = torch.special.ndtr(-alpha), torch.special.ndtr(alpha)
    pdf = torch.exp(-(alpha**2) / 2) / math.sqrt(2 * math.pi)
    spread = scale_q**2 * (p_active - alpha * pdf)
    log_ndtr = torch.special.log_ndtr
    return (
        p_zero * (log_ndtr(-alpha) - log_ndtr(-beta))
        + p_active * (scale_p / scale_q).log()
        + (spread + 2 * gap * scale_q * pdf + gap**2 * p_active) / (2 * scale_p**2)
        - spread / (2 * scale_q**2)
    )


def random_arguments(n, spread, dtype=DOUBLE, seed=0):
    """(loc, scale) with loc / scale normal of standard deviation `spread`, scale lognormal."""
    generator = torch.Generator().manual_seed(seed)
    alpha, log_scale = torch.randn(2, n, dtype=DOUBLE, generator=generator)
    scale = log_scale.exp()
    return (spread * alpha * scale).to(dtype), scale.to(dtype)


def assert_meets_reference(table):
    loc_q, scale_q, loc_p, scale_p, log_mass, mean, variance, kl = table.T
    law = RectifiedGaussian(loc_q, scale_q)
    for value, expected, unit in (
        (law.log_prob(torch.zeros_like(loc_q)), log_mass, 1),
        (law.mean, mean, scale_q),
        (law.variance, variance, scale_q**2),
        (rectified_gaussian_kl(loc_q, scale_q, loc_p, scale_p), kl, 1),
    ):
        assert ((value - expected).abs() <= 1e-10 * expected.abs() + 1e-13 * unit).all()


def test_hard_reference_rows():
    assert_meets_reference(parse(HARD_ROWS))


def test_reference_table(data_home):
    text = (data_home / "rectified_gaussian_reference.csv").read_text()
    table = parse(text.partition("\n")[2].replace(",", " "))
    assert table.shape == (256, 8)
    assert_meets_reference(table)


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(DOUBLE, 1e-13, 1e-14), (None, 2e-6, 1e-6)])
def test_hard_gradients(dtype, rtol, atol):
    table = parse(HARD_GRADIENTS)
    arguments = [x.to(dtype or torch.float32).requires_grad_() for x in table.T[:4]]
    gradients = torch.autograd.grad(rectified_gaussian_kl(*arguments).sum(), arguments)
    for gradient, expected in zip(gradients, table.T[4:], strict=True):
        torch.testing.assert_close(gradient.double(), expected, rtol=rtol, atol=atol)


def test_kl_is_the_plain_formula():
    arguments = [
        x.requires_grad_()
        for x in (*random_arguments(2000, 2.0), *random_arguments(2000, 2.0, seed=1))
    ]
    kl, expected = rectified_gaussian_kl(*arguments), plain_kl(*arguments)
    torch.testing.assert_close(kl, expected, rtol=1e-10, atol=1e-11)
    for gradient, plain in zip(
        torch.autograd.grad(kl.sum(), arguments),
        torch.autograd.grad(expected.sum(), arguments),
        strict=True,
    ):
        torch.testing.assert_close(gradient, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("distance", [1.0, 1e-2, 1e-4, 1e-8, 1e-12, 0.0])
def test_kl_is_not_negative(distance):
    loc, scale = random_arguments(20_000, 5.0)
    step = torch.randn(2, 20_000, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    moved = loc + distance * scale * step[0], scale * (distance * step[1]).exp()
    assert rectified_gaussian_kl(*moved, loc, scale).min() >= -1e-14
    single = [x.float() for x in (*moved, loc, scale)]
    assert rectified_gaussian_kl(*single).min() >= -1e-6


def test_kl_gradients_in_the_tails():
    alpha = torch.tensor([-30.0, -8.0, -3.0, 0.0, 3.0, 8.0, 30.0], dtype=DOUBLE)
    loc_q, loc_p = (
        x.flatten().requires_grad_() for x in torch.meshgrid(alpha, alpha, indexing="ij")
    )
    scale_q = torch.full_like(loc_q, 1.2).requires_grad_()
    scale_p = torch.full_like(loc_q, 0.9).requires_grad_()
    assert torch.autograd.gradcheck(
        rectified_gaussian_kl, (loc_q, scale_q, loc_p, scale_p), rtol=1e-5
    )


def test_kl_gradients_are_reduced_to_the_shapes_of_the_arguments():
    shapes = [(3, 1, 1), (2, 1), (1, 4), ()]
    generator = torch.Generator().manual_seed(0)
    arguments = [
        (torch.rand(shape, dtype=DOUBLE, generator=generator) + 0.5).requires_grad_()
        for shape in shapes
    ]
    assert rectified_gaussian_kl(*arguments).shape == (3, 2, 4)
    assert torch.autograd.gradcheck(rectified_gaussian_kl, arguments)
    for wanted in range(4):
        chosen = [x.detach().requires_grad_(i == wanted) for i, x in enumerate(arguments)]
        rectified_gaussian_kl(*chosen).sum().backward()
        assert [x.grad is not None for x in chosen] == [i == wanted for i in range(4)]
        assert chosen[wanted].grad.shape == shapes[wanted]


def test_other_gradients_in_the_tails():
    loc = torch.tensor([-40.0, -8.0, 0.0, 8.0, 40.0], dtype=DOUBLE, requires_grad=True)
    scale = torch.full_like(loc, 0.8).requires_grad_()
    at_zero = torch.zeros_like(loc)
    for statistic in (
        lambda law: law.log_prob(at_zero),
        lambda law: law.mean,
        lambda law: law.variance,
        lambda law: law.entropy(),
        lambda law: law.prob_active,
        lambda law: law.cdf(at_zero),
    ):
        assert torch.autograd.gradcheck(
            lambda loc, scale, f=statistic: f(RectifiedGaussian(loc, scale)), (loc, scale)
        )


def test_single_precision_is_finite_everywhere():
    magnitude = torch.logspace(-4, 4, 17)
    alpha = torch.cat([-magnitude, torch.zeros(1), magnitude])
    scale = torch.logspace(-3, 3, 7)
    alpha_q, scale_q, alpha_p, scale_p = (
        x.flatten() for x in torch.meshgrid(alpha, scale, alpha, scale, indexing="ij")
    )
    arguments = [
        x.clone().requires_grad_()
        for x in (alpha_q * scale_q, scale_q, alpha_p * scale_p, scale_p)
    ]
    kl = rectified_gaussian_kl(*arguments)
    assert kl.isfinite().all()
    assert kl.min() >= -1e-6
    for gradient in torch.autograd.grad(kl.sum(), arguments):
        assert gradient.isfinite().all()

    law = RectifiedGaussian(*arguments[:2])
    statistics = (
        law.log_prob(torch.zeros_like(scale_q)),
        law.mean,
        law.variance,
        law.entropy(),
        law.prob_active,
    )
    for statistic in statistics:
        assert statistic.isfinite().all()
        for gradient in torch.autograd.grad(statistic.sum(), arguments[:2], retain_graph=True):
            assert gradient.isfinite().all()
    assert law.variance.min() >= 0
    assert law.mean.min() >= 0


def test_single_precision_is_accurate():
    single = [
        x.requires_grad_()
        for x in (
            *random_arguments(20_000, 4.0, torch.float32),
            *random_arguments(20_000, 4.0, torch.float32, seed=1),
        )
    ]
    double = [x.detach().double().requires_grad_() for x in single]
    kl, exact = rectified_gaussian_kl(*single), rectified_gaussian_kl(*double)
    torch.testing.assert_close(kl.double(), exact, rtol=2e-5, atol=2e-5)
    for gradient, expected in zip(
        torch.autograd.grad(kl.sum(), single),
        torch.autograd.grad(exact.sum(), double),
        strict=True,
    ):
        torch.testing.assert_close(gradient.double(), expected, rtol=5e-5, atol=5e-5)


def test_fitted_tail():
    t = torch.cat([torch.linspace(0, 20, 50_001), torch.logspace(-8, 9, 50_001)])
    exact = scaled_tail(t.double())
    assert (scaled_tail(t).double() / exact - 1).abs().max() <= 4e-7


def test_kl_is_registered():
    q, p = RectifiedGaussian(1.0, 1.0), RectifiedGaussian(0.0, 1.0)
    expected = rectified_gaussian_kl(q.loc, q.scale, p.loc, p.scale)
    assert kl_divergence(q, p) == expected


def test_shapes_and_expand():
    law = RectifiedGaussian(torch.zeros(3, 1), torch.ones(4))
    assert law.batch_shape == (3, 4)
    assert law.event_shape == ()
    assert law.rsample((2,)).shape == (2, 3, 4)
    assert law.sample().shape == (3, 4)
    wide = law.expand((5, 3, 4))
    assert type(wide) is RectifiedGaussian
    assert wide.batch_shape == (5, 3, 4)
    assert wide.log_prob(torch.ones(4)).shape == (5, 3, 4)
    assert wide.mean.shape == wide.variance.shape == wide.median.shape == (5, 3, 4)
    assert wide.entropy().shape == wide.prob_active.shape == (5, 3, 4)
    assert RectifiedGaussian(0.0, 1.0).batch_shape == ()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="scale"):
        RectifiedGaussian(0.0, -1.0, validate_args=True)
    with pytest.raises(ValueError, match="loc"):
        RectifiedGaussian(math.nan, 1.0, validate_args=True)
    law = RectifiedGaussian(0.0, 1.0, validate_args=True)
    for function in (law.log_prob, law.cdf):
        with pytest.raises(ValueError, match="support"):
            function(torch.tensor(-0.5))


def test_values_outside_the_support_unchecked():
    law = RectifiedGaussian(1.0, 1.0, validate_args=False)
    below = torch.tensor(-0.5)
    assert law.log_prob(below) == -math.inf
    assert law.cdf(below) == 0


def test_median_is_exactly_zero_where_loc_is_not_positive():
    law = RectifiedGaussian(torch.tensor([-2.0, 0.0, 1e-9]), 1.0)
    assert law.median.tolist() == [0.0, 0.0, pytest.approx(1e-9)]
    assert (law.mean > 0).all()


def test_ends_of_the_quantile_function():
    law = RectifiedGaussian(-1.0, 1.0)
    assert law.icdf(torch.tensor([0.0, 1.0])).tolist() == [0.0, math.inf]
