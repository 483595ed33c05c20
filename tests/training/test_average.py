"""The average over the steps of a stream."""

import numpy as np
import torch
from torch import nn

from skrgvae import HierarchicalSparseEncoder
from skrgvae.training import Average
from skrgvae.training.average import DECAY, EVERY


def moved(module: nn.Module, values: np.ndarray, average: Average, first: int = 1) -> None:
    """Let the module's weight take some values, one per step."""
    for step, value in enumerate(values, start=first):
        with torch.no_grad():
            module.weight.fill_(float(value))
        average.after_step(step)


def test_weights_of_the_steps():
    # Written out, average_T is the sum of a_t prod_{s > t} (1 - a_s) weights_t.
    values = np.random.default_rng(0).normal(size=20 * EVERY)
    module = nn.Linear(1, 1, bias=False)
    average = Average(module)
    moved(module, values, average)
    share = (DECAY + 1) / (np.arange(1, 21) + DECAY)
    later = np.append(np.cumprod((1 - share)[::-1])[::-1][1:], 1.0)
    expected = (share * later * values[EVERY - 1 :: EVERY]).sum()
    np.testing.assert_allclose((share * later).sum(), 1)
    average.apply()
    np.testing.assert_allclose(module.weight.item(), expected, rtol=1e-5)


def test_before_the_first_look_the_weights_stay():
    module = nn.Linear(1, 1, bias=False)
    average = Average(module)
    moved(module, np.arange(EVERY - 1.0), average)
    average.apply()
    assert module.weight.item() == EVERY - 2


def test_a_stream_in_two_parts_is_one_stream():
    values = np.random.default_rng(1).normal(size=30)
    whole, part = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    at_once, first = Average(whole), Average(part)
    moved(whole, values, at_once)
    moved(part, values[:13], first)
    state = first.state()
    first.apply()
    second = Average(part)
    second.load_state(state)
    assert part.weight.item() == np.float32(values[12])  # the last step, not the average
    moved(part, values[13:], second, first=14)
    at_once.apply()
    second.apply()
    assert part.weight.item() == whole.weight.item()


def test_what_a_stream_leaves_is_the_average():
    X = np.random.default_rng(0).normal(size=(200, 3))
    encoder = HierarchicalSparseEncoder((3,), batch_size=10, random_state=0)
    for _ in range(3):
        encoder.partial_fit(X)
    average, last = encoder._progress.average["average"], encoder._progress.average["last"]
    for name, value in average.items():
        np.testing.assert_array_equal(encoder._model.arrays[name], value)
    assert any((average[name] != last[name]).any() for name in last)
