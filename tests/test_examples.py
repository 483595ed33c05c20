"""The examples run; here with little training, as what they show is not for a test to judge."""

import importlib.util
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from skrgvae import HierarchicalSparseEncoder

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name, folder=EXAMPLES):
    spec = importlib.util.spec_from_file_location(f"example_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REDUCED = {
    "digits_pipeline": {"max_iter": 2, "n_repeats": 1},
    "search_layer_sizes": {
        "sizes": [(4,), (4, 2), (3,)],
        "max_iter": 3,
        "n_rows": 150,
        "n_jobs": 1,
    },
    "staged_search": {
        "n_rows": 300,
        "sizes": [(4,), (4, 2), (3,)],
        "few_epochs": 1,
        "max_iter": 3,
        "last_iter": 2,
    },
    "persistence": {"max_iter": 1},
    "time_series": {"epochs": (1, 1), "n_train": 4, "n_test": 2},
}


def test_every_example_is_run():
    # Tests of their own run the others.
    others = {
        "mnist_study",
        "paper_table",
        "pilot_verdicts",
        "planted_structure",
        "recipe_ledger",
        "used_units",
    }
    run = {*REDUCED, *others}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == run


def test_used_units(tmp_path):
    module = load("used_units")
    folder = tmp_path / "new"
    record = module.main(["digits", "--max-iter", "1", "--results", str(folder)])
    written = json.loads((folder / "used_units.json").read_text(encoding="utf-8"))
    assert written["digits"]["layers"] == record["digits"]["layers"]
    assert [layer["units"] for layer in record["digits"]["layers"]] == [300, 200, 100, 50]


def test_what_is_lost_without_a_unit():
    module = load("used_units")
    rows = (load_digits().data[:200] / 16).astype(np.float32)
    encoder = HierarchicalSparseEncoder((20, 8), max_iter=3, random_state=0).fit(rows)
    for layer, n_units in enumerate((20, 8)):
        lost, on = module.losses(encoder, rows, layer)
        assert lost.shape == on.shape == (n_units, 200)
        # Where a unit is off, nothing is lost with it; where it is on, something changes.
        assert (lost[~on] == 0).all()
        assert (lost[on] != 0).mean() > 0.9


def test_verdicts_of_the_pilot(tmp_path, capsys):
    module = load("pilot_verdicts")
    arguments = ["--seeds", "1", "--max-iter", "1", "--results", str(tmp_path)]
    record = module.main(arguments)
    # Whether features pay takes training to tell; that noise tells nothing does not.
    assert record["right"]["cannot_tell"]["count"] == 1
    assert record["columns_named_as_leaks"] == 0
    assert record["wrong"]["of"] == 3
    assert record["pays_where_it_does_not"]["of"] == 2
    written = json.loads((tmp_path / "pilot_verdicts.json").read_text(encoding="utf-8"))
    assert written["studies"] == record["studies"]
    capsys.readouterr()
    # What is there is not studied again.
    assert module.main(arguments)["studies"] == record["studies"]
    assert capsys.readouterr().out.splitlines() == list(module.shown(record))


def test_error_rates_of_the_verdicts():
    module = load("pilot_verdicts")

    def given(decision, low):
        intervals = {"all": [low, low + 0.1, low + 0.2]}
        leaks = {"columns_named_as_leaks": []}
        return {"decision": decision, "intervals": intervals, **leaks}

    studies = {
        "pays": [given("pays", 0.1), given("cannot_tell", 0.1)],
        "does_not_pay": [given("pays", -0.1), given("does_not_pay", -0.3)],
        "cannot_tell": [given("cannot_tell", -0.1), given("cannot_tell", -0.1)],
    }
    figures = module.summary(studies)
    assert figures["decisions"]["pays"] == {"pays": 1, "does_not_pay": 0, "cannot_tell": 1}
    assert (figures["wrong"]["count"], figures["wrong"]["of"]) == (2, 6)
    assert (figures["pays_where_it_does_not"]["count"], figures["wrong"]["of"]) == (1, 6)
    # Clopper and Pearson, by the quantiles of the beta distribution.
    low, high = figures["wrong"]["interval"]
    assert low == pytest.approx(stats.beta.ppf(0.025, 2, 5))
    assert high == pytest.approx(stats.beta.ppf(0.975, 3, 4))
    row = figures["intervals"]["does_not_pay"]["all"]
    assert row["mean_gain"] == pytest.approx(-0.1)
    assert row["wholly_above"]["count"] == row["wholly_below"]["count"] == 0


@pytest.mark.parametrize("name", REDUCED)
def test_example(name, capsys):
    module = load(name)
    module.main(**REDUCED[name])
    assert "Claim: " in module.__doc__
    out, err = capsys.readouterr()
    assert len(out.splitlines()) >= 5
    assert not err
    assert " NO\n" not in out  # what persistence says of a number that did not come back


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The MNIST study on a file of the right form: 784 bits a row, in 98 bytes."""
    rng = np.random.default_rng(0)
    splits = {
        name: np.packbits(rng.random((n_rows, 784)) < 0.13, axis=1)
        for name, n_rows in {"train": 90, "valid": 40, "test": 60}.items()
    }
    np.savez(tmp_path / "static_binarized_mnist.npz", **splits)
    monkeypatch.setenv("SKRGVAE_DATA_HOME", str(tmp_path))
    module = load("mnist_study")
    small = {"layer_sizes": (6, 5, 4, 3), "hidden_layer_sizes": (8, 7, 6, 5)}
    for name in ("best", "structured", "mean_field", "gaussian"):
        shown, minutes, parameters = module.ROWS[name]
        monkeypatch.setitem(module.ROWS, name, (shown, minutes, {**parameters, **small}))
    shown, minutes, parameters = module.ROWS["one_layer"]
    small = {"layer_sizes": (5,), "hidden_layer_sizes": 8}
    monkeypatch.setitem(module.ROWS, "one_layer", (shown, minutes, {**parameters, **small}))
    return module


def run(module, tmp_path, *options):
    results = tmp_path / "deep" / "results.json"
    module.main(["--results", str(results), "--k", "3", *options])
    return json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}


def test_mnist_study(study, tmp_path, capsys):
    results = run(study, tmp_path, "--epochs", "1")
    assert [r["configuration"]["row"] for r in results.values()] == list(study.ROWS)
    for r in results.values():
        assert np.isfinite([r["test_elbo"], r["test_iw"], r["valid_elbo"]]).all()
        assert r["test_iw_rows"] == r["test_rows"] == 60
        assert r["epochs"] == r["best_epoch"] == 1
        assert r["configuration"]["parameters"]["likelihood"] == "bernoulli"
    out = capsys.readouterr().out
    assert "the fixed binarization" in out

    # What is there is not run again, whatever else is asked for.
    again = run(study, tmp_path, "--epochs", "1", "--rows", "gaussian", "one_layer")
    assert again == results
    assert capsys.readouterr().out.count("already") == 2
    repeated = run(study, tmp_path, "--epochs", "1", "--rows", "gaussian", "--repeat")
    assert repeated.keys() == results.keys()
    more = run(study, tmp_path, "--epochs", "1", "--rows", "gaussian", "--seed", "1")
    assert len(more) == len(results) + 1
    capsys.readouterr()
    run(study, tmp_path, "--table")
    assert capsys.readouterr().out.count("± ") == 2 * len(more) + 1  # and one of the heading


def test_paper_table(study, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    module = load("paper_table")
    monkeypatch.setattr(module, "NETWORKS", [((6,), None), ((6, 5, 4), None), ((5,), 8)])
    options = ["--passes", "1", "--k", "3", "--iw-rows", "30"]
    results = run(module, tmp_path, *options)
    assert len(results) == 12
    for r in results.values():
        assert np.isfinite([r["test_elbo"], r["test_iw"], r["train_elbo"]]).all()
        assert (r["test_rows"], r["test_iw_rows"]) == (60, 30)
    assert run(module, tmp_path, *options) == results  # nothing is trained again
    capsys.readouterr()
    run(module, tmp_path, *options, "--table")
    assert capsys.readouterr().out.count("importance-weighted") == 12


def test_mnist_study_keeps_to_its_budget_and_its_models(study, tmp_path, capsys):
    options = ["--rows", "best", "--minutes", "0.005", "--models", str(tmp_path / "models")]
    (key,) = run(study, tmp_path, *options)
    (model,) = (tmp_path / "models").iterdir()
    assert model.name == f"{key}.joblib"
    assert "epochs in 0.005 minutes" in capsys.readouterr().out
    # The model is there, the row is lost: it is not trained again.
    (tmp_path / "deep" / "results.json").unlink()
    assert list(run(study, tmp_path, *options)) == [key]
    assert "trained before" in capsys.readouterr().out


def test_mnist_study_without_results(study, tmp_path, capsys):
    assert run(study, tmp_path, "--table") == {}
    assert "No results yet" in capsys.readouterr().out


def test_mnist_study_on_the_real_file(data_home, tmp_path, monkeypatch):
    module = load("mnist_study")
    if not (data_home / module.FILE).is_file():
        pytest.skip(f"{module.FILE} is not in the folder with the data sets")
    monkeypatch.setenv("SKRGVAE_DATA_HOME", str(data_home))
    (train, valid, test), label = module.load_study_data(limit=500)
    assert "500 rows" in label
    assert train.shape == valid.shape == test.shape == (500, 784)
    for split in (train, valid, test):
        assert split.dtype == np.float32 and set(np.unique(split)) == {0, 1}
        # Rows from all over the file, sorted by class or not.
        assert split.mean() == pytest.approx(0.131, abs=0.01)


def test_mnist_study_says_when_the_data_are_self_made(study, monkeypatch):
    monkeypatch.delenv("SKRGVAE_DATA_HOME")
    gray = np.linspace(0, 255, 784)[None].repeat(1000, axis=0).astype(np.uint8)
    fetched = type("Bunch", (), {"data": gray})
    monkeypatch.setattr(study, "fetch_openml", lambda *args, **kwargs: fetched)
    monkeypatch.setattr(study, "BINARIZATION_SEED", 5)
    monkeypatch.setattr(study, "SPLIT_AT", (700, 900))
    (train, valid, test), label = study.load_study_data()
    assert (len(train), len(valid), len(test)) == (700, 200, 100)
    assert "SELF-MADE" in label and "seed 5" in label
    np.testing.assert_allclose(train.mean(axis=0), gray[0] / 255, atol=0.1)


# Robustness: a small share of what the recorded runs do.


@pytest.fixture
def robustness(tmp_path, monkeypatch):
    """Runs one of the scripts, which share a module and set the number of threads."""
    folder = EXAMPLES / "robustness"
    monkeypatch.syspath_prepend(folder)
    n_threads = torch.get_num_threads()

    def run_script(name, *options, **replaced):
        module = load(name, folder)
        for attribute, value in replaced.items():
            monkeypatch.setattr(module, attribute, value)
        record = module.main([*options, "--results", str(tmp_path)])
        written = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert written["versions"].keys() >= {"skrgvae", "torch", "python"}
        assert "Claim: " in module.__doc__ or name == "trusted_figures"
        return record

    yield run_script
    torch.set_num_threads(n_threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_killed_trainings_end_as_others_do(robustness):
    X = load_digits().data[:300] / 16
    parameters = {"layer_sizes": (6, 3), "max_iter": 4, "batch_size": 50, "random_state": 0}
    settings = lambda mnist_rows: {"digits": (X, parameters)}  # noqa: E731
    record = robustness("kill_and_resume", "--kills", "4", settings=settings)
    assert record["total"]["kills"] >= 4
    assert record["total"]["runs"] == record["total"]["runs_equal_bit_for_bit"] >= 1
    assert record["digits"]["unreadable_files"] == []


def test_random_configurations(robustness):
    record = robustness("random_configurations", "--cases", "15")
    assert record["outcomes"]["finite"] >= 10
    assert sum(record["outcomes"].values()) == 15


def test_many_threads(robustness):
    record = robustness("many_threads", "--threads", "4", "--seconds", "0.6")
    assert record["rows"] > 0
    assert record["answers_that_differ"] == 0


def test_trusted_figures(robustness):
    options = ["--epochs", "1", "--draws", "2", "--k", "2", "4", "--rows", "50"]
    record = robustness("trusted_figures", *options)
    for figures in (record["structured"], record["mean_field"]):
        assert np.isfinite(list(figures["elbo"].values())).all()
        assert figures["importance_weighted_bound"].keys() == {"2", "4"}
        shares = [share for layer in figures["coverage_of_q_by_layer"] for share in layer.values()]
        assert ((np.array(shares) >= 0) & (np.array(shares) <= 1)).all()


def short_encoder(*args, **parameters):
    return HierarchicalSparseEncoder(*args, **{**parameters, "max_iter": 1})


def test_speed(tmp_path, monkeypatch):
    folder = EXAMPLES / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    n_threads = torch.get_num_threads()
    module = load("speed", folder)
    steps, fits = module.speed_steps, module.speed_fits
    few = np.random.default_rng(0).random((60, 784)).astype(np.float32)
    monkeypatch.setattr(module.report, "mnist", lambda n_rows: few)
    monkeypatch.setattr(module.report, "digits", lambda: few[:, 300:340])
    for part in (steps, fits):
        monkeypatch.setattr(part, "SIZES", (12, 8))
    monkeypatch.setattr(fits, "HierarchicalSparseEncoder", short_encoder)
    short = {
        "bound": lambda n_turns: fits.bounds(n_turns, 40, 1),
        "time_to_bound": lambda n_turns: fits.time_to_bound(n_turns, 40, most=1),
        "memory": lambda n_turns: fits.memory(n_turns, (300,), 20),
    }
    monkeypatch.setattr(module, "SECTIONS", {**module.SECTIONS, **short})
    # Without the longest ones, and what needs another package.
    wanted = ["step", "transform", "bound", "digits", "search", "memory", "import"]
    try:
        for names in (wanted[:2], wanted[2:]):  # in two runs, as its figures are kept
            record = module.main([*names, "--turns", "1", "--results", str(tmp_path)])
    finally:
        torch.set_num_threads(n_threads)
    assert list(record) == wanted
    assert json.loads((tmp_path / "speed.json").read_text(encoding="utf-8")).keys() == set(wanted)
    expected = [[784, 24], [12, 16], [784, 16], [8, 24], [20, 784]]
    assert record["step"]["products"] == expected
    for row in record["step"]["milliseconds"].values():
        assert row["ratio"] == row["step"] / row["products"] > 0
    assert record["bound"]["same_seed_same_bits"]


def test_the_figure_of_speed_is_drawn_from_its_record(tmp_path):
    pytest.importorskip("matplotlib")
    module = load("speed_figure", EXAMPLES / "benchmarks")
    module.draw(json.loads(module.RECORD.read_text(encoding="utf-8")), tmp_path / "speed.svg")
    drawn = (tmp_path / "speed.svg").read_text(encoding="utf-8")
    assert all(name in drawn for name in ("batch 100", "batch 512", *module.BARS.values()))


def test_quick_looks(tmp_path, monkeypatch, capsys):
    module = load("pilot_quick", EXAMPLES / "benchmarks")
    asked = []

    def run(command, check):
        """What the command would write, at once."""
        asked.append(command)
        interval = {"mean": 0.1, "low": 0.05, "high": 0.15}
        budget = {"n_labels": 100, "encoder_score": 0.9, "reference_score": 0.8}
        verdict = {"decision": "pays", "reason": "gain", "score": "f1", "shown": 0}
        data = {"n_rows": 9, "n_studied": 9, "n_columns": 3, "leaks": [{"column": "a"}]}
        study = {
            "data": data,
            "verdict": {**verdict, "budgets": [{**budget, "difference": interval}]},
        }
        Path(command[command.index("--json") + 1]).write_text(json.dumps(study))
        Path(command[command.index("--report") + 1]).write_text("page")

    monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=run))
    module.main(["--sets", "secom", "--results", str(tmp_path)])
    record = module.main(["--sets", "digits", "--results", str(tmp_path)])
    assert list(record["sets"]) == ["digits", "secom"]
    assert record["sets"]["secom"]["columns_named_as_leaks"] == ["a"]
    assert all("--quick" in command for command in asked)
    assert json.loads((tmp_path / "pilot_quick.json").read_text())["sets"] == record["sets"]
