"""The fused pass against the passes it replaces."""

import numpy as np
import pytest
import torch
from architectures import ALL, build, example_rows, label, noise_for

from skrgvae.network import Architecture, Hierarchy
from skrgvae.network.fused import hierarchy, products, units

DOUBLE = torch.float64
FUSED = [
    architecture
    for architecture in ALL
    if (architecture.latent, architecture.posterior) == ("rectified_gaussian", "structured")
]


def rows_with_gaps() -> np.ndarray:
    """Rows with missing entries, one of them without any known."""
    table = example_rows()
    table[2, 1] = table[5, 0] = np.nan
    table[7] = np.nan
    return table


def gradients_of(module: Hierarchy) -> list[torch.Tensor]:
    return [parameter.grad for parameter in module.parameters()]


def weights_for(architecture: Architecture, n_rows: int, dtype):
    """Random derivatives of something by log-likelihood, KL and values."""
    generator = torch.Generator().manual_seed(1)
    n_units = sum(architecture.layer_sizes)
    by_kl = torch.randn(n_units, dtype=dtype, generator=generator)
    return 0.7, by_kl, torch.randn(n_rows, n_units, dtype=dtype, generator=generator)


def readable(
    architecture: Architecture, table: np.ndarray, training: bool, dtype=DOUBLE, hidden=None
):
    """All results of the readable pass, gradients and running moments after it included."""
    module = build(architecture, dtype=dtype).train(training)
    noise = noise_for(architecture, len(table), dtype=dtype)
    terms = module(torch.from_numpy(table), noise, hidden)
    kl, values = torch.cat(terms.kl, dim=1), torch.cat(terms.values, dim=1)
    by_log_likelihood, by_kl, by_values = weights_for(architecture, len(table), dtype)
    total = by_log_likelihood * terms.log_likelihood.sum()
    total = total + (kl * by_kl).sum() + (values * by_values).sum()
    total.backward()
    buffers = [buffer.to(dtype) for buffer in module.buffers() if buffer.numel()]
    return [terms.log_likelihood, kl.mean(dim=0), values, *gradients_of(module), *buffers]


def fused(
    architecture: Architecture, table: np.ndarray, training: bool, dtype=DOUBLE, hidden=None
):
    """The same of the fused pass, which writes to gradients that hold something else."""
    module = build(architecture, dtype=dtype).train(training)
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    noise = noise_for(architecture, len(table), dtype=dtype)
    step = module.fused_pass(len(table), recurrent=True)
    reading = step.read(torch.from_numpy(table), None, hidden)
    step.forward(reading, torch.cat(noise, dim=1))  # another batch may come first
    module = restarted(module, architecture, dtype)
    terms = step.forward(reading, torch.cat(noise, dim=1))
    step.backward(*weights_for(architecture, len(table), dtype))
    buffers = [buffer.to(dtype) for buffer in module.buffers() if buffer.numel()]
    return [*terms, *gradients_of(module), *buffers]


def restarted(module: Hierarchy, architecture: Architecture, dtype) -> Hierarchy:
    """The module with the running moments it had at first."""
    module.load_state_dict(build(architecture, dtype=dtype).state_dict())
    return module


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("architecture", FUSED, ids=label)
def test_values_and_gradients(architecture, training):
    for table in (example_rows(), rows_with_gaps()):
        found = fused(architecture, table, training)
        expected = readable(architecture, table, training)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("architecture", FUSED, ids=label)
def test_hidden_entries(architecture):
    for table in (example_rows(), rows_with_gaps()):
        generator = torch.Generator().manual_seed(2)
        hidden = torch.rand(table.shape, generator=generator) < 0.4
        found = fused(architecture, table, True, hidden=hidden)
        expected = readable(architecture, table, True, hidden=hidden)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        seeing = readable(architecture, table, True)
        assert not torch.allclose(found[0], seeing[0])


@pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch has no oneDNN here"
)
@pytest.mark.parametrize("architecture", FUSED, ids=label)
def test_products_by_onednn(architecture, monkeypatch):
    expected = fused(architecture, rows_with_gaps(), True, torch.float32)
    monkeypatch.setattr(products, "LEAST_MULTIPLICATIONS", 1)
    monkeypatch.setattr(products, "onednn_is_quicker", lambda: True)
    found = fused(architecture, rows_with_gaps(), True, torch.float32)
    # What the normalisation makes 0 is a sum of numbers as large as the others.
    rounding = 1e-5 * max(float(other.detach().abs().max()) for other in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=rounding)


@pytest.mark.parametrize("architecture", FUSED, ids=label)
def test_sparse_inputs(architecture, monkeypatch):
    monkeypatch.setattr(hierarchy, "SPARSE", 1.0)
    found = fused(architecture, example_rows(), True)
    expected = readable(architecture, example_rows(), True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_texts_are_read_as_sparse_inputs():
    module = Hierarchy(Architecture((3, 2), None, ("poisson",) * 100))
    few, many = torch.zeros(2, 5, 100)
    few[:, :2], many[:, :3] = 1.0, 1.0
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    step = module.fused_pass(5, recurrent=True)
    assert step.read(few).inputs.is_sparse
    assert not step.read(many).inputs.is_sparse
    assert torch.equal(
        step.read(few).inputs.to_dense(), module.likelihood.inputs(module.likelihood.observe(few))
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("architecture", FUSED[::5], ids=label)
def test_single_precision(architecture, training):
    table = example_rows(50)
    found = fused(architecture, table, training, torch.float32)
    expected = readable(architecture, table, training, torch.float32)
    for one, other in zip(found, expected, strict=True):
        scale = other.abs().max().item()  # gradients are sums of terms that cancel
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * (1 + scale))


@pytest.mark.parametrize("training", [True, False])
def test_a_single_row(training):
    for architecture in FUSED[-4:]:
        found = fused(architecture, example_rows(1), training)
        expected = readable(architecture, example_rows(1), training)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def pieces_of(columns: slice) -> list[int]:
    """First rows of the pieces that 12 rows are worked on in."""
    matrix, vector = torch.zeros(12, 10), torch.zeros(10)
    found = units.Units(12, columns, 0.0, matrix, vector, matrix)
    return [rows.start for rows in found.pieces]


def test_many_pieces(monkeypatch):
    # Rows are worked on a few at a time, and the last piece is smaller.
    architecture = FUSED[-1]
    whole = fused(architecture, rows_with_gaps(), True)
    monkeypatch.setattr(units, "PIECE", 20)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert [pieces_of(slice(4, 10)), pieces_of(slice(0, 4))] == [[0, 3, 6, 9], [0, 4, 8]]
    for one, other in zip(fused(architecture, rows_with_gaps(), True), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("raw", [-50.0, -11.0, 11.0, 50.0])
def test_scales_and_precisions_at_the_ends_of_their_range(raw):
    architecture = Architecture((3, 2), None, ("bernoulli",) * 4, firing_rate=0.2)
    table = torch.from_numpy((np.random.default_rng(0).random((6, 4)) < 0.5).astype(float))
    found = []
    for fuse in (True, False):
        module = build(architecture, table.numpy())
        with torch.no_grad():
            module.bottom_up.heads[0].bias[3:] = raw
            module.top_down.priors[0].step.head.bias[:] = raw
            module.top_down.top.raw_scale[:] = raw
            for parameter in module.parameters():
                parameter.grad = torch.zeros_like(parameter)
        noise = noise_for(architecture, 6)
        if fuse:
            step = module.fused_pass(6, recurrent=True)
            kl = 6 * step.forward(step.read(table), torch.cat(noise, dim=1)).kl.sum()
            step.backward(0.0, torch.ones(5, dtype=DOUBLE))
        else:
            kl = sum(layer.sum() for layer in module(table, noise).kl)
            kl.backward()
        # Very narrow priors make the KL and its slopes as large as 1e10.
        found.append([kl, *gradients_of(module)])
    for one, other in zip(*found, strict=True):
        assert torch.isfinite(one).all()
        torch.testing.assert_close(
            one, other, rtol=1e-8, atol=1e-8 * (1 + other.abs().max().item())
        )


@pytest.mark.parametrize("latent", ["gaussian", "laplace", "spike_and_slab"])
def test_other_laws_have_none(latent):
    architecture = Architecture((3, 2), None, ("bernoulli",) * 4, latent=latent)
    assert Hierarchy(architecture).fused_pass(6, recurrent=True) is None


def test_other_posteriors_have_none():
    architecture = Architecture((3, 2), None, ("bernoulli",) * 4, posterior="mean_field")
    assert Hierarchy(architecture).fused_pass(6, recurrent=True) is None
