"""All parameters in one buffer."""

import copy

import pytest
import torch
from toys import small_network, toy_rows

from skrgvae.training.flat import flatten_parameters, in_order, n_weights, write_gradients


def loss_of(module, rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    dtype = next(module.parameters()).dtype
    noise = [torch.randn(len(rows), n, generator=generator, dtype=dtype) for n in (4, 3)]
    terms = module(rows, noise)
    return sum(kl.sum(dim=1) for kl in terms.kl).mean() - terms.log_likelihood.mean()


@pytest.fixture
def rows():
    return torch.from_numpy(toy_rows(20, 4).source.table)


def test_values_are_kept(rows):
    module = small_network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    flat = flatten_parameters(module)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert flat.shape == (sum(p.numel() for p in module.parameters()),)
    assert (flat.grad == 0).all()


def test_parameters_are_views():
    module = small_network()
    flat = flatten_parameters(module)
    with torch.no_grad():
        flat.copy_(torch.arange(len(flat)))
    joined = torch.cat([p.detach().t().reshape(-1) for p in in_order(module)])
    torch.testing.assert_close(joined, torch.arange(len(flat)).float(), rtol=0, atol=0)


def test_loading_a_state_reaches_the_buffer():
    module = small_network()
    flat = flatten_parameters(module)
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})
    joined = torch.cat([p.detach().t().reshape(-1) for p in in_order(module)])
    torch.testing.assert_close(flat.detach(), joined, rtol=0, atol=0)


def test_gradients_land_in_the_buffer(rows):
    module = small_network()
    apart = copy.deepcopy(module)
    flat = flatten_parameters(module)
    for _ in range(2):  # the second time over gradients that are there already
        write_gradients(loss_of(module, rows), module, flat)
        expected = torch.autograd.grad(loss_of(apart, rows), in_order(apart))
        joined = torch.cat([gradient.t().reshape(-1) for gradient in expected])
        torch.testing.assert_close(flat.grad, joined)
        assert (flat.grad != 0).any()


def test_weights_are_the_matrices():
    module = small_network()
    flat = flatten_parameters(module)
    with torch.no_grad():
        flat.fill_(1.0)[: n_weights(module)] = 2.0
    assert all((p == (2.0 if p.dim() > 1 else 1.0)).all() for p in module.parameters())


def test_parameters_that_a_loss_does_not_reach_have_no_gradient():
    module = torch.nn.Linear(2, 2, bias=True)
    flat = flatten_parameters(module)
    flat.grad.fill_(7.0)
    write_gradients(module.weight.sum(), module, flat)
    assert flat.grad.tolist() == [1.0] * 4 + [0.0] * 2
