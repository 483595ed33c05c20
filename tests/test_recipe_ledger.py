"""The ledger of runs: its file, its tables, and what the documentation shows of it."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from skrgvae import HierarchicalSparseEncoder

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module("recipe_ledger")


def test_every_run_is_printed(script, capsys):
    script.main([])
    lines = capsys.readouterr().out.splitlines()
    for run in script.read()["runs"]:
        words = [run["data"], run["name"]] if run["study"] == "small_sets" else [run["name"]]
        assert any(line.split()[: len(words)] == words for line in lines), run["name"]


def test_records_are_complete(script):
    ledger = script.read()
    parameters = HierarchicalSparseEncoder().get_params()
    known = {"name", "study", "data", "method", "parameters", "changes", "machine", "versions"}
    names = [(run["study"], run["name"], run["data"]) for run in ledger["runs"]]
    assert len(set(names)) == len(names)
    for run in ledger["runs"]:
        assert known < run.keys()
        assert run["study"] in ledger["studies"]
        assert run["changes"].keys() <= ledger["changes"].keys()
        assert run["parameters"].keys() <= parameters.keys()
        assert all(0 <= value <= 1 for value in run.get("accuracy", {}).values())
        if "training_kl_per_layer" in run:
            # The terms make the bound, as far as they were rounded: four of them to 0.05 nat.
            bound = run["training_reconstruction"] - sum(run["training_kl_per_layer"])
            assert bound == pytest.approx(run["training_elbo"], abs=0.21)


def test_the_documentation_shows_these_runs(script):
    ledger = script.read()
    page = (ROOT / "docs" / "features.rst").read_text(encoding="utf-8")
    for name, table in script.TABLES.items():
        file = FIGURES / f"feature_recipe_{name}.txt"
        assert file.read_text(encoding="utf-8") == table(ledger), "run recipe_ledger.py --draw"
        assert f"literalinclude:: figures/{file.name}" in page
    for name in ("mnist", "small_sets"):
        file = FIGURES / f"feature_recipe_{name}.svg"
        drawn_from = f"runs {script.digest(ledger)}"
        assert drawn_from in file.read_text(encoding="utf-8"), "run recipe_ledger.py --draw"
        assert f"figure:: figures/{file.name}" in page


def test_draw(script, tmp_path):
    pytest.importorskip("matplotlib")
    script.main(["--draw", str(tmp_path / "new")])
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        path.name for path in FIGURES.glob("feature_recipe_*")
    }


def test_run(script, tmp_path, monkeypatch, capsys):
    n_rows = {"train": 60, "valid": 20}
    rng = np.random.default_rng(0)
    bits = {part: rng.random((n, 784)) < 0.13 for part, n in n_rows.items()}
    np.savez(
        tmp_path / "static_binarized_mnist.npz",
        **{part: np.packbits(rows, axis=1) for part, rows in bits.items()},
    )
    images = (255 * np.concatenate(list(bits.values()))).reshape(-1, 28, 28).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", X_train=images, y_train=np.arange(80) % 10)
    monkeypatch.setenv("SKRGVAE_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(script, "N_TRAIN", 60)
    ledger = script.read()
    results = tmp_path / "ledger.json"
    script.write(ledger, results)
    assert script.read(results) == ledger

    given = ["layer_sizes=6,5", "max_iter=2", "posterior=mean_field", "device=cpu"]
    script.main(["--results", str(results), "--data", "gray", "--name", "small", "--run", *given])
    *before, record = json.loads(results.read_text(encoding="utf-8"))["runs"]
    assert before == ledger["runs"]
    assert record.keys() == script.base_run(ledger).keys()
    assert record["parameters"]["layer_sizes"] == [6, 5]
    assert record["parameters"]["firing_rate"] == "auto"
    assert record["data"] == "MNIST / 255"
    assert np.isfinite(record["held_out_elbo"])
    assert len(record["used_share_per_layer"]) == len(record["accuracy_300_per_layer"]) == 2
    (shown,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("small "))
    for difference in ("data=MNIST / 255", "layer_sizes=[6, 5]", "posterior=mean_field"):
        assert difference in shown


def test_run_says_what_it_lacks(script, monkeypatch, capsys):
    monkeypatch.delenv("SKRGVAE_DATA_HOME", raising=False)
    with pytest.raises(SystemExit, match="SKRGVAE_DATA_HOME must name the folder"):
        script.main(["--run"])
    with pytest.raises(SystemExit):
        script.main(["--run", "max_iter"])
    assert "must be PARAMETER=VALUE, got 'max_iter'" in capsys.readouterr().err
