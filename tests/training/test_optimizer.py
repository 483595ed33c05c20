"""All parameters in one buffer."""

import copy

import numpy as np
import pytest
import torch
from toys import small_network, toy_rows

from skrgvae import compiled
from skrgvae.training.optimizer import (
    OPTIMIZERS,
    flatten_parameters,
    in_order,
    n_weights,
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


THEIRS = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}


@pytest.mark.parametrize("compiles", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_torchs(name, dtype, compiles, monkeypatch):
    if not compiles:
        monkeypatch.setattr(compiled, "available", lambda like: False)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator, dtype=dtype)
    one, other = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine, theirs = OPTIMIZERS[name](one), THEIRS[name]([other], lr=0.01)
    for rate in (0.01, 0.02, 0.0, *[0.01] * 50):
        # Units without a gradient are as common as those with one.
        one.grad = torch.randn(1000, generator=generator, dtype=dtype).relu()
        other.grad = one.grad.clone()
        theirs.param_groups[0]["lr"] = rate
        mine.step(rate)
        theirs.step()
        # torch's Adamax adds 1e-8 to the gradient's size, this one to the norm.
        torch.testing.assert_close(one, other, rtol=2e-6, atol=2e-6)
    assert (one != start).all()


@pytest.mark.parametrize("compiles", [True, False])
@pytest.mark.parametrize("told_by_a_tensor", [True, False])
def test_weights_decay_as_in_adamw(compiles, told_by_a_tensor, monkeypatch):
    if not compiles:
        monkeypatch.setattr(compiled, "available", lambda like: False)
    generator = torch.Generator().manual_seed(0)
    one = torch.nn.Parameter(torch.randn(100, generator=generator))
    weights, others = (torch.nn.Parameter(part.clone()) for part in one.detach().split([60, 40]))
    mine = OPTIMIZERS["adam"](one, 60, 0.5)
    options = {"lr": 0.1, "betas": (0.9, 0.999)}
    theirs = torch.optim.AdamW([weights], weight_decay=0.5, **options)
    plain = torch.optim.AdamW([others], weight_decay=0.0, **options)
    for _ in range(5):
        one.grad = torch.randn(100, generator=generator)
        weights.grad, others.grad = one.grad[:60].clone(), one.grad[60:].clone()
        if told_by_a_tensor:
            mine.step_where(torch.tensor(True), torch.tensor(0.1))
            mine.step_where(torch.tensor(False), torch.tensor(0.1))
        else:
            mine.step(0.1)
        theirs.step()
        plain.step()
    torch.testing.assert_close(one.detach(), torch.cat([weights, others]).detach())


@pytest.mark.parametrize("compiles", [True, False])
def test_adamax_decays_by_the_same_rule(compiles, monkeypatch):
    if not compiles:
        monkeypatch.setattr(compiled, "available", lambda like: False)
    one = torch.nn.Parameter(torch.ones(5))
    one.grad = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    OPTIMIZERS["adamax"](one, 3, 0.5).step(0.1)
    torch.testing.assert_close(one.detach(), torch.tensor([0.95, 0.85, 0.95, 0.9, 1.0]))


@pytest.mark.parametrize("compiles", [True, False])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -1e20])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_that_can_not_be_squared_move_nothing(name, bad, compiles, monkeypatch):
    if not compiles:
        monkeypatch.setattr(compiled, "available", lambda like: False)
    one = torch.nn.Parameter(torch.ones(6))
    optimizer = OPTIMIZERS[name](one, 3, 0.5)
    one.grad = torch.ones(6)
    assert optimizer.step(0.1)
    before, state = one.detach().clone(), optimizer.state()
    one.grad[4] = bad
    assert not optimizer.step(0.1)
    torch.testing.assert_close(one.detach(), before, rtol=0, atol=0)
    for part, array in optimizer.state().items():
        np.testing.assert_array_equal(array, state[part])


def test_weights_are_the_matrices():
    module = small_network()
    flat = flatten_parameters(module)
    with torch.no_grad():
        flat.fill_(1.0)[: n_weights(module)] = 2.0
    assert all((p == (2.0 if p.dim() > 1 else 1.0)).all() for p in module.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_that_are_always_zero(name):
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.zeros(3)
    optimizer = OPTIMIZERS[name](parameter)
    for _ in range(3):
        optimizer.step(0.01)
    assert parameter.tolist() == [1.0] * 3


@pytest.mark.parametrize("n_before", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_going_on_from_a_state(name, n_before):
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 10, generator=generator)

    def run(parameter, optimizer, gradients):
        for gradient in gradients:
            parameter.grad = gradient
            optimizer.step(0.01)

    whole, parts = (torch.nn.Parameter(torch.ones(10)) for _ in range(2))
    run(whole, OPTIMIZERS[name](whole), gradients)
    first, second = OPTIMIZERS[name](parts), OPTIMIZERS[name](parts)
    run(parts, first, gradients[:n_before])
    second.load_state(first.state())
    run(parts, second, gradients[n_before:])
    assert (whole == parts).all()


def test_parameters_that_a_loss_does_not_reach_have_no_gradient():
    module = torch.nn.Linear(2, 2, bias=True)
    flat = flatten_parameters(module)
    flat.grad.fill_(7.0)
    write_gradients(module.weight.sum(), module, flat)
    assert flat.grad.tolist() == [1.0] * 4 + [0.0] * 2
