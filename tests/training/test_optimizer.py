"""Steps of the optimisers against torch's, and their state."""

import numpy as np
import pytest
import torch

from skrgvae import compiled
from skrgvae.training.optimizer import OPTIMIZERS

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
