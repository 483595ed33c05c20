"""Compiled passes against what torch computes."""

import sys

import numpy as np
import pytest
import torch
from scipy.special import erfcx

from skrgvae import compiled
from skrgvae.likelihoods import Observed
from skrgvae.likelihoods.bernoulli import Bernoulli
from skrgvae.network import Architecture, Hierarchy
from skrgvae.network.fused.units import Units
from skrgvae.network.modules import LOG_RANGE, VARIANCE_FLOOR, BatchNorm

pytest.importorskip("numba")

from skrgvae.compiled import arithmetic, bernoulli
from skrgvae.compiled.norm import CompiledNorm
from skrgvae.compiled.units import CompiledUnits

COLUMNS = slice(2, 7)
N_ROWS, N_UNITS, N_ALL = 30, 5, 9


def draw(*shape, scale=1.0):
    generator = torch.Generator().manual_seed(len(shape) + shape[-1])
    return scale * torch.randn(shape, generator=generator)


def each(function, values):
    return np.array([function(np.float32(value)) for value in values], dtype=np.float64)


def test_exponential():
    x = np.linspace(-87, 88, 5001).astype(np.float32)
    np.testing.assert_allclose(each(arithmetic.exp, x), np.exp(x.astype(np.float64)), rtol=2e-7)
    assert np.isnan(arithmetic.exp(np.float32(np.nan)))


def test_logarithm():
    x = np.exp(np.linspace(-87, 88, 5001)).astype(np.float32)
    expected = np.log(x.astype(np.float64))
    np.testing.assert_allclose(each(arithmetic.log, x), expected, rtol=2e-7, atol=6e-8)


def test_scaled_tail():
    t = np.concatenate([np.linspace(0, 12, 3001), np.geomspace(12, 1e7, 100)]).astype(np.float32)
    expected = 0.5 * erfcx(t.astype(np.float64) / np.sqrt(2))
    np.testing.assert_allclose(each(arithmetic.scaled_tail, t), expected, rtol=8e-7)
    assert arithmetic.scaled_tail(np.float32(1e30)) > 0
    assert np.isnan(arithmetic.scaled_tail(np.float32(np.nan)))


def pass_of(make, prior, message, informed=None, **options):
    """Values, KL and gradients by one of the two classes."""
    values, kl, grad_values = torch.zeros(N_ROWS, N_ALL), torch.zeros(N_ALL), draw(N_ROWS, N_ALL)
    units = make(N_ROWS, COLUMNS, -4.0, values, kl, grad_values, **options)
    units.forward(prior, message, informed, draw(N_ROWS, N_ALL, scale=0.9))
    grad_prior, grad_message = units.backward(draw(N_ALL).abs())
    return values, kl, grad_prior, grad_message


@pytest.mark.parametrize("scale", [0.01, 1.0, 4.0, 40.0])
@pytest.mark.parametrize("some_missing", [False, True])
def test_units(scale, some_missing):
    # A scale of 40 meets all clamps.
    prior, message = draw(N_ROWS, 2 * N_UNITS, scale=scale), draw(N_ROWS, 2 * N_UNITS)
    message = message * scale
    informed = torch.arange(N_ROWS)[:, None] % 3 > 0 if some_missing else None
    found = pass_of(CompiledUnits, prior, message, informed, widest=LOG_RANGE)
    expected = pass_of(Units, prior, message, informed)
    exact = pass_of(in_double(Units), prior, message, informed)
    for one, other, right in zip(found, expected, exact, strict=True):
        assert torch.isfinite(one).all()
        # No further from the exact values than twice what torch is, or than single precision.
        size = right.abs().max()
        worst = 2 * (other - right).abs().max() + 4e-6 * size
        assert (one - right).abs().max() <= worst


def in_double(make):
    """The same class on numbers in double precision."""

    class Double(make):
        def __init__(self, n_rows, columns, lowest, *matrices):
            self.single = matrices
            super().__init__(n_rows, columns, lowest, *(part.double() for part in matrices))

        def forward(self, prior, message, informed, noise):
            super().forward(prior.double(), message.double(), informed, noise.double())
            self.single[0][:, self.columns] = self.values.float()
            self.single[1][self.columns] = self.kl.float()

    return Double


@pytest.mark.parametrize("where", ["prior", "message"])
@pytest.mark.parametrize("column", [0, N_UNITS])
def test_what_is_no_number_reaches_values_and_kl(where, column):
    parts = {name: draw(N_ROWS, 2 * N_UNITS) for name in ("prior", "message")}
    parts[where][3, column] = torch.nan
    values, kl, _, _ = pass_of(CompiledUnits, **parts, widest=LOG_RANGE)
    assert values[3, COLUMNS.start].isnan()
    assert kl[COLUMNS.start].isnan()
    assert values.isnan().sum() == kl.isnan().sum() == 1


def test_normalisation():
    x, grad = draw(N_ROWS, 2 * N_UNITS, scale=3.0), draw(N_ROWS, 2 * N_UNITS + 0)
    from_rectified = draw(N_ROWS, N_UNITS)
    module = BatchNorm(N_UNITS).train()
    with torch.no_grad():
        module.gain.copy_(draw(N_UNITS))
        module.shift.copy_(draw(N_UNITS))
    leaf = x[:, :N_UNITS].clone().requires_grad_()
    out = module(leaf)
    total = (out * grad[:, :N_UNITS]).sum() + (out.relu() * from_rectified).sum()
    expected = torch.autograd.grad(total, [leaf, module.gain, module.shift])

    gain, shift = module.gain.detach(), module.shift.detach()
    running = torch.zeros(N_UNITS), torch.ones(N_UNITS)
    norm = CompiledNorm((gain, shift, *running), VARIANCE_FLOOR)
    written, right = x.clone(), grad[:, N_UNITS:].clone()
    norm.forward(written, 1.0)
    torch.testing.assert_close(written[:, :N_UNITS], out.detach())
    torch.testing.assert_close(written[:, N_UNITS:], x[:, N_UNITS:], rtol=0, atol=0)
    torch.testing.assert_close(running, (module.running_mean, module.running_variance))
    slopes = norm.backward(grad, from_rectified)
    torch.testing.assert_close(grad[:, :N_UNITS], expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(grad[:, N_UNITS:], right, rtol=0, atol=0)
    torch.testing.assert_close(tuple(slopes), expected[1:], rtol=1e-4, atol=1e-4)


def test_bernoulli():
    outputs = draw(N_ROWS, 40, scale=20.0)
    outputs[0, :3] = torch.tensor([0.0, 1e4, -1e4])
    values = torch.rand(N_ROWS, 40, generator=torch.Generator().manual_seed(0))
    values[::2] = values[::2].round()
    family = Bernoulli((0,) * 40)
    leaf = outputs.double().requires_grad_()
    rows = family.log_prob(Observed(values.double(), None), leaf).sum(dim=1)
    (slopes,) = torch.autograd.grad(rows.sum(), leaf)
    found = bernoulli.log_prob_and_slopes(values, outputs)
    torch.testing.assert_close(found[0].double(), rows.detach(), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(found[1].double(), slopes, rtol=1e-6, atol=1e-7)


def test_bernoulli_of_what_is_no_number():
    outputs = draw(3, 4)
    outputs[1, 2] = torch.nan
    rows, _ = bernoulli.log_prob_and_slopes(torch.ones(3, 4), outputs)
    assert rows.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("compiles", [True, False])
def test_what_takes_compiled_code(compiles, monkeypatch):
    if not compiles:
        monkeypatch.setattr(compiled, "loads", lambda: False)
    like = torch.zeros(2)
    assert compiled.available(like) == compiles
    assert not compiled.available(like.double())
    architecture = Architecture((3, 2), None, ("bernoulli",) * 4)
    module = Hierarchy(architecture)
    module.draw(torch.Generator().manual_seed(0))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    units = module.fused_pass(6, recurrent=True).down.units
    assert all(isinstance(part, CompiledUnits if compiles else Units) for part in units)


@pytest.mark.parametrize("obstacle", ["not installed", "nowhere to keep code"])
def test_without_numba_it_goes_on(obstacle, monkeypatch):
    compiled.loads.cache_clear()
    monkeypatch.delitem(sys.modules, "skrgvae.compiled.arithmetic")
    monkeypatch.delattr(compiled, "arithmetic")
    if obstacle == "not installed":
        monkeypatch.setitem(sys.modules, "numba", None)
    else:
        monkeypatch.setattr("numba.njit", lambda **options: refuse)
    assert not compiled.loads()
    compiled.loads.cache_clear()


def refuse(function):
    """What numba does where no folder can be written to."""
    raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available")
