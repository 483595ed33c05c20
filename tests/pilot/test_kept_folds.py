"""A folder that keeps folds: the same study goes on from it, another one takes nothing of it."""

import json

import numpy as np
import pandas as pd
import pytest
from small_study import FAST, figures, small_encoder

from skrgvae import HierarchicalSparseEncoder
from skrgvae.persistence import checkpoint
from skrgvae.pilot import Payoff, fold, run_pilot


def written_at(folder):
    """When every checkpoint in the folder was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*.safetensors")}


def test_a_study_goes_on_from_its_folder(table, tmp_path, monkeypatch):
    options = {"encoder": small_encoder(), "folder": tmp_path, "random_state": 0, **FAST}
    study_fold, calls = fold.study_fold, []

    def stopped(data, task):
        calls.append(task.seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return study_fold(data, task)

    monkeypatch.setattr("skrgvae.pilot.kept_folds.study_fold", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_pilot(*table, **options)
    again = run_pilot(*table, **options)
    assert len(calls) == 3  # the first fold was not studied again
    without = run_pilot(*table, **{**options, "folder": None})
    assert figures(again) == figures(without)


def test_a_search_goes_on_from_its_folder(table, tmp_path, monkeypatch):
    encoder = HierarchicalSparseEncoder(max_iter=3)
    options = {"encoder": encoder, "search": True, "random_state": 0, **FAST}
    fit, calls = HierarchicalSparseEncoder.fit, []

    def stopped(self, X, y=None, **parameters):
        calls.append(self.layer_sizes)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return fit(self, X, y, **parameters)

    monkeypatch.setattr(HierarchicalSparseEncoder, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_pilot(*table, folder=tmp_path, **options)
    written = written_at(tmp_path)
    assert len(written) == 5
    calls.clear()
    seen = []

    def watched(self, X, y=None, **parameters):
        calls.append(self.layer_sizes)
        if len(calls) == 6:
            seen.append(written_at(tmp_path))
        return fit(self, X, y, **parameters)

    monkeypatch.setattr(HierarchicalSparseEncoder, "fit", watched)
    again = run_pilot(*table, folder=tmp_path, **options)
    # The trainings that were finished were loaded, and their files not written again.
    assert seen == [written]
    assert figures(again) == figures(run_pilot(*table, **options))


@pytest.fixture(scope="session")
def measured(table, tmp_path_factory):
    """What a study keeps of its first fold."""
    folder = tmp_path_factory.mktemp("kept")
    options = {"encoder": small_encoder(), "payoff": Payoff(50, 5), "random_state": 0}
    run_pilot(*table, folder=folder, **options, **FAST)
    folds = [json.loads(file.read_bytes()) for file in folder.glob("fold-*.json")]
    (first,) = (one for one in folds if "units" in one)
    return first


@pytest.fixture
def studied(monkeypatch, measured):
    """The folds that were studied, none of which takes time: all find what another one found."""
    tasks = []

    def study_fold(data, task):
        tasks.append(task)
        return measured

    monkeypatch.setattr("skrgvae.pilot.kept_folds.study_fold", study_fold)
    monkeypatch.setattr("skrgvae.pilot.study.find_leaks", lambda data, seed: ())
    return tasks


def given(table, **changes):
    """Everything that `run_pilot` is given."""
    X, y = table
    options = {"encoder": small_encoder(), "payoff": Payoff(50, 5), "random_state": 0, **FAST}
    return {"X": X, "y": y, **options, **changes}


class Another(HierarchicalSparseEncoder):
    """Whatever it does otherwise, its parameters are the same."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder": small_encoder().set_params(random_state=np.random.RandomState(0))},
        {"encoder": small_encoder().set_params(verbose=1, sparse_output=True)},
        {"encoder": small_encoder().set_params(layer_sizes=[np.int64(8), 4])},
        {"encoder": small_encoder().set_params(checkpoint="elsewhere")},
        {"smallest_gain": 0.02, "confidence": 0.9},
        {"payoff": Payoff(50, 5, currency="EUR")},
        {"labels": np.array([20])},
        {"random_state": np.random.RandomState(0)},
    ],
)
def test_what_changes_no_fold_takes_all_from_the_folder(table, tmp_path, studied, changes):
    run_pilot(**given(table), folder=tmp_path)
    assert len(studied) == 2
    run_pilot(**given(table, **changes), folder=tmp_path)
    assert len(studied) == 2


def test_more_repeats_take_those_that_are_there(table, tmp_path, studied):
    run_pilot(**given(table), folder=tmp_path)
    run_pilot(**given(table, n_repeats=2), folder=tmp_path)
    assert len(studied) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": small_encoder().set_params(max_iter=3)},
        {"encoder": Another(layer_sizes=(8, 4), max_iter=2)},
        {"random_state": 1},
        {"quick": False},
        {"score": "f1"},
        {"payoff": Payoff(50, 6)},
        {"labels": ()},
    ],
)
def test_another_study_takes_nothing_from_the_folder(table, tmp_path, studied, changes):
    run_pilot(**given(table), folder=tmp_path)
    run_pilot(**given(table, **changes), folder=tmp_path)
    assert len(studied) == 4


@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_long_parameters_are_told_apart(tmp_path, studied, kind):
    X = np.random.default_rng(0).integers(0, 2, size=(40, 1200)).astype(float)
    first, second = np.zeros((2, 1200), dtype=bool)
    second[600] = True
    table = X, np.arange(40) % 2
    for mask in (first, second, first):
        encoder = small_encoder().set_params(categorical_features=kind(mask))
        run_pilot(**given(table, encoder=encoder, payoff=None), folder=tmp_path)
    assert len(studied) == 4


def test_cells_are_told_apart(tmp_path, studied):
    words = pd.Series(["nan", "b", "c", "b"] * 10)
    numbers = pd.Series(np.arange(40.0) % 7)
    y = np.arange(40) % 2
    tables = [
        {"word": words, "number": numbers},
        {"word": words.where(words != "nan", None), "number": numbers},
        {"word": words, "number": numbers.where(numbers != 3)},
        {"word": words.replace("b", "d"), "number": numbers},
        {"another": words, "number": numbers},
        {"word": words},
    ]
    for columns in tables + tables[::-1]:
        run_pilot(**given((pd.DataFrame(columns), y), payoff=None), folder=tmp_path)
    assert len(studied) == 2 * len(tables)


def test_the_table_is_read_once_for_all_folds(table, tmp_path, studied, monkeypatch):
    fingerprint, sizes = checkpoint.fingerprint, []

    def counted(parameters, arrays, sources):
        sizes.append(sum(array.size for array in arrays.values()))
        return fingerprint(parameters, arrays, sources)

    monkeypatch.setattr(checkpoint, "fingerprint", counted)
    run_pilot(**given(table, n_splits=4), folder=tmp_path)
    # Four columns and the target, and for every fold the positions of its rows.
    assert [size // 160 for size in sizes] == [5, 1, 1, 1, 1]


def test_finished_folds_leave_no_checkpoints(table, tmp_path):
    options = given(table, encoder=small_encoder(), labels=(), payoff=None)
    run_pilot(**options, folder=tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".json", ".json"]
    # What is left where a process is killed before it has removed them.
    left = tmp_path / files[0].stem.replace("fold", "checkpoints")
    left.mkdir()
    (left / "a.safetensors").write_bytes(b"")
    run_pilot(**options, folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == files


def test_checkpoints_of_the_encoder_stay(table, tmp_path):
    encoder = small_encoder().set_params(checkpoint=tmp_path / "own")
    options = given(table, encoder=encoder, labels=(), payoff=None)
    run_pilot(**options, folder=tmp_path / "kept")
    assert len(written_at(tmp_path / "own")) == 2
