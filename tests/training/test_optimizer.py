"""All parameters in one buffer."""

import copy

import pytest
import torch
from toys import small_network, toy_rows

from skrgvae.training.optimizer import (
    OPTIMIZERS,
    Adamax,
    flatten_parameters,
    write_gradients,
)


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
    joined = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
    torch.testing.assert_close(joined, torch.arange(len(flat)).float(), rtol=0, atol=0)


def test_loading_a_state_reaches_the_buffer():
    module = small_network()
    flat = flatten_parameters(module)
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})
    joined = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
    torch.testing.assert_close(flat.detach(), joined, rtol=0, atol=0)


def test_gradients_land_in_the_buffer(rows):
    module = small_network()
    apart = copy.deepcopy(module)
    flat = flatten_parameters(module)
    for _ in range(2):  # the second time over gradients that are there already
        write_gradients(loss_of(module, rows), module, flat)
        expected = torch.autograd.grad(loss_of(apart, rows), list(apart.parameters()))
        joined = torch.cat([gradient.reshape(-1) for gradient in expected])
        torch.testing.assert_close(flat.grad, joined)
        assert (flat.grad != 0).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_on_separate_parameters(name, rows):
    module = small_network().double()
    apart = copy.deepcopy(module)
    flat = flatten_parameters(module)
    one = OPTIMIZERS[name]([flat], lr=0.01)
    other = OPTIMIZERS[name](list(apart.parameters()), lr=0.01)
    start = flat.detach().clone()
    for seed in range(5):
        write_gradients(loss_of(module, rows, seed), module, flat)
        one.step()
        other.zero_grad()
        loss_of(apart, rows, seed).backward()
        other.step()
    assert (flat.detach() != start).any()
    for parameter, expected in zip(module.parameters(), apart.parameters(), strict=True):
        # Adaptive steps enlarge rounding errors of gradients that are zero but for rounding:
        # those of a bias in front of a normalisation, which has no effect.
        torch.testing.assert_close(parameter, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adamax_takes_torchs_steps(dtype):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator, dtype=dtype)
    one, other = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine, theirs = Adamax([one], lr=0.01), torch.optim.Adamax([other], lr=0.01)
    for rate in (0.01, 0.02, 0.0, *[0.01] * 50):
        # Units without a gradient are as common as those with one.
        one.grad = torch.randn(1000, generator=generator, dtype=dtype).relu()
        other.grad = one.grad.clone()
        for optimizer in (mine, theirs):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        # torch adds 1e-8 to the gradient's size, this one to the norm.
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_adamax_of_gradients_that_are_always_zero():
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.zeros(3)
    optimizer = Adamax([parameter], lr=0.01)
    for _ in range(3):
        optimizer.step()
    assert parameter.tolist() == [1.0] * 3


def test_parameters_that_a_loss_does_not_reach_have_no_gradient():
    module = torch.nn.Linear(2, 2, bias=True)
    flat = flatten_parameters(module)
    flat.grad.fill_(7.0)
    write_gradients(module.weight.sum(), module, flat)
    assert flat.grad.tolist() == [1.0] * 4 + [0.0] * 2
