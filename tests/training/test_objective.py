"""What training maximises."""

import math

import numpy as np
import pytest
import torch

from skrgvae.distributions import LATENT_LAWS
from skrgvae.network import BoundTerms
from skrgvae.network.records import SampledTerms
from skrgvae.training.objective import FusedObjective, objective

DOUBLE = torch.float64
SIZES = (3, 2)


@pytest.fixture
def terms() -> BoundTerms:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape):
        return torch.rand(shape, dtype=DOUBLE, generator=generator).requires_grad_()

    kl = tuple(rand(5, size) for size in SIZES)
    values = tuple(rand(5, size) for size in SIZES)
    return BoundTerms(-10 * rand(5), kl, values)


@pytest.mark.parametrize("kl_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("free_bits", [(0.0, 0.0), (0.5, 0.45), (10.0, 0.0)])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_loss_written_out(terms, kl_weight, free_bits, penalty):
    expected = -np.mean(terms.log_likelihood.tolist())
    for layer in range(2):
        kl, values = terms.kl[layer].tolist(), terms.values[layer].tolist()
        for unit in range(SIZES[layer]):
            mean_kl = sum(row[unit] for row in kl) / 5
            expected += kl_weight * max(mean_kl, free_bits[layer])
            size = (sum(row[unit] ** 2 for row in values) / 5) ** 0.5
            expected += penalty * sum(abs(row[unit]) for row in values) / 5 / size
    loss, _ = objective(terms, kl_weight, free_bits, penalty)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_summary_holds_the_terms_at_weight_1(terms):
    _, summary = objective(terms, 0.1, (10.0, 10.0), 5.0)
    assert summary.reconstruction.item() == pytest.approx(terms.log_likelihood.mean().item())
    expected = [kl.sum(dim=1).mean().item() for kl in terms.kl]
    assert summary.kl.tolist() == pytest.approx(expected)
    assert not summary.kl.requires_grad
    assert not summary.reconstruction.requires_grad


def test_free_bits_stop_the_gradient_of_single_units(terms):
    # Batch means of the first layer's units to either side of a floor of 0.5.
    kl = torch.tensor([0.1, 0.5001, 2.0], dtype=DOUBLE).expand(5, 3).clone().requires_grad_()
    other = terms.kl[1]
    objective(BoundTerms(terms[0], (kl, other), terms.values), 0.8, (0.5, 0.0), 0.0)[0].backward()
    full = 0.8 / 5
    assert kl.grad.tolist() == pytest.approx(np.tile([0, full, full], (5, 1)))
    assert (kl.grad[:, 0] == 0).all()
    assert other.grad.tolist() == pytest.approx(np.full((5, 2), full))


def test_the_floor_stands_on_the_batchs_mean(terms):
    # Rows below the floor are pushed down as well where the mean is above it, and the reverse.
    kl = torch.tensor([[0.0, 0.0], [2.0, 0.6]], dtype=DOUBLE, requires_grad=True)
    one = BoundTerms(torch.zeros(2, dtype=DOUBLE), (kl,), (kl.detach(),))
    loss, _ = objective(one, 1.0, (0.5,), 0.0)
    assert loss.item() == pytest.approx(1.0 + 0.5)
    loss.backward()
    assert kl.grad.tolist() == [[0.5, 0.0], [0.5, 0.0]]


def penalty_of(values: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    """Loss of rows with nothing but the penalty in it."""
    kl = torch.zeros_like(values)
    return objective(BoundTerms(kl.sum(dim=1), (kl,), (values,)), 1.0, (0.0,), weight)[0]


def test_sparsity_penalty_of_known_laws():
    # E |z| / sqrt(E z^2), by the quantiles of 100,000 evenly spaced probabilities.
    probability = (torch.arange(100_000, dtype=DOUBLE) + 0.5) / 100_000
    gaussian = torch.special.ndtri(probability)
    laplace = torch.distributions.Laplace(torch.zeros((), dtype=DOUBLE), 1.0).icdf(probability)
    on_in_a_tenth = (probability < 0.1).double()
    for values, expected in (
        (torch.ones_like(gaussian), 1.0),
        (gaussian, math.sqrt(2 / math.pi)),
        (laplace, math.sqrt(1 / 2)),
        (on_in_a_tenth, math.sqrt(0.1)),
    ):
        penalty = penalty_of(values[:, None], 0.3).item()
        assert penalty == pytest.approx(0.3 * expected, rel=1e-3)


def test_sparsity_penalty_is_blind_to_the_units_scale():
    # What the weights that read a unit can make good must not lower the loss.
    values = torch.randn(50, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor([1e-3, 1.0, 50.0], dtype=DOUBLE)
    torch.testing.assert_close(penalty_of(values * scale), penalty_of(values))
    values.requires_grad_()
    (gradient,) = torch.autograd.grad(penalty_of(values), values)
    along = (gradient * values).sum(dim=0)
    torch.testing.assert_close(along, torch.zeros_like(along), rtol=0, atol=1e-14)


def test_gradient_of_the_sparsity_penalty():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 3, dtype=DOUBLE, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(penalty_of, (values,))
    # It pulls small values of a unit towards zero and pushes large ones away from it.
    unit = torch.tensor([[0.1], [-0.2], [4.0], [-4.0]], dtype=DOUBLE, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty_of(unit), unit)
    assert (gradient.sign() == torch.tensor([[1.0], [-1.0], [-1.0], [1.0]])).all()


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_sparsity_penalty_where_units_are_off_or_rows_are_few(dtype):
    values = torch.tensor([[0.0, 1e-6], [0.0, 0.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = penalty_of(values)
    assert loss.item() == pytest.approx(3**-0.5)
    (gradient,) = torch.autograd.grad(loss, values)
    assert torch.isfinite(gradient).all()
    assert (gradient[:, 0] == 0).all()
    single = torch.tensor([[0.5, -2.0]], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty_of(single), single)
    torch.testing.assert_close(gradient, torch.zeros_like(single), rtol=0, atol=1e-6)


@pytest.mark.parametrize("latent", LATENT_LAWS)
def test_sparsity_penalty_through_the_units_law(latent):
    # Gradient with respect to a law's parameters: the batch's own, against finite differences.
    law = LATENT_LAWS[latent]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20, 4, dtype=DOUBLE, generator=generator)
    loc = torch.randn(20, 4, dtype=DOUBLE, generator=generator).requires_grad_()
    scale = torch.rand(20, 4, dtype=DOUBLE, generator=generator).add_(0.1).requires_grad_()

    def penalty(loc, scale):
        return penalty_of(law.sample(loc, scale, noise))

    assert torch.autograd.gradcheck(penalty, (loc, scale), eps=1e-7)


def test_what_is_not_finite_reaches_the_loss(terms):
    kl = terms.kl[0].detach().clone()
    kl[2, 1] = float("nan")
    loss, _ = objective(BoundTerms(terms[0], (kl, terms.kl[1]), terms.values), 1.0, (5, 5), 0.0)
    assert loss.isnan()


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
@pytest.mark.parametrize("free_bits", [(0.0, 0.0), (0.5, 0.45), (10.0, 0.0)])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_written_out_derivatives(terms, kl_weight, free_bits, penalty):
    loss, summary = objective(terms, kl_weight, free_bits, penalty)
    leaves = [terms.log_likelihood, *terms.kl, *terms.values]
    by_log_likelihood, *others = torch.autograd.grad(loss, leaves, materialize_grads=True)
    by_kl, by_values = torch.cat(others[:2], dim=1), torch.cat(others[2:], dim=1)

    kl, values = torch.cat(terms.kl, dim=1).detach(), torch.cat(terms.values, dim=1).detach()
    joined = SampledTerms(terms.log_likelihood.detach(), kl.mean(dim=0), values)
    fused = FusedObjective(SIZES, free_bits, penalty, values)
    found, fused_summary, slopes = fused(joined, kl_weight)
    assert found.item() == pytest.approx(loss.item(), rel=1e-12)
    assert fused_summary.reconstruction.item() == pytest.approx(summary.reconstruction.item())
    torch.testing.assert_close(fused_summary.kl, summary.kl)
    assert by_log_likelihood.tolist() == pytest.approx([slopes.log_likelihood] * 5)
    torch.testing.assert_close(slopes.kl.expand(5, -1), by_kl)
    if penalty:
        torch.testing.assert_close(slopes.values, by_values)
    else:
        assert slopes.values is None


def test_a_kl_that_rounding_made_negative_is_not_at_a_floor():
    fused = FusedObjective((1,), (0.0,), 0.0, torch.zeros(1))
    terms = SampledTerms(torch.zeros(2), torch.tensor([-1e-8]), torch.zeros(2, 1))
    assert fused(terms, 1.0)[2].kl.item() == 0.5


def test_floored_divergences_are_those_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    kl = tuple(0.2 * torch.rand(7, n, generator=generator) for n in (4, 3))
    nothing = torch.zeros(7), tuple(torch.zeros(7, n) for n in (4, 3))
    floors = 0.1, 0.0
    loss, _ = objective(BoundTerms(nothing[0], kl, nothing[1]), 0.5, floors, 0.0)
    fused = FusedObjective((4, 3), floors, 0.0, torch.zeros(()))
    means = torch.cat([layer.mean(dim=0) for layer in kl])
    torch.testing.assert_close(fused.floored(means, 0.5), loss)
    assert fused.floored(means.double(), 0.5).dtype == torch.float64
    assert loss > 0.5 * means.sum()
