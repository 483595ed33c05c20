"""The pilot study, with an encoder too small to be good but large enough to be measured."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import brier_score_loss
from sklearn.preprocessing import StandardScaler
from small_study import FAST, figures, small_encoder

from skrgvae import HierarchicalSparseEncoder
from skrgvae.pilot import Payoff, run_pilot
from skrgvae.pilot.checks import positive_class
from skrgvae.pilot.classifiers import fit_classifier
from skrgvae.pilot.data import check_data, damaged
from skrgvae.pilot.draws import draw_stratified
from skrgvae.pilot.intervals import corrected_interval
from skrgvae.pilot.leaks import _BY_CHANCE, _pure_values, find_leaks
from skrgvae.pilot.records import Interval
from skrgvae.pilot.scores import brier_score, calibration_error
from skrgvae.pilot.verdict import decide
from skrgvae.pilot.worth import best_threshold


def test_every_combination_is_scored(result):
    found = {(one.features, one.classifier, one.labels) for one in result.scores}
    assert found == {
        (features, classifier, labels)
        for features in ("raw", "pca", "encoder")
        for classifier in ("linear", "boosting")
        for labels in (20, "all")
    }
    for one in result.scores:
        assert one.n_labels.values == ((20, 20) if one.labels == 20 else (80, 80))
        for name in ("f1", "auc", "balanced_accuracy", "accuracy", "brier", "calibration_error"):
            values = getattr(one, name)
            assert 0 <= min(values.values) <= max(values.values) <= 1
            assert values.mean == pytest.approx(np.mean(values.values))


def test_what_the_data_look_like(result):
    data = result.data
    assert (data.n_rows, data.n_columns, data.n_studied) == (160, 5, 160)
    assert (data.n_numeric, data.n_categorical) == (3, 1)
    assert [(one.column, one.reason) for one in data.set_aside] == [("serial", "identifier")]
    assert data.positive == "fault"
    assert data.n_incomplete == 2
    assert data.leaks == ()


def test_becomes_json(record):
    assert record["schema_version"] == 2
    assert record["verdict"]["decision"] in ("pays", "does_not_pay", "cannot_tell")
    assert record["value"]["currency"] == "EUR"


def test_the_seed_determines_the_figures_and_processes_do_not(result, table):
    options = {"encoder": small_encoder(), "payoff": Payoff(50, 5, currency="EUR"), **FAST}
    assert figures(run_pilot(*table, random_state=0, n_jobs=2, **options)) == figures(result)
    assert figures(run_pilot(*table, random_state=1, **options)) != figures(result)


def test_test_rows_and_labels_stay_out_of_the_encoders_sight(table, monkeypatch):
    seen = []
    fit = HierarchicalSparseEncoder.fit

    def spy(self, X, y=None, **options):
        seen.append((X, y))
        return fit(self, X, y, **options)

    monkeypatch.setattr(HierarchicalSparseEncoder, "fit", spy)
    run_pilot(*table, encoder=small_encoder(), random_state=0, **FAST)
    (first, labels), (second, _) = seen
    assert labels is None
    assert set(first.index).isdisjoint(second.index)
    assert "serial" not in first


def test_an_encoder_of_some_layers_with_sparse_output(table):
    options = {"random_state": 0, **FAST}
    dense, sparse = (
        run_pilot(*table, encoder=small_encoder().set_params(**parameters), **options)
        for parameters in ({"layers": [1]}, {"layers": [1], "sparse_output": True})
    )
    assert [layer.layer for layer in dense.encoder.layers] == [1]
    assert sparse.scores == dense.scores


def test_the_encoder_given_stays_as_it_was(table):
    encoder = small_encoder()
    before = clone(encoder).get_params()
    run_pilot(*table, encoder=encoder, random_state=0, **FAST)
    assert encoder.get_params() == before
    assert not hasattr(encoder, "n_iter_")


def test_search_chooses_sizes_in_every_fold(table):
    encoder = HierarchicalSparseEncoder(max_iter=3)
    result = run_pilot(*table, encoder=encoder, search=True, random_state=0, **FAST)
    widths = {sizes[0] for sizes in result.encoder.layer_sizes}
    assert widths <= {12, 24, 48}


@pytest.mark.parametrize("name", ["hidden_layer_sizes", "free_bits"])
def test_a_search_of_depths_takes_no_entries_for_layers(table, name):
    encoder = small_encoder().set_params(**{name: (4, 2)})
    with pytest.raises(ValueError, match=rf"so {name} of the encoder can't .* Got \(4, 2\)"):
        run_pilot(*table, encoder=encoder, search=True, **FAST)


def test_many_classes_and_arrays():
    X, y = load_digits(n_class=3, return_X_y=True)
    result = run_pilot(X[:150] / 16, y[:150], encoder=small_encoder(), random_state=0, **FAST)
    assert result.settings.score == "f1"
    assert result.data.positive is None
    assert result.value is None
    raw = next(one for one in result.scores if one.labels == "all")
    assert raw.f1.mean > 0.9


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda X, y: (X, np.where(np.arange(160) < 1, "odd", y)), {}, r"few have: odd \(1\)"),
        (lambda X, y: (X, np.repeat("one", 160)), {}, "a single class, one"),
        (lambda X, y: (X, y), {"labels": (1,)}, "labels must be at least .* 2. Got 1"),
        (lambda X, y: (X, y), {"labels": np.array([9, 1])}, "number of classes, 2. Got 1"),
        (lambda X, y: (X, y), {"labels": (20.0,)}, "entries of labels must be integers. Got 20.0"),
        *(
            (
                lambda X, y: (X, y),
                {name: value},
                f"{name} must be an integer and at least {least}. Got {value!r}",
            )
            for name, value, least in [
                ("n_splits", 1, 2),
                ("n_splits", -1, 2),
                ("n_splits", 2.0, 2),
                ("n_splits", True, 2),
                ("n_repeats", 0, 1),
                ("n_repeats", "2", 1),
            ]
        ),
        (lambda X, y: (X, y), {"score": "luck"}, "score must be 'auto' or one of"),
        (lambda X, y: (X, y), {"payoff": Payoff(1, 1, "lost")}, "no class 'lost'"),
        (lambda X, y: (X, np.repeat(["a", "b"], 80)), {"payoff": Payoff(1, 1)}, "as many rows"),
        (lambda X, y: (np.ones((160, 2)), y), {}, "every column of X is constant"),
        (lambda X, y: (X[:-1], y), {}, "inconsistent numbers of samples"),
        (lambda X, y: (X[["heat", "heat"]], y), {}, "more than one column named 'heat'"),
        (lambda X, y: (X[["heat"]] / 0, y), {}, "'heat' of X has infinite values"),
        (lambda X, y: (X, y), {"smallest_gain": -0.1}, "smallest_gain must be a number from 0"),
        (lambda X, y: (X, y), {"smallest_gain": np.nan}, "smallest_gain must be a number from 0"),
        (lambda X, y: (X, y), {"smallest_gain": "0.1"}, "smallest_gain must be a number from 0"),
        (lambda X, y: (X, y), {"labels": 20}, "labels must be a sequence of integers. Got 20"),
        (lambda X, y: (X, y), {"confidence": "0.9"}, "confidence must be between 0 and 1"),
        (lambda X, y: (X, y), {"confidence": 95}, "confidence must be between 0 and 1. Got 95"),
        (
            lambda X, y: (X, np.where(np.arange(160) == 3, None, y.astype(object))),
            {},
            "the target has missing values",
        ),
        (
            lambda X, y: (X, np.where(y == "fine", np.datetime64("NaT"), np.datetime64("2026"))),
            {},
            "the target has missing values",
        ),
    ],
)
def test_what_can_not_be_compared_is_refused(table, change, options, message):
    X, y = change(*table)
    with pytest.raises(ValueError, match=message):
        run_pilot(X, y, encoder=small_encoder(), **{**FAST, **options})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, np.where(np.arange(160) == 3, 1, y.astype(object))), "Column y .* both"),
        (
            lambda X, y: (X, np.repeat([date(2026, 1, 1), date(2026, 1, 2)], 80)),
            "y .* date values",
        ),
        (lambda X, y: (X.assign(when=pd.to_datetime(["2026-01-01"] * 160)), y), "'when' .* dates"),
        (lambda X, y: (X.assign(odd=pd.Series([1, "a"] * 80, dtype=object)), y), "'odd' .* both"),
        (lambda X, y: (X.assign(parts=[[1]] * 160), y), "'parts' .* list values"),
    ],
)
def test_what_is_neither_text_nor_numbers_is_refused_by_name(table, change, message):
    with pytest.raises(TypeError, match=message):
        check_data(*change(*table))


def test_another_transformer_is_no_encoder(table):
    with pytest.raises(TypeError, match=r"encoder must be a Hier.* or None. Got StandardScaler"):
        run_pilot(*table, encoder=StandardScaler(), **FAST)


def test_days_can_be_classes(table):
    X, y = table
    days = np.where(y == "fine", np.datetime64("2026-01-01"), np.datetime64("2026-01-02"))
    np.testing.assert_array_equal(check_data(X, days).y, check_data(X, y == "fault").y)


@pytest.mark.parametrize("positive", [1, "1", np.int64(1)])
def test_alarms_are_for_a_class_or_its_name(table, positive):
    X, y = table
    data = check_data(X, (y == "fault").astype(int))
    assert positive_class(data, Payoff(1, 1, positive)) == 1


def test_the_output_that_an_encoder_is_set_to_does_not_matter(table, result):
    encoder = small_encoder().set_output(transform="pandas")
    options = {"encoder": encoder, "payoff": Payoff(50, 5, currency="EUR"), **FAST}
    assert figures(run_pilot(*table, random_state=0, **options)) == figures(result)


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Index])
def test_names_of_an_arrays_columns(table, kind):
    X, y = table
    numbers = X[["heat", "force", "noise"]].to_numpy()
    data = check_data(numbers, y, kind(["a", "b", "c"]))
    assert data.names == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"feature_names must name the 3 columns of X. Got 2"):
        check_data(numbers, y, kind(["a", "b"]))
    with pytest.raises(ValueError, match=r"must be 3 different names. Got 2 times 'b'"):
        check_data(numbers, y, kind(["a", "b", "b"]))
    assert check_data(numbers, y).names == ["0", "1", "2"]


def test_equal_numbers_of_labels_are_one(table, result):
    options = {"encoder": small_encoder(), "payoff": Payoff(50, 5, currency="EUR"), **FAST}
    twice = run_pilot(*table, random_state=0, **{**options, "labels": (20, 20)})
    assert twice.settings == result.settings
    assert twice.verdict == result.verdict


# Parts


def test_corrected_interval_is_the_t_interval_without_overlap():
    values = np.random.default_rng(0).normal(size=9)
    interval = corrected_interval(values, test_share=0.0, confidence=0.9)
    low, high = stats.t.interval(0.9, 8, values.mean(), stats.sem(values))
    np.testing.assert_allclose((interval.low, interval.high), (low, high))
    wider = corrected_interval(values, test_share=0.2, confidence=0.9)
    ratio = (wider.high - wider.low) / (high - low)
    assert ratio == pytest.approx(np.sqrt((1 / 9 + 0.25) * 9))


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (0.01, 0.05, "pays"),
        (-0.02, 0.009, "does_not_pay"),
        (0.005, 0.05, "cannot_tell"),
        (-0.05, 0.01, "cannot_tell"),
    ],
)
def test_decisions(low, high, decision):
    assert decide(Interval((low + high) / 2, low, high), smallest_gain=0.01) == decision


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [(0.0, 0.0, "does_not_pay"), (0.0, 0.1, "cannot_tell"), (0.01, 0.1, "pays")],
)
def test_no_gain_does_not_pay(low, high, decision):
    assert decide(Interval((low + high) / 2, low, high), smallest_gain=0.0) == decision


def test_brier_score_of_two_classes_is_scikit_learns():
    rng = np.random.default_rng(0)
    y, p = rng.integers(2, size=50), rng.uniform(size=50)
    probability = np.column_stack([1 - p, p])
    assert brier_score(y, probability) == pytest.approx(brier_score_loss(y, p))


def test_calibration_error():
    y = np.array([0, 0, 0, 1])
    assert calibration_error(y, np.tile([0.75, 0.25], (4, 1))) == pytest.approx(0.0)
    assert calibration_error(y, np.tile([0.95, 0.05], (4, 1))) == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_probabilities_at_both_frequencies(name):
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=4000) < 0.1).astype(int)
    Z = rng.normal(size=(4000, 1)) + 2 * y[:, np.newaxis]
    balanced, calibrated = fit_classifier(name, Z, y, seed=0, quick=True).probabilities(Z)
    # Bayes' rule for two normal laws; trees follow it in steps.
    odds = np.exp(2 * Z[:, 0] - 2)
    assert np.abs(balanced[:, 1] - odds / (1 + odds)).mean() < 0.1
    assert np.abs(calibrated[:, 1] - odds / (9 + odds)).mean() < 0.05


def test_best_threshold_against_every_threshold():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=40).round(1)
    positive = rng.uniform(size=40) < p
    payoff = Payoff(3, 2)
    best = best_threshold(p, positive, payoff)
    each = [payoff.per_thousand(p >= t, positive) for t in (*np.unique(p), np.inf)]
    assert payoff.per_thousand(p >= best, positive) == max(each)
    assert best_threshold(p, np.zeros(40, dtype=bool), payoff) == np.inf


def test_leaks_are_found_and_honest_columns_are_not():
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=2000) < 0.05).astype(int)
    X = pd.DataFrame(
        {
            "honest": rng.normal(size=2000) + 2 * y,
            "flag": y * (rng.uniform(size=2000) < 0.3),
            "copy": y + 0.01 * rng.normal(size=2000),
            "word": np.where(rng.uniform(size=2000) < 0.5, "a", "b"),
        }
    )
    flag, copy = find_leaks(check_data(X, y), seed=0)
    assert (flag.column, flag.kind, flag.value, flag.klass) == ("flag", "value", "1", "1")
    assert flag.n_rows == X["flag"].sum()
    assert (copy.column, copy.kind) == ("copy", "alone")
    X, y = load_digits(return_X_y=True)
    assert find_leaks(check_data(X, y), seed=0) == ()


def test_text_that_few_rows_have(table):
    X, y = table
    note = pd.Series([None] * len(y), dtype=object)
    note[[3, 5, 70, 71]] = ["late", "late", "early", "early"]
    result = run_pilot(X.assign(note=note), y, encoder=small_encoder(), random_state=0, **FAST)
    assert "note" not in {one.column for one in result.data.set_aside}


def test_values_that_are_known_of_one_class_only():
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=2000) < 0.1).astype(int)
    after = np.where(y * (rng.uniform(size=2000) < 0.5), rng.gamma(2.0, size=2000), np.nan)
    honest = np.where(rng.uniform(size=2000) < 0.1, rng.gamma(2.0, size=2000), np.nan)
    (leak,) = find_leaks(check_data(np.column_stack([honest, after]), y, ["a", "b"]), seed=0)
    assert (leak.column, leak.kind, leak.klass) == ("b", "known", "1")
    assert leak.n_rows == np.count_nonzero(~np.isnan(after))


@pytest.mark.parametrize("n_ones", [499, 500, 501])
def test_flags_of_a_common_class(n_ones):
    y = np.repeat([0, 1], [1000 - n_ones, n_ones])
    flag = np.zeros(1000)
    flag[-250:] = 1
    noise = np.random.default_rng(0).normal(size=1000)
    (leak,) = find_leaks(check_data(np.column_stack([noise, flag]), y), seed=0)
    assert (leak.column, leak.kind, leak.value, leak.n_rows) == ("1", "value", "1", 250)


def test_chance_makes_no_leaks():
    # Among 200 such columns, one table in seven has a value of one class.
    rng = np.random.default_rng(0)
    for _ in range(5):
        y = (rng.uniform(size=400) < 0.48).astype(int)
        X = np.zeros((400, 200))
        for column in range(200):
            X[rng.choice(400, 10, replace=False), column] = 1
        data = check_data(X, y)
        pure = [_pure_values(X[:, column], data)[0] for column in range(200)]
        n_tried = 200 * 4
        assert all(found is None or n_tried * found.chance > _BY_CHANCE for found in pure)


def test_times_far_from_zero_can_tell_the_target():
    y = np.random.default_rng(0).integers(0, 2, 400)
    times = 1.7e9 + 20 * y + np.random.default_rng(1).normal(size=400)
    (leak,) = find_leaks(check_data(times[:, None], y), seed=0)
    assert leak.kind == "alone"


def test_a_quick_look_keeps_rows_of_rare_classes():
    y = np.zeros(30_000, dtype=int)
    y[:12] = 1
    for seed in range(20):
        drawn = draw_stratified(y, 10_000, np.random.RandomState(seed), least=6)
        assert len(np.unique(drawn)) == 10_000
        assert y[drawn].sum() == 6


@pytest.mark.parametrize("frame", [True, False])
def test_damage(table, frame):
    X = table[0] if frame else table[0][["heat", "noise"]].to_numpy()
    for kind in ("missing", "wrong"):
        hurt = damaged(X, kind, 0.3, np.random.RandomState(0))
        before, after = pd.DataFrame(X), pd.DataFrame(hurt)
        changed = ~(before.eq(after) | (before.isna() & after.isna()))
        # 320 cells or more: the share lies within 0.3 +- 0.1 but for one time in 10,000.
        assert 0.15 < changed.to_numpy()[:, :2].mean() < 0.4
        if kind == "missing":
            assert after[changed].isna().all(axis=None)
        else:
            for name in before:
                assert set(after[name].dropna()) <= set(before[name].dropna())
