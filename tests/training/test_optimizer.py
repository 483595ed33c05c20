"""All parameters in one buffer."""

import copy

import pytest
import torch
from toys import small_network, toy_rows

from skrgvae.training.optimizer import OPTIMIZERS, flatten_parameters


def loss_of(module, rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(len(rows), n, generator=generator) for n in (4, 3)]
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
    for _ in range(2):  # the second time into gradients that are there already
        flat.grad.zero_()
        loss_of(module, rows).backward()
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
    other = OPTIMIZERS[name](apart.parameters(), lr=0.01)
    start = flat.detach().clone()
    for seed in range(5):
        flat.grad.zero_()
        loss_of(module, rows, seed).backward()
        one.step()
        other.zero_grad()
        loss_of(apart, rows, seed).backward()
        other.step()
    assert (flat.detach() != start).any()
    for parameter, expected in zip(module.parameters(), apart.parameters(), strict=True):
        # Adaptive steps enlarge rounding errors of gradients that are zero but for rounding:
        # those of a bias in front of a normalisation, which has no effect.
        torch.testing.assert_close(parameter, expected, rtol=1e-9, atol=1e-9)


def test_names_are_those_of_torch():
    assert OPTIMIZERS == {"adamax": torch.optim.Adamax, "adam": torch.optim.Adam}
