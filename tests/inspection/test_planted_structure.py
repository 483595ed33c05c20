"""A small share of what examples/planted_structure.py records: one table, less training."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)  # put back afterwards, with what the script adds
    spec = importlib.util.spec_from_file_location("planted", EXAMPLES / "planted_structure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_planted_causes_are_found(script, tmp_path, capsys):
    options = ["--seeds", "1", "--epochs", "80", "--planted", "gates", "--results", str(tmp_path)]
    record = script.main(options)["gates"]
    assert record["share_found"]["all"] >= 0.8
    assert record["share_of_found_with_right_columns"]["unit_effects"]["all"] >= 0.9
    written = json.loads((tmp_path / "planted_structure.json").read_text(encoding="utf-8"))
    assert written["gates"]["share_found"] == record["share_found"]
    assert "Claim: " in script.__doc__


@pytest.mark.parametrize("planted", ["gates", "rectified", "equal sizes"])
def test_what_is_planted(script, planted):
    X, lower, upper = script.draw(planted, 20_000, seed=0)
    assert (lower >= 0).all() and (upper >= 0).all()
    driven = upper[:, script.PARENT] > 0
    assert 0.2 < driven.mean() < 0.35
    assert (lower > 0)[driven].mean() > 0.6 > 2 * (lower > 0)[~driven].mean()
    # A column is its lower cause times a loading, and noise.
    for cause in range(script.N_LOWER):
        columns = X[:, script.columns_of(0, cause)]
        slopes = [np.polyfit(lower[:, cause], column, 1) for column in columns.T]
        assert all(0.69 < slope < 1.31 and abs(start) < 0.02 for slope, start in slopes)
    assert script.columns_of(1, 2).tolist() == list(range(40, 60))


def test_every_cause_has_a_unit_of_its_own(script):
    rng = np.random.default_rng(0)
    causes = rng.random((100, 3))
    features = np.column_stack([np.zeros(100), causes[:, [2, 0]], rng.random((100, 2))])
    units, correlation = script.match(causes, features)
    assert units[[2, 0]].tolist() == [1, 2] and units[1] in (3, 4)
    np.testing.assert_allclose(correlation[[0, 2]], 1)
    assert abs(correlation[1]) < 0.5


def test_names_columns(script):
    weights = np.array([0.5, 0.4, 0.3, -0.9, 0.2])
    table = {
        "layer": np.zeros(5, dtype=int),
        "unit": np.ones(5, dtype=int),
        "column": np.array(["x4", "x5", "x6", "x0", "x7"]),
        "weight": weights,
    }
    right = script.columns_of(0, 1)
    assert script.names_columns(table, 0, 1, right)
    assert not script.names_columns(table, 0, 1, right - 1)
    assert not script.names_columns(table, 0, 2, right)
