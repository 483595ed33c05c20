"""Units that start from rows."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from skrgvae.network import Architecture, Hierarchy

PLAIN = Architecture((6, 4), None, ("gaussian",) * 30, firing_rate=0.3)
ROWS = torch.randn(50, 30, generator=torch.Generator().manual_seed(5))


def started(architecture, rows):
    """A network before and after it has met the rows, and what it reads of them."""
    module = Hierarchy(architecture)
    module.draw(torch.Generator().manual_seed(0))
    drawn = {name: value.clone() for name, value in module.state_dict().items()}
    module.start_from(rows, torch.Generator().manual_seed(1))
    return drawn, module.state_dict(), module.likelihood.inputs(module.likelihood.observe(rows))


def test_every_bottom_unit_is_the_detector_of_a_row_of_its_own():
    _, state, inputs = started(PLAIN, ROWS)
    weights = state["bottom_up.heads.0.weight"][:6]
    torch.testing.assert_close(weights.norm(dim=1), torch.ones(6))
    likeness = weights @ F.normalize(inputs - inputs.mean(dim=0), dim=1).T
    # cos of the angle that a drawn vector of 0.3 times the length, at random, makes with the row.
    best, row = likeness.max(dim=1)
    assert best.min() > 0.9
    assert len(set(row.tolist())) == 6


def units_of_the_bottom(state, inputs):
    loc = inputs @ state["bottom_up.heads.0.weight"][:6].T
    gain, shift = state["bottom_up.norms.0.gain"], state["bottom_up.norms.0.shift"]
    return F.relu((loc - loc.mean(dim=0)) / loc.std(dim=0, correction=0) * gain + shift)


def test_upper_units_detect_rows_by_the_units_below():
    _, state, inputs = started(PLAIN, ROWS)
    below = units_of_the_bottom(state, inputs)
    likeness = state["bottom_up.heads.1.weight"][:4] @ F.normalize(below - below.mean(0), dim=1).T
    assert likeness.max(dim=1).values.min() > 0.9


def test_with_direct_inputs_they_detect_the_row_itself_as_well():
    _, state, inputs = started(dataclasses.replace(PLAIN, direct_inputs=True), ROWS)
    found = []
    for name, seen in (("heads.1", units_of_the_bottom(state, inputs)), ("direct.0", inputs)):
        weights = state[f"bottom_up.{name}.weight"][:4]
        # Each of the two has half of the sum's variance.
        torch.testing.assert_close(weights.norm(dim=1), torch.full((4,), 0.5**0.5))
        found.append(F.normalize(weights, dim=1) @ F.normalize(seen - seen.mean(0), dim=1).T)
    # The same row in both; through so few units below, others look like it.
    rows = found[1].argmax(dim=1)
    assert all(likeness[range(4), rows].min() > 0.9 for likeness in found)


def test_only_the_locations_start_from_rows():
    drawn, state, _ = started(PLAIN, ROWS)
    changed = {name for name in state if not torch.equal(drawn[name], state[name])}
    assert changed == {"bottom_up.heads.0.weight", "bottom_up.heads.1.weight"}
    for layer, size in enumerate(PLAIN.layer_sizes):
        name = f"bottom_up.heads.{layer}.weight"
        assert torch.equal(drawn[name][size:], state[name][size:])


def test_units_differ_where_there_are_fewer_rows():
    _, state, _ = started(PLAIN, ROWS[:2])
    weights = state["bottom_up.heads.0.weight"][:6]
    likeness = weights @ weights.T - 2 * torch.eye(6)
    assert likeness.max() < 0.99


@pytest.mark.parametrize("missing", [float("nan"), 0.0], ids=["empty", "constant"])
def test_rows_that_say_nothing(missing):
    _, state, _ = started(PLAIN, torch.full((8, 30), missing))
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize(
    ("changes", "n_rows"),
    [({"hidden_layer_sizes": (9, 8)}, 50), ({"batch_norm": False}, 50), ({}, 1), ({}, 0)],
    ids=["hidden layers", "no normalisation", "one row", "no row"],
)
def test_drawn_weights_stay(changes, n_rows):
    drawn, state, _ = started(dataclasses.replace(PLAIN, **changes), ROWS[:n_rows])
    assert all(torch.equal(drawn[name], state[name]) for name in state)
