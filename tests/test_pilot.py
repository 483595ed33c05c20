"""The pilot study, with an encoder too small to be good but large enough to be measured."""

import json

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder, pilot
from skrgvae.pilot import METHODS, run_pilot

CV = 3


def small_encoder():
    return HierarchicalSparseEncoder(layer_sizes=(12, 6), max_iter=2)


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:150] / 16, np.array(["naught", "one", "two"])[y[:150]]


@pytest.fixture(scope="module")
def result(data):
    return run_pilot(*data, few_labels=12, encoder=small_encoder(), cv=CV, random_state=0)


def splits(result, X, y):
    return list(StratifiedKFold(CV, shuffle=True, random_state=result.seeds["split"]).split(X, y))


def figures(result):
    """Everything that does not depend on the clock."""
    record = result.to_dict()
    del record["seconds"]
    for method in record["methods"]:
        del method["fit_seconds"], method["transform_seconds"]
    return record


def assert_scores_are_scikit_learns(scores, X, y, folds, auc):
    expected = cross_validate(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        X,
        y,
        cv=folds,
        scoring={"accuracy": "accuracy", "macro_f1": "f1_macro", "auc": auc},
    )
    for name in ("accuracy", "macro_f1", "auc"):
        np.testing.assert_allclose(getattr(scores, name).values, expected[f"test_{name}"])


def test_raw_scores_are_what_scikit_learn_finds(result, data):
    raw = result.methods[0]
    assert_scores_are_scikit_learns(raw.all_labels, *data, splits(result, *data), "roc_auc_ovr")
    assert raw.n_features.values == (64,) * CV


def test_two_classes(data):
    X, y = data[0], data[1] == "one"
    result = run_pilot(X, y, few_labels=8, encoder=small_encoder(), cv=CV, random_state=0)
    raw = result.methods[0].all_labels
    assert_scores_are_scikit_learns(raw, X, y, splits(result, X, y), "roc_auc")
    assert result.class_counts == {"False": int(np.sum(~y)), "True": int(np.sum(y))}


def test_encoder_figures_are_those_of_an_encoder_fitted_on_the_training_rows(result, data):
    X, y = data
    for fold, (train, test) in enumerate(splits(result, X, y)):
        seed = result.seeds["folds"][fold]
        encoder = small_encoder().set_params(random_state=seed).fit(X[train])
        summary = encoder.unit_summary(X[test])
        assert result.encoder.elbo.values[fold] == pytest.approx(encoder.score(X[test]), rel=1e-6)
        assert result.encoder.epochs.values[fold] == encoder.n_iter_
        for layer, size in zip(result.encoder.layers, encoder.layer_sizes_, strict=True):
            units = np.asarray(summary["layer"]) == layer.layer
            assert layer.units.values[fold] == size
            assert layer.used.values[fold] == np.sum(np.asarray(summary["used"])[units])
            emitted = encoder.transform(X[test])[:, encoder.layer_slices_[layer.layer]]
            assert layer.zero_share.values[fold] == pytest.approx(np.mean(emitted == 0))


def test_test_rows_and_labels_stay_out_of_the_encoders_sight(data, monkeypatch):
    X, y = data
    seen = []
    fit = HierarchicalSparseEncoder.fit

    def spy(self, X, y=None, **options):
        seen.append((X.copy(), y))
        return fit(self, X, y, **options)

    monkeypatch.setattr(HierarchicalSparseEncoder, "fit", spy)
    result = run_pilot(X, y, few_labels=12, encoder=small_encoder(), cv=CV, random_state=1)
    assert len(seen) == CV
    for (rows, labels), (train, _) in zip(seen, splits(result, X, y), strict=True):
        np.testing.assert_array_equal(rows, X[train])
        assert labels is None


def test_every_method_has_every_figure(result):
    assert tuple(method.name for method in result.methods) == METHODS
    for method in result.methods:
        assert method.few_labels.n_labels.values == (12,) * CV
        assert method.all_labels.n_labels.values == (100,) * CV
        for scores in (method.few_labels, method.all_labels):
            assert scores.converged.values == (True,) * CV
            for values in (scores.accuracy, scores.macro_f1, scores.auc):
                assert len(values.values) == CV
                assert 0 <= min(values.values) <= max(values.values) <= 1
                assert values.mean == pytest.approx(np.mean(values.values))
                assert values.std == pytest.approx(np.std(values.values, ddof=1))
        assert min(method.fit_seconds.values) >= 0
        assert min(method.transform_seconds.values) >= 0
    assert result.methods[2].n_features.values == (18,) * CV


def test_becomes_json(result):
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record["schema_version"] == 1
    assert record["class_counts"] == {"naught": 50, "one": 51, "two": 49}
    assert (record["n_rows"], record["n_columns"], record["n_folds"]) == (150, 64, CV)
    assert {"skrgvae", "python", "scikit-learn", "torch", "numpy"} <= set(record["versions"])
    assert "max_iter=2" in record["encoder"]["parameters"]
    accuracy = record["methods"][2]["few_labels"]["accuracy"]
    assert accuracy["folds"] == list(result.methods[2].few_labels.accuracy.values)
    assert accuracy["mean"] == result.methods[2].few_labels.accuracy.mean


def test_the_seed_determines_the_figures(result, data):
    options = {"few_labels": 12, "encoder": small_encoder(), "cv": CV}
    np.random.seed(7)  # noqa: NPY002  (the global state must not matter)
    assert figures(run_pilot(*data, random_state=0, **options)) == figures(result)
    assert figures(run_pilot(*data, random_state=1, **options)) != figures(result)


def test_processes_and_threads_change_no_figure(result, data):
    options = {"few_labels": 12, "encoder": small_encoder(), "cv": CV, "random_state": 0}
    assert figures(run_pilot(*data, n_jobs=2, **options)) == figures(result)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert figures(run_pilot(*data, **options)) == figures(result)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_the_encoder_given_stays_as_it_was(data):
    encoder = small_encoder()
    before = clone(encoder).get_params()
    run_pilot(*data, encoder=encoder, cv=2, random_state=0)
    assert encoder.get_params() == before
    assert not hasattr(encoder, "n_iter_")


def test_output_setting_of_scikit_learn_does_not_matter(result, data):
    with config_context(transform_output="pandas"):
        again = run_pilot(*data, few_labels=12, encoder=small_encoder(), cv=CV, random_state=0)
    assert figures(again) == figures(result)


def test_few_labels_hold_every_class_however_rare(data):
    X = data[0]
    y = np.zeros(len(X), dtype=int)
    y[::40] = 1  # 4 rows of 150: in proportion, less than one of ten labelled rows
    result = run_pilot(X, y, few_labels=10, encoder=small_encoder(), cv=2, random_state=0)
    # A classifier could not have been fitted on a single class.
    assert result.methods[0].few_labels.n_labels.values == (10, 10)


def test_few_labels_are_left_out_where_all_are_few(data):
    result = run_pilot(*data, few_labels=100, encoder=small_encoder(), cv=CV, random_state=0)
    assert [method.few_labels for method in result.methods] == [None] * 3
    assert result.to_dict()["methods"][0]["few_labels"] is None


def test_classifiers_that_do_not_converge_are_reported_without_a_warning(data, monkeypatch):
    monkeypatch.setattr(
        pilot, "LogisticRegression", lambda max_iter: LogisticRegression(max_iter=1)
    )
    result = run_pilot(*data, few_labels=12, encoder=small_encoder(), cv=2, random_state=0)
    assert result.methods[0].all_labels.converged.values == (False, False)


def test_progress_tells_every_fold(data):
    calls = []

    def progress(done, total):
        calls.append((done, total))

    run_pilot(*data, encoder=small_encoder(), cv=2, random_state=0, progress=progress)
    assert calls == [(1, 2), (2, 2)]


def test_prints_nothing(data, capfd):
    run_pilot(*data, encoder=small_encoder(), cv=2, random_state=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda X, y: (X, np.where(np.arange(150) < 2, "odd", y)), {}, r"too few have: odd \(2\)"),
        (lambda X, y: (X, np.repeat("one", 150)), {}, "a single class, one"),
        (lambda X, y: (X, y), {"few_labels": 2}, "few_labels must be at least .* 3, got 2"),
        (lambda X, y: (X, y), {"cv": 1}, "cv must be at least 2, got 1"),
        (lambda X, y: (np.ones_like(X), y), {}, "every column of X is constant"),
        (lambda X, y: (np.where(X > 0.9, np.nan, X), y), {}, "NaN"),
        (lambda X, y: (X[:-1], y), {}, "inconsistent numbers of samples"),
    ],
)
def test_what_can_not_be_compared_is_refused(data, change, options, message):
    X, y = change(*data)
    with pytest.raises(ValueError, match=message):
        run_pilot(X, y, encoder=small_encoder(), **{"cv": CV, **options})


@pytest.mark.parametrize(("n_rows", "epochs"), [(10, 200), (1_797, 55), (60_000, 20)])
def test_a_first_look_is_short(n_rows, epochs):
    assert pilot._first_look(n_rows).max_iter == epochs
