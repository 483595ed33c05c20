"""Kernels against what torch computes."""

import pytest
import torch
from torch.nn import functional as F

from skrgvae.kernels import adamax, bernoulli
from skrgvae.kernels.norm import KernelNorm
from skrgvae.kernels.tiles import MOST_ROWS, TILE, tiles
from skrgvae.kernels.units import KernelUnits
from skrgvae.network.fused.units import Units
from skrgvae.network.modules import LOG_RANGE, MOMENTUM, VARIANCE_FLOOR, BatchNorm

COLUMNS = slice(2, 7)
N_UNITS, N_ALL = 5, 9
# Fewer rows than a tile has, and some more.
SOME_ROWS = [2, 150]


def draw(*shape, scale=1.0):
    generator = torch.Generator().manual_seed(len(shape) + shape[-1])
    return scale * torch.randn(shape, generator=generator)


def pass_of(make, device, prior, message, informed=None, dtype=torch.float32, **options):
    """Values, KL and gradients by one of the two classes."""
    n_rows = len(prior)
    prior, message, noise, grad_values, weights = (
        part.to(device, dtype)
        for part in (prior, message, draw(n_rows, N_ALL), draw(n_rows, N_ALL), draw(N_ALL).abs())
    )
    informed = None if informed is None else informed.to(device)
    values, kl = torch.zeros_like(noise), torch.zeros_like(weights)
    units = make(n_rows, COLUMNS, -4.0, values, kl, grad_values, **options)
    units.forward(prior, message, informed, noise)
    return [part.cpu() for part in (values, kl, *units.backward(weights))]


@pytest.mark.parametrize("n_rows", SOME_ROWS)
@pytest.mark.parametrize("scale", [0.01, 1.0, 4.0, 40.0])
@pytest.mark.parametrize("some_missing", [False, True])
def test_units(n_rows, scale, some_missing, device):
    # A scale of 40 meets all clamps.
    prior, message = (draw(n_rows, n, scale=scale) for n in (2 * N_UNITS, 2 * N_UNITS))
    informed = torch.arange(n_rows)[:, None] % 3 > 0 if some_missing else None
    found = pass_of(KernelUnits, device, prior, message, informed, widest=LOG_RANGE)
    expected = pass_of(Units, device, prior, message, informed)
    exact = pass_of(Units, device, prior, message, informed, torch.float64)
    for one, other, right in zip(found, expected, exact, strict=True):
        assert torch.isfinite(one).all()
        # No further from the exact values than twice what torch is, or than single precision;
        # exponentials and logarithms of a device have a few bits less.
        share = 2e-5 if device.type == "cuda" else 4e-6
        worst = 2 * (other - right).abs().max() + share * right.abs().max()
        assert (one - right).abs().max() <= worst


@pytest.mark.parametrize("where", ["prior", "message"])
@pytest.mark.parametrize("column", [0, N_UNITS])
def test_what_is_no_number_reaches_values_and_kl(where, column, device):
    parts = {name: draw(30, 2 * N_UNITS) for name in ("prior", "message")}
    parts[where][3, column] = torch.nan
    values, kl, _, _ = pass_of(KernelUnits, device, **parts, widest=LOG_RANGE)
    assert values[3, COLUMNS.start].isnan()
    assert kl[COLUMNS.start].isnan()
    assert values.isnan().sum() == kl.isnan().sum() == 1


def running_moments(module):
    return module.running_mean, module.running_variance


def norm_on(device):
    """A module with gains and shifts of its own, and the kernel for it."""
    module = BatchNorm(N_UNITS).train()
    with torch.no_grad():
        module.gain.copy_(draw(N_UNITS))
        module.shift.copy_(draw(N_UNITS))
    module.to(device)
    state = module.gain.detach(), module.shift.detach(), *running_moments(module)
    return module, KernelNorm(state, module.n_batches, MOMENTUM, VARIANCE_FLOOR)


@pytest.mark.parametrize("n_rows", SOME_ROWS)
@pytest.mark.parametrize("rectified", [False, True])
def test_normalisation(n_rows, rectified, device):
    x, grad = (draw(n_rows, n, scale=3.0).to(device) for n in (2 * N_UNITS, 2 * N_UNITS))
    from_rectified = draw(n_rows, N_UNITS).to(device) if rectified else None
    (_, kernel), (reference, _) = norm_on(device), norm_on(device)
    leaf = x[:, :N_UNITS].clone().requires_grad_()
    out = reference(leaf)
    total = (out * grad[:, :N_UNITS]).sum()
    if rectified:
        total = total + (out.relu() * from_rectified).sum()
    expected = torch.autograd.grad(total, [leaf, reference.gain, reference.shift])

    found, slopes = x.clone(), grad.clone()
    kernel.forward(found)
    by_gain, by_shift = kernel.backward(slopes, from_rectified)
    close = {"rtol": 1e-4, "atol": 2e-5}
    torch.testing.assert_close(found[:, :N_UNITS], out.detach(), **close)
    torch.testing.assert_close(slopes[:, :N_UNITS], expected[0], **close)
    torch.testing.assert_close(by_gain, expected[1], **close)
    torch.testing.assert_close(by_shift, expected[2], **close)
    # What stands beside the normalised columns stays.
    assert torch.equal(found[:, N_UNITS:], x[:, N_UNITS:])
    assert torch.equal(slopes[:, N_UNITS:], grad[:, N_UNITS:])


def test_running_moments_follow_the_batches(device):
    (module, kernel), (reference, _) = norm_on(device), norm_on(device)
    for one in (module, reference):
        one.n_batches.fill_(45)  # from 50 on the weight of a batch stays
    for number in range(8):
        x = (draw(20, N_UNITS) + number).to(device)
        reference(x)
        kernel.forward(x.clone())
    assert module.n_batches == 53
    for mine, theirs in zip(running_moments(module), running_moments(reference), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of numpy, which interprets
def test_a_batch_that_is_not_finite_leaves_the_running_moments(device):
    module, kernel = norm_on(device)
    kernel.forward(draw(20, N_UNITS).to(device))
    before = [moment.clone() for moment in running_moments(module)]
    x = draw(30, N_UNITS).to(device)
    x[3, 1] = torch.inf
    kernel.forward(x)
    for moment, last in zip(running_moments(module), before, strict=True):
        assert torch.isfinite(moment).all()
        assert moment[1] == last[1]
        assert moment[0] != last[0]


@pytest.mark.parametrize("n_columns", [3, bernoulli.COLUMNS + 7])
def test_log_probabilities(n_columns, device):
    outputs, values = draw(6, n_columns, scale=30.0), torch.sigmoid(draw(6, n_columns))
    rows, slopes = bernoulli.log_prob_and_slopes(values.to(device), outputs.to(device))
    exact = outputs.double(), values.double()
    expected = -F.binary_cross_entropy_with_logits(*exact, reduction="none").sum(dim=1)
    torch.testing.assert_close(rows.cpu().double(), expected, rtol=1e-6, atol=1e-5)
    right = (exact[1] - torch.sigmoid(exact[0])).float()
    torch.testing.assert_close(slopes.cpu(), right, rtol=1e-5, atol=1e-6)


def test_log_probabilities_beside_other_columns(device):
    # What a table of several families hands out: columns of wider matrices.
    outputs, values = draw(6, 5).to(device), torch.sigmoid(draw(6, 7)).to(device)
    parts = values[:, 2:5], outputs[:, :3]
    found = bernoulli.log_prob_and_slopes(*parts)
    apart = bernoulli.log_prob_and_slopes(*(part.clone() for part in parts))
    for one, other in zip(found, apart, strict=True):
        assert torch.equal(one, other)


def test_adamax(device):
    n_entries = adamax.ENTRIES + 100
    value = torch.ones(n_entries, device=device)
    other = torch.nn.Parameter(value.clone())
    mean, square = torch.zeros_like(value), torch.zeros_like(value)
    theirs = torch.optim.Adamax([other], lr=0.01)
    good, bad = (torch.tensor(flag, device=device) for flag in (True, False))
    rate = torch.tensor(0.01, device=device)
    generator = torch.Generator().manual_seed(0)
    for number in range(1, 8):
        gradient = torch.randn(n_entries, generator=generator).relu().to(device)
        n_steps = torch.tensor(float(number), device=device)
        other.grad = gradient.clone()
        theirs.step()
        options = n_steps, 0.9, 0.999**2, 1e-8
        adamax.step(value, torch.full_like(value, torch.nan), mean, square, bad, rate, *options)
        adamax.step(value, gradient, mean, square, good, rate, *options)
        # torch's Adamax adds 1e-8 to the gradient's size, this one to the norm.
        torch.testing.assert_close(value, other.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n_rows", "n_units"), [(1, 1), (7, 300), (100, 50), (4096, 4096)])
def test_tiles(n_rows, n_units):
    rows, units = tiles(n_rows, n_units)
    assert rows >= min(n_rows, MOST_ROWS)
    assert rows * units <= max(TILE, MOST_ROWS * 8)
