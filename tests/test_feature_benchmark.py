"""The benchmark of features: protocol, damage, preparation, records. On small data."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"
MODULES = ("feature_methods", "feature_sets", "feature_tables", "features", "probe")


@pytest.fixture(scope="module")
def bench():
    """The script; its helpers stand beside it, as when it is started from the command line."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("features")
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def sets(bench):
    return sys.modules["feature_sets"]


@pytest.fixture
def methods(bench):
    return sys.modules["feature_methods"]


@pytest.fixture
def shown(bench):
    return sys.modules["feature_tables"]


@pytest.fixture
def probes(bench):
    return sys.modules["probe"]


@pytest.fixture
def small(bench, sets, monkeypatch, tmp_path):
    """The benchmark with digits in small as its only set; the file of its results."""
    X, y = load_digits(n_class=3, return_X_y=True)
    data = sets.split((X / 16).astype(np.float32)[:200], y[:200])
    monkeypatch.setattr(bench, "SETS", {"digits": lambda: data})
    monkeypatch.setattr(bench, "BUDGETS", (30, "all"))
    monkeypatch.setattr(sys.modules["feature_tables"], "BUDGETS", (30, "all"))
    return tmp_path / "results" / "features.json"


def mixed_table(n_rows, seed):
    """Numbers with holes and words with holes, the rarer words below what gets a column."""
    rng = np.random.default_rng(seed)
    number = rng.normal(50, 3, n_rows)
    number[::7] = np.nan
    words = rng.choice(["a", "b", "rare"], n_rows, p=[0.5, 0.45, 0.05]).astype(object)
    words[::9] = None
    dtype = pd.CategoricalDtype(["a", "b", "rare"])
    return pd.DataFrame({"number": number, "word": pd.Series(words).astype(dtype)})


# The labelled rows


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([50, 50], 10, [5, 5]),
        ([1463, 104], 100, [93, 7]),
        ([9661, 339], 100, [97, 3]),  # 3.39 is the share
        ([990, 10], 100, [97, 3]),  # raised from 1
        ([292, 177, 10, 19, 2], 100, [57, 35, 3, 3, 2]),  # all there are of the last
        ([5, 4, 3], 12, [5, 4, 3]),
    ],
)
def test_allocation_is_proportional_with_three_of_each(probes, counts, size, expected):
    assert probes.allocate(np.array(counts), size).tolist() == expected


@pytest.mark.parametrize("size", [5, 21])
def test_allocation_that_is_impossible(probes, size):
    with pytest.raises(ValueError, match=r"size must lie between 6 .* and 20"):
        probes.allocate(np.array([10, 10]), size)


def test_labels_are_drawn_once_each_and_reproducibly(probes):
    y = np.repeat([0, 1, 2], [500, 90, 10])
    rows = probes.draw_labels(y, 100, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 100
    assert np.bincount(y[rows]).tolist() == [83, 14, 3]
    again = probes.draw_labels(y, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(rows, again)


# The classifier


def test_balanced_accuracy_and_its_error(probes):
    y = np.repeat([0, 1], [80, 20])
    predicted = np.r_[np.zeros(60), np.ones(20), np.ones(15), np.zeros(5)].astype(int)
    score, error = probes.balanced_accuracy(y, predicted)
    assert score == pytest.approx(balanced_accuracy_score(y, predicted)) == 0.75
    assert error == pytest.approx(0.5 * np.sqrt(0.1875 / 80 + 0.1875 / 20))


def test_probe_scores_separable_classes_and_leaves_large_budgets_out(probes):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    Z = rng.normal(size=(120, 4)) + 8 * np.eye(4)[y]
    result = probes.probe(Z[::2], y[::2], Z[1::2], y[1::2], (12, 1000, "all"), draws=2)
    assert list(result) == ["12", "all"]
    assert [len(result[budget]["scores"]) for budget in result] == [2, 1]
    assert [result[budget]["n_labels"] for budget in result] == [12, 60]
    assert min(result["12"]["scores"] + result["all"]["scores"]) > 0.95
    assert all(result["all"]["converged"])


def test_probe_of_a_sparse_table_is_that_of_a_dense_one_without_centre(probes):
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], 60)
    Z = rng.poisson(0.3, size=(120, 8)) * (1 + y[:, None])
    pieces = (sparse.csr_array(Z[::2].astype(float)), y[::2])
    held_out = (sparse.csr_array(Z[1::2].astype(float)), y[1::2])
    found = probes.probe(*pieces, *held_out, ("all",))
    scale = Z[::2].std(axis=0)
    expected = probes.classify(Z[::2] / scale, y[::2], Z[1::2] / scale, y[1::2], 0)
    assert found["all"]["scores"] == [expected["scores"]]


def test_probe_takes_a_class_with_two_rows(probes):
    y = np.repeat([0, 1, 2], [30, 30, 2])
    Z = np.random.default_rng(2).normal(size=(62, 3)) + 5 * np.eye(3)[y]
    result = probes.probe(Z, y, Z, y, (20, "all"), draws=1)
    assert result["20"]["scores"][0] > 0.9


# Damage


def test_noise_keeps_the_columns_distribution(sets):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3)) * [1, 10, 100]
    X[:400] = np.nan
    data = sets.FeatureSet(X, None, X, None)
    damaged = sets.corrupt(data, "noise", 0).X_train
    # Binomial with 12,000 cells: 5 standard errors are 0.018, a false alarm in two million.
    # A cell that stays missing by chance does not show.
    changed = ~((damaged == X) | (np.isnan(damaged) & np.isnan(X)))
    assert changed.mean() == pytest.approx(0.2 * (1 - 0.1**2), abs=0.018)
    assert np.isnan(damaged).mean() == pytest.approx(0.1, abs=0.018)
    for column in range(3):
        known = damaged[:, column][~np.isnan(damaged[:, column])]
        assert set(known) <= set(X[400:, column])


def test_outliers_lie_ten_deviations_away(sets):
    X = np.random.default_rng(0).normal(size=(4000, 2)) * [1, 10] + 5
    data = sets.FeatureSet(X, None, X[:1000] + 1, None)
    damaged = sets.corrupt(data, "outliers", 0)
    for before, after in ((data.X_train, damaged.X_train), (data.X_test, damaged.X_test)):
        changed = before != after
        distance = (after - X.mean(axis=0)) / X.std(axis=0)  # of the training columns
        np.testing.assert_allclose(np.abs(distance[changed]), 10, rtol=1e-5)
        assert {-1, 1} == set(np.sign(distance[changed]))
        # 2,000 cells at least: 5 standard errors.
        assert changed.mean() == pytest.approx(0.05, abs=0.025)


def test_outliers_stay_inside_the_unit_range_and_counts_stay_counts(sets):
    X = np.random.default_rng(0).random((300, 150))
    assert sets.in_unit_range(X)
    damaged = sets.corrupt(sets.FeatureSet(X, None, X, None), "outliers", 0).X_train
    assert set(damaged[np.abs(damaged - X) > 1e-6]) == {0, 1}
    counts = sparse.csr_array(np.random.default_rng(1).poisson(0.1, (300, 150)).astype(float))
    for kind in sets.CORRUPTIONS:
        damaged = sets.corrupt(sets.FeatureSet(counts, None, counts, None), kind, 0).X_test
        assert sparse.issparse(damaged) and damaged.shape == counts.shape
        assert (damaged.data >= 0).all() and (damaged.data == np.round(damaged.data)).all()
        assert (damaged != counts).nnz > 0


def test_damaged_frames_keep_their_columns(sets):
    table = mixed_table(2000, 0)
    data = sets.FeatureSet(table, None, table[:500], None)
    noisy, outlying = (sets.corrupt(data, kind, 0).X_train for kind in ("noise", "outliers"))
    pd.testing.assert_series_equal(outlying["word"], table["word"])
    for damaged in (noisy, outlying):
        assert damaged.dtypes.equals(table.dtypes)
        assert not damaged["number"].equals(table["number"])
    # Of the 0.2 replaced, more than a third are replaced by another category.
    assert (noisy["word"].cat.codes != table["word"].cat.codes).mean() > 0.05
    assert noisy["word"].isna().mean() == pytest.approx(table["word"].isna().mean(), abs=0.04)


def test_unknown_damage(sets):
    with pytest.raises(ValueError, match=r"kind must be one of \['noise', 'outliers'\]"):
        sets.corrupt(None, "rust", 0)


# Preparation


def test_a_mixed_table_becomes_numbers(sets):
    train, test = mixed_table(300, 0), mixed_table(100, 1)
    prepared = sets.Preparation(sets.FeatureSet(train, None, test, None))
    columns, held_out = prepared.columns
    # A number, and the words a, b, missing, and one column for those too rare.
    assert columns.shape == (300, 5) and held_out.shape == (100, 5)
    assert columns.dtype == np.float32
    missing = train["number"].isna().to_numpy()
    np.testing.assert_allclose(columns[missing, 0], train["number"].median(), rtol=1e-6)
    np.testing.assert_array_equal(columns[:, 1:].sum(axis=1), 1)
    np.testing.assert_allclose(prepared.scaled[0].std(axis=0), 1, atol=1e-4)
    for part in prepared.unit_range:
        assert sets.in_unit_range(part)
    assert prepared.encoder_input[0] is prepared.data.X_train


def test_columns_inside_the_unit_range_stay_as_they_are(sets):
    X = np.random.default_rng(0).random((50, 4), dtype=np.float32)
    prepared = sets.Preparation(sets.FeatureSet(X[:30], None, X[30:], None))
    for pair in (prepared.scaled, prepared.unit_range, prepared.encoder_input):
        np.testing.assert_array_equal(pair[0], X[:30])
        np.testing.assert_array_equal(pair[1], X[30:])


def test_counts_stay_sparse(sets):
    counts = np.random.default_rng(0).poisson(0.5, (60, 20)).astype(np.float32)
    table = sparse.csr_array(counts)
    prepared = sets.Preparation(sets.FeatureSet(table[:40], None, table[40:], None))
    lengths = np.sqrt(prepared.scaled[0].power(2).sum(axis=1))
    np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-5)
    assert prepared.unit_range[0].max() == pytest.approx(1)
    assert prepared.encoder_input[1] is prepared.data.X_test


# Methods


def test_exemplars_are_soft_thresholded_products(methods):
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    features = methods.ExemplarFeatures(5, threshold=0.5, random_state=0).fit(X)
    products = (X - X.mean(axis=0)) @ features.exemplars_.T
    expected = np.maximum(products / products.std(axis=0) - 0.5, 0)
    np.testing.assert_allclose(features.transform(X), expected, atol=1e-5)
    centred = X - X.mean(axis=0)
    for exemplar in features.exemplars_:
        assert np.isclose(exemplar, centred, atol=1e-6).all(axis=1).any()


# Lasso codes of a few correlated atoms.
slow_codes = pytest.mark.filterwarnings("ignore:Objective did not converge")


@slow_codes
def test_sparse_codes_do_not_depend_on_the_scale(methods):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    first, second = (
        methods.SparseCode(6, max_rows=60).fit(table).transform(table) for table in (X, 8 * X)
    )
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert 0 < np.mean(first == 0) < 1


@slow_codes
def test_every_method_but_the_vae_puts_out_finite_features(sets, methods, monkeypatch):
    monkeypatch.setattr(methods, "N_OUTPUTS", 6)
    monkeypatch.setattr(methods, "MIN_STEPS", 4)
    monkeypatch.setattr(methods, "MAX_DICTIONARY_ROWS", 40)
    rng = np.random.default_rng(0)
    counts = sparse.csr_array(rng.poisson(0.5, (60, 12)).astype(np.float32))
    for table in (rng.random((60, 12), dtype=np.float32), counts):
        prepared = sets.Preparation(sets.FeatureSet(table[:40], None, table[40:], None))
        for name, method in methods.METHODS.items():
            if name == "vae":
                continue
            train, test = getattr(prepared, method.reads)
            chosen = {"layer_sizes": (4, 2), "max_iter": 1} if name == "encoder" else {}
            features = method.build(train, 0, **chosen).fit(train).transform(test)
            assert features.shape[0] == 20 and features.shape[1] <= 12
            if not sparse.issparse(features):
                assert np.isfinite(features).all(), name


def test_the_vae_is_reproducible_and_leaves_the_global_seed_alone(methods):
    pytest.importorskip("pythae")
    import torch

    X = np.random.default_rng(0).random((50, 8), dtype=np.float32)
    before = torch.get_rng_state()
    first, second = (
        methods.GaussianVAE(3, n_epochs=2, random_state=1).fit(X).transform(X) for _ in range(2)
    )
    assert first.shape == (50, 3)
    np.testing.assert_array_equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_epochs(methods):
    assert methods.n_epochs(np.empty((100, 1)), 10, 200) == 20
    assert methods.n_epochs(np.empty((10_000, 1)), 10, 200) == methods.MIN_EPOCHS


# Records


def test_cells_are_recorded_and_not_run_again(bench, small, capsys, monkeypatch):
    arguments = ["--methods", "raw", "pca", "--draws", "2", "--results", str(small)]
    bench.main(arguments)
    results = json.loads(small.read_text())
    assert set(results) == {f"test/clean/digits/{name}/seed 0" for name in ("raw", "pca")}
    cell = results["test/clean/digits/pca/seed 0"]
    assert [len(cell["scores"][budget]["scores"]) for budget in ("30", "all")] == [2, 1]
    assert cell["machine"]["threads"] == 1 and cell["versions"]["scikit-learn"]
    assert list(small.parent.iterdir()) == [small]

    capsys.readouterr()
    monkeypatch.setattr(bench, "run_cell", None)
    bench.main(arguments)
    assert capsys.readouterr().out.count("already") == 2
    bench.main(["--table", "--results", str(small)])
    out = capsys.readouterr().out
    assert "30 labels" in out and "mean over sets" in out


def test_another_configuration_is_run_again(bench, small):
    arguments = ["--methods", "raw", "--results", str(small)]
    bench.main([*arguments, "--draws", "2"])
    bench.main([*arguments, "--draws", "3"])
    (cell,) = json.loads(small.read_text()).values()
    assert len(cell["scores"]["30"]["scores"]) == 3


def test_validation_uses_training_rows_only(bench, small, monkeypatch):
    seen = []
    run_cell = bench.run_cell
    monkeypatch.setattr(
        bench,
        "run_cell",
        lambda config, prepared: seen.append(prepared) or run_cell(config, prepared),
    )
    bench.main(["--validation", "--methods", "raw", "--results", str(small)])
    data, whole = seen[0].data, bench.SETS["digits"]()
    rows = np.r_[data.X_train, data.X_test]
    assert len(rows) == len(whole.X_train)
    np.testing.assert_array_equal(np.sort(rows.sum(axis=1)), np.sort(whole.X_train.sum(axis=1)))


def test_encoder_parameters_give_the_method_a_name_of_its_own(bench, small):
    chosen = ["layer_sizes=(4, 2)", "max_iter=1", "posterior=mean_field"]
    bench.main(["--methods", "encoder", "--results", str(small), "--encoder", *chosen])
    ((key, cell),) = json.loads(small.read_text()).items()
    label = "encoder[layer_sizes=(4, 2), max_iter=1, posterior=mean_field]"
    # JSON has no tuples.
    assert label.replace("(4, 2)", "[4, 2]") in key
    assert cell["n_outputs"] == 6
    assert cell["configuration"]["parameters"]["posterior"] == "mean_field"
    assert "max_iter=1" in cell["estimator"]
    with pytest.raises(SystemExit):
        bench.main(["--encoder", "depth=3"])


def test_summary_holds_both_kinds_of_error(shown):
    cell = {"scores": {"100": {"scores": [0.7, 0.9], "row_errors": [0.03, 0.05]}}}
    mean, spread, error = shown.summary(cell, "100")
    assert (mean, spread) == (pytest.approx(0.8), pytest.approx(np.sqrt(0.02)))
    assert error == pytest.approx(np.sqrt(0.02 / 2 + 0.04**2))
    assert shown.summary(cell, "all") is None


def test_means_are_only_over_complete_rows_and_drops_stand_beside(shown):
    def cell(name, method, corruption, score):
        scores = {"scores": [score], "row_errors": [0.01], "converged": [True]}
        config = {"set": name, "method": method, "corruption": corruption, "chosen": {}}
        return {
            "configuration": {**config, "protocol": "test", "seed": 0},
            "scores": {"all": scores},
            "n_outputs": 3,
            "zero_share": 0.5,
            "fit_seconds": 1.0,
        }

    cells = [
        cell(name, method, corruption, score)
        for corruption, scores in ((None, (0.9, 0.8)), ("noise", (0.6, 0.7)))
        for method in ("raw", "pca")
        for name, score in zip(("digits", "secom"), scores, strict=True)
        if (method, name) != ("pca", "secom")
    ]
    text = shown.tables({str(number): cell for number, cell in enumerate(cells)})
    lines = [line for line in text.splitlines() if line.startswith(("raw", "pca"))]
    clean_raw, clean_pca, _, _, noisy_raw, noisy_pca, _, _ = lines
    assert clean_raw.endswith("0.8500 ±0.0071") and clean_pca.endswith("-")
    assert noisy_raw.endswith("0.6500 ±0.0071   0.2000") and noisy_pca.split()[-2:] == ["-", "-"]
    assert shown.tables({}) == "No results yet."


# The files


@pytest.mark.parametrize(
    ("name", "train", "test", "n_columns"),
    [
        ("ecg5000", (500, 140), 1500, 140),
        ("secom", (1096, 443), 471, 443),
        ("ai4i", (7000, 6), 3000, 8),
        ("adult", (32561, 14), 16281, None),
        ("newsgroups", (11314, 10000), 7532, 10000),
    ],
)
def test_sets(sets, data_home, monkeypatch, name, train, test, n_columns):
    monkeypatch.setenv("SKRGVAE_DATA_HOME", str(data_home))
    data = sets.SETS[name]()
    assert data.X_train.shape == train and data.X_test.shape == (test, train[1])
    assert len(data.y_train) == train[0] and len(data.y_test) == test
    assert set(data.y_train) == set(data.y_test)
    columns = sets.Preparation(data).columns[0]
    assert n_columns is None or columns.shape[1] == n_columns
    values = columns.data if sparse.issparse(columns) else columns
    assert np.isfinite(values).all() and values.dtype == np.float32


def test_sets_ask_for_their_folder(sets, monkeypatch):
    monkeypatch.delenv("SKRGVAE_DATA_HOME", raising=False)
    with pytest.raises(SystemExit, match="SKRGVAE_DATA_HOME"):
        sets.load_secom()
