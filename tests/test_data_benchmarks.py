"""The benchmarks of tables with holes, tables as they come, and streams. On small data."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDERS = [str(EXAMPLES / name) for name in ("benchmarks", "robustness")]
MODULES = (
    *("as_it_comes", "feature_methods", "feature_sets", "feature_tables", "features"),
    *("missing", "probe", "report", "stream"),
)


@pytest.fixture(scope="module")
def load():
    """Imports one of the scripts with its helpers beside it."""
    path = list(sys.path)
    sys.path[:0] = FOLDERS
    try:
        yield importlib.import_module
    finally:
        sys.path[:] = path
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def missing(load):
    return load("missing")


def small_frame(n_rows=40):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n_rows),
            "colour": pd.Categorical(rng.choice(["red", "green", "blue"], n_rows)),
        }
    )
    frame.loc[3, "colour"] = np.nan
    return frame


# Holes


def test_tables_become_matrices_and_come_back(missing):
    frame = small_frame()
    numbers = missing.Numbers(frame)
    matrix = numbers.to_matrix(frame)
    assert numbers.categories.tolist() == [0, 3]
    assert np.isnan(matrix).sum() == 1
    pd.testing.assert_frame_equal(numbers.to_table(matrix), frame)


def test_columns_are_encoded_and_come_back(missing):
    frame = small_frame()
    numbers = missing.Numbers(frame)
    matrix = numbers.to_matrix(frame)
    columns = missing.Columns(matrix, numbers.categories, standardise=True)
    encoded = columns.encode(matrix)
    assert encoded.shape == (40, 4)
    np.testing.assert_allclose(encoded[:, 0].std(), 1)
    known = ~np.isnan(matrix)
    np.testing.assert_allclose(columns.decode(encoded)[known], matrix[known])


def test_what_is_removed(missing):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4000, 2))
    matrix[:, 1] = rng.integers(3, size=4000)
    matrix[0, 0] = np.nan
    categories, median = np.array([0, 3]), np.nanmedian(matrix, axis=0)
    at_random = missing.remove(matrix, categories, median, "random", 0.3, rng)
    high = missing.remove(matrix, categories, median, "high", 0.3, rng)
    # Within 5 standard errors, sqrt(.21 / 4000): once in 400,000 runs by chance, over four shares.
    for lost in (at_random, high):
        np.testing.assert_allclose(lost.mean(axis=0), 0.3, atol=5 * np.sqrt(0.21 / 4000))
        assert not lost[0, 0]
    assert (matrix[high[:, 0], 0] > median[0]).all()


def test_errors_are_those_of_the_removed_cells(missing):
    numbers = missing.Numbers(small_frame())
    complete = np.array([[1.0, 0], [2, 1], [3, 2]])
    filled = np.array([[1.0, 0], [6, 1], [9, 0]])
    lost = np.array([[True, True], [True, False], [False, True]])
    found = missing.errors(complete, filled, lost, numbers, spread=np.array([2.0, 1]))
    assert found == {"rmse": pytest.approx(np.sqrt(2)), "error_rate": 0.5}


def test_an_imputer_and_its_features(missing):
    X = load_digits().data[:60, 20:30]
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    method = missing.ByImputer(SimpleImputer(), missing.Numbers(X), standardise=True)
    filled = method.fit_impute(holes[:40])
    assert filled == pytest.approx(SimpleImputer().fit_transform(holes[:40]))
    method.impute(holes[40:])
    Z_train, Z_test = method.features()[""]
    assert (len(Z_train), len(Z_test)) == (40, 20)


def test_a_cell_is_recorded_and_not_repeated(missing, load, monkeypatch, tmp_path, capsys):
    X, y = load_digits(n_class=3, return_X_y=True)
    data = load("feature_sets").split((X / 16).astype(np.float32)[:150], y[:150])
    monkeypatch.setitem(missing.SETS, "digits", lambda: data)
    results = tmp_path / "missing.json"
    asked = ["--sets", "digits", "--mechanisms", "random", "--shares", "0.3"]
    asked += ["--methods", "mean", "--results", str(results)]
    missing.main(asked)
    written = results.read_text(encoding="utf-8")
    record = json.loads(written)["digits/random/0.3/mean/seed 0"]
    assert 0.8 < record["errors"]["test"]["rmse"] < 1.2
    assert np.mean(record["removed_share"]) == pytest.approx(0.3, abs=0.03)
    missing.main(asked)
    assert results.read_text(encoding="utf-8") == written
    assert capsys.readouterr().out.count("digits/random/0.3/mean/seed 0: rmse") == 2


# Tables as they come


@pytest.mark.parametrize("kind", ["numbers", "frame", "counts"])
def test_the_usual_preparation_takes_every_kind_of_table(load, kind):
    script = load("as_it_comes")
    frame = small_frame()
    numbers = frame[["size"]].to_numpy().copy()
    numbers[5] = np.nan
    rng = np.random.default_rng(0)
    X = {
        "numbers": numbers,
        "frame": frame,
        "counts": sparse.csr_array(rng.poisson(1.0, (40, 150))),
    }[kind]
    y = np.arange(40) % 2
    arms = dict(script.pipelines(X))
    assert list(arms) == ["usual preparation", "usual preparation, PCA", "encoder"]
    for name in ("usual preparation", "usual preparation, PCA"):
        figures = script.measure(arms[name], X, y, X, y)
        assert 0 <= figures["balanced_accuracy"] <= 1


def test_what_is_measured_of_an_encoder(load):
    script = load("as_it_comes")
    frame, y = small_frame(), np.arange(40) % 2
    pipeline = dict(script.pipelines(frame))["encoder"]
    pipeline[0].set_params(layer_sizes=(4, 2), max_iter=1)
    figures = script.measure(pipeline, frame, y, frame, y)
    assert figures["likelihood"] == {"categorical": 1, "gaussian": 1}
    assert figures["n_features"] == 6 and figures["epochs"] == 1


# Streams


def test_a_stream_passes_all_rows_as_a_fit_does(load):
    X = (load_digits().data[:90, 20:30] > 8).astype(np.float32)
    figures = load("stream").compare(X[:60], X[60:], 3, 2, layer_sizes=(4, 2), batch_size=10)
    assert (figures["rows"], figures["chunks"], figures["passes"]) == (60, 3, 2)
    for way in ("fit", "partial_fit"):
        assert -20 < figures[way]["validation_elbo"] < 0
