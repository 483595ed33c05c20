"""The fused pass against the passes it replaces."""

import gc

import numpy as np
import pytest
import torch
from architectures import ALL, build, example_rows, label, noise_for

from skrgvae.network import Architecture, Hierarchy

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


def run(name: str, architecture: Architecture, table: np.ndarray, training: bool, dtype=DOUBLE):
    """All tensors of a pass by its name, gradients and running moments after it included."""
    module: Hierarchy = build(architecture, dtype=dtype).train(training)
    noise = noise_for(architecture, len(table), dtype=dtype)
    observed = module.likelihood.observe(torch.from_numpy(table))
    sampled = getattr(module, name)(observed, noise)
    # One number that all results enter with weights of their own.
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (part * torch.randn(part.shape, dtype=dtype, generator=generator)).sum()
        for part in (sampled.outputs, *sampled.kl, *sampled.values)
    )
    parameters = [*module.bottom_up.parameters(), *module.top_down.parameters()]
    gradients = torch.autograd.grad(loss, parameters)
    buffers = [buffer.to(dtype) for buffer in module.buffers()]
    return [sampled.outputs, *sampled.kl, *sampled.values, *gradients, *buffers]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("architecture", FUSED, ids=label)
def test_values_and_gradients(architecture, training):
    for table in (example_rows(), rows_with_gaps()):
        fused = run("sampled_pass", architecture, table, training)
        readable = run("readable_pass", architecture, table, training)
        for one, other in zip(fused, readable, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("architecture", FUSED[::5], ids=label)
def test_single_precision(architecture, training):
    table = example_rows(50)
    fused = run("sampled_pass", architecture, table, training, torch.float32)
    readable = run("readable_pass", architecture, table, training, torch.float32)
    for one, other in zip(fused, readable, strict=True):
        scale = other.abs().max().item()  # gradients are sums of terms that cancel
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * (1 + scale))


@pytest.mark.parametrize("training", [True, False])
def test_a_single_row(training):
    for architecture in FUSED[-4:]:
        fused = run("sampled_pass", architecture, example_rows(1), training)
        readable = run("readable_pass", architecture, example_rows(1), training)
        for one, other in zip(fused, readable, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("raw", [-50.0, -11.0, 11.0, 50.0])
def test_scales_and_precisions_at_the_ends_of_their_range(raw):
    architecture = Architecture((3, 2), None, ("bernoulli",) * 4, firing_rate=0.2)
    table = torch.from_numpy((np.random.default_rng(0).random((6, 4)) < 0.5).astype(float))
    found = []
    for name in ("sampled_pass", "readable_pass"):
        module = build(architecture, table.numpy())
        with torch.no_grad():
            module.bottom_up.heads[0].bias[3:] = raw
            module.top_down.priors[0].step.head.bias[:] = raw
            module.top_down.top.raw_scale[:] = raw
        terms = getattr(module, name)(module.likelihood.observe(table), noise_for(architecture, 6))
        kl = sum(layer.sum() for layer in terms.kl)
        # Very narrow priors make the KL and its slopes as large as 1e10.
        found.append(
            [kl, *torch.autograd.grad(kl, list(module.parameters()), materialize_grads=True)]
        )
    for one, other in zip(*found, strict=True):
        assert torch.isfinite(one).all()
        torch.testing.assert_close(
            one, other, rtol=1e-8, atol=1e-8 * (1 + other.abs().max().item())
        )


def test_without_gradients_only_the_values_are_formed():
    architecture = FUSED[-1]
    module = build(architecture)
    observed = module.likelihood.observe(torch.from_numpy(example_rows()))
    noise = noise_for(architecture, 12)
    with torch.no_grad():
        fused = module.sampled_pass(observed, noise)
        readable = module.readable_pass(observed, noise)
    assert not fused.outputs.requires_grad
    torch.testing.assert_close(fused, readable)


def test_results_are_freed_without_the_garbage_collector():
    # A graph that holds its own results is not: every step would leave its memory behind.
    module = build(FUSED[-1])
    rows, noise = torch.from_numpy(example_rows()), noise_for(FUSED[-1], 12)

    def step():
        terms = module(rows, noise)
        (terms.log_likelihood.sum() + sum(kl.sum() for kl in terms.kl)).backward()

    step()
    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
        for _ in range(3):
            step()
        after = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
    finally:
        gc.enable()
    assert after == before


@pytest.mark.parametrize("latent", ["gaussian", "laplace", "spike_and_slab"])
def test_other_laws_take_the_readable_pass(latent):
    architecture = Architecture((3, 2), None, ("bernoulli",) * 4, latent=latent)
    table = torch.from_numpy((np.random.default_rng(0).random((6, 4)) < 0.5).astype(float))
    module = build(architecture, table.numpy()).eval()
    observed, noise = module.likelihood.observe(table), noise_for(architecture, 6)
    torch.testing.assert_close(
        module.sampled_pass(observed, noise), module.readable_pass(observed, noise), rtol=0, atol=0
    )
