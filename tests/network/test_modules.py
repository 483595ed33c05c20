"""Affine maps, normalisation, positive numbers."""

import math

import pytest
import torch

from skrgvae.network.modules import (
    LOG_RANGE,
    MOMENTUM,
    VARIANCE_FLOOR,
    Affine,
    BatchNorm,
    Hidden,
    positive,
)

DOUBLE = torch.float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches(n: int, n_rows: int = 6, n_units: int = 3) -> torch.Tensor:
    return 2 * torch.randn(n, n_rows, n_units, dtype=DOUBLE, generator=seeded()) + 5


def test_positive():
    raw = torch.tensor([-1e30, -12.0, 0.0, 3.0, 12.0, 1e30], dtype=DOUBLE)
    expected = [math.exp(x) for x in (-LOG_RANGE, -12.0, 0.0, 3.0, 12.0, LOG_RANGE)]
    torch.testing.assert_close(positive(raw), torch.tensor(expected, dtype=DOUBLE))


def test_affine_is_drawn_with_unit_variance_in_and_out():
    affine = Affine(200, 300).double()
    with torch.no_grad():
        affine.bias.fill_(7.0)
    affine.draw(seeded(), gain=1.5)
    assert (affine.bias == 0).all()
    bound = 1.5 * math.sqrt(3 / 200)
    assert affine.weight.abs().max() <= bound
    # Uniform on (-b, b): variance b^2 / 3, of its estimate from n values 0.8 (b^2 / 3)^2 / n.
    # Five standard errors: a false alarm has probability 6e-7.
    variance = bound**2 / 3
    assert abs(affine.weight.var() - variance) < 5 * variance * math.sqrt(0.8 / 60_000)
    outputs = affine(torch.randn(500, 200, dtype=DOUBLE, generator=seeded(1)))
    assert abs(outputs.var() - 1.5**2) < 0.1


def test_affine_is_a_function_of_its_generator():
    one, other = Affine(4, 5), Affine(4, 5)
    one.draw(seeded(3))
    other.draw(seeded(3))
    torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=0)
    other.draw(seeded(4))
    assert (one.weight != other.weight).all()


def test_affine_computes_what_linear_does():
    affine = Affine(4, 5)
    affine.draw(seeded())
    with torch.no_grad():
        affine.bias.uniform_(generator=seeded(1))
    x = torch.randn(3, 4, generator=seeded(2))
    torch.testing.assert_close(affine(x), x @ affine.weight.T + affine.bias)


def test_normalisation_by_the_batchs_moments():
    (x,) = batches(1)
    norm = BatchNorm(3).double()
    with torch.no_grad():
        norm.gain.copy_(torch.tensor([1.0, 2.0, -1.0]))
        norm.shift.copy_(torch.tensor([0.0, 1.0, 5.0]))
    deviation = (x.var(dim=0, unbiased=False) + VARIANCE_FLOOR).sqrt()
    expected = norm.gain * (x - x.mean(dim=0)) / deviation + norm.shift
    torch.testing.assert_close(norm(x), expected)


def test_running_moments_begin_as_a_plain_average():
    x = batches(10)
    norm = BatchNorm(3).double()
    for batch in x:
        norm(batch)
    torch.testing.assert_close(norm.running_mean, x.mean(dim=(0, 1)))
    torch.testing.assert_close(norm.running_variance, x.var(dim=1).mean(dim=0))


def test_running_moments_follow_the_last_batches():
    x = batches(80)
    norm = BatchNorm(3).double()
    mean, variance = torch.zeros(3, dtype=DOUBLE), torch.ones(3, dtype=DOUBLE)
    for number, batch in enumerate(x, start=1):
        norm(batch)
        momentum = max(MOMENTUM, 1 / number)
        mean = (1 - momentum) * mean + momentum * batch.mean(dim=0)
        variance = (1 - momentum) * variance + momentum * batch.var(dim=0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_variance, variance)


def running_normalisation(norm, x):
    return (x - norm.running_mean) / (norm.running_variance + VARIANCE_FLOOR).sqrt()


@pytest.mark.parametrize("training", [False, True])
def test_a_single_row_meets_the_running_moments(training):
    norm = BatchNorm(3).double()
    norm(batches(1)[0])
    moments = [buffer.clone() for buffer in norm.buffers()]
    norm.train(training)
    x = batches(2)[1, :1]
    torch.testing.assert_close(norm(x), running_normalisation(norm, x))
    torch.testing.assert_close(list(norm.buffers()), moments, rtol=0, atol=0)


def test_inference_uses_and_keeps_the_running_moments():
    norm = BatchNorm(3).double()
    norm(batches(1)[0])
    moments = [buffer.clone() for buffer in norm.buffers()]
    x = batches(4)  # (samples, rows, units)
    torch.testing.assert_close(norm.eval()(x), running_normalisation(norm, x))
    torch.testing.assert_close(list(norm.buffers()), moments, rtol=0, atol=0)


def test_a_unit_that_does_not_vary_stays_finite():
    x = torch.full((5, 3), 4.0, requires_grad=True)
    norm = BatchNorm(3)
    out = norm(x)
    out.sum().backward()
    assert (out == 0).all()
    assert torch.isfinite(x.grad).all()


def test_fixed_gain_and_shift_are_not_learned():
    norm = BatchNorm(3, fixed=(0.9, -0.76)).double()
    assert list(norm.parameters()) == []
    (x,) = batches(1)
    deviation = (x.var(dim=0, unbiased=False) + VARIANCE_FLOOR).sqrt()
    expected = norm.gain * (x - x.mean(dim=0)) / deviation + norm.shift
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm.gain.float(), torch.full((3,), 0.9))
    torch.testing.assert_close(norm.shift.float(), torch.full((3,), -0.76))
    # They travel with the weights: a saved model needs them.
    assert {"gain", "shift"} <= set(norm.state_dict())


def test_hidden_layer_is_rectified():
    hidden = Hidden(4, 6, batch_norm=False).double()
    hidden.draw(seeded())
    x = torch.randn(5, 4, dtype=DOUBLE, generator=seeded(1))
    torch.testing.assert_close(hidden(x), hidden.affine(x).clamp(min=0))
