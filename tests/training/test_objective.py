"""What training maximises."""

import numpy as np
import pytest
import torch

from skrgvae.network import BoundTerms
from skrgvae.training.objective import objective

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
            expected += penalty * sum(abs(row[unit]) for row in values) / 5
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


def test_sparsity_penalty_pulls_units_to_zero():
    values = torch.tensor([[0.0, -2.0], [3.0, 1.0]], dtype=DOUBLE, requires_grad=True)
    kl = torch.zeros(2, 2, dtype=DOUBLE)
    loss, _ = objective(BoundTerms(kl.sum(dim=1), (kl,), (values,)), 1.0, (0.0,), 0.3)
    assert loss.item() == pytest.approx(0.3 * 6 / 2)
    loss.backward()
    assert values.grad.tolist() == pytest.approx(np.array([[0, -0.15], [0.15, 0.15]]))


def test_what_is_not_finite_reaches_the_loss(terms):
    kl = terms.kl[0].detach().clone()
    kl[2, 1] = float("nan")
    loss, _ = objective(BoundTerms(terms[0], (kl, terms.kl[1]), terms.values), 1.0, (5, 5), 0.0)
    assert loss.isnan()
