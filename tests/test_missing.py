"""Missing entries: any pattern is learned from, encoded, scored and filled in."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from skrgvae import HierarchicalSparseEncoder
from skrgvae.data.cells import is_missing

N_ROWS, N_COLUMNS = 90, 6


def factor_rows(n_rows: int, n_columns: int, n_factors: int, seed: int) -> np.ndarray:
    """Columns that share some factors: half of their variance and more is common."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(n_factors, n_columns))
    return rng.normal(size=(n_rows, n_factors)) @ weights + 0.3 * rng.normal(
        size=(n_rows, n_columns)
    )


def with_holes(table: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    lost = np.random.default_rng(seed).random(table.shape) < share
    return np.where(lost, np.nan, table)


COMPLETE = factor_rows(N_ROWS, N_COLUMNS, 2, seed=0)
HOLES = with_holes(COMPLETE, 0.3)


def encoder(**parameters) -> HierarchicalSparseEncoder:
    settings = {"layer_sizes": (4, 2), "max_iter": 3, "batch_size": 30, "random_state": 0}
    return HierarchicalSparseEncoder(**{**settings, **parameters})


@pytest.fixture(scope="module")
def fitted() -> HierarchicalSparseEncoder:
    return encoder().fit(HOLES)


def set_missing(table: np.ndarray, rows, columns) -> np.ndarray:
    table = table.copy()
    table[rows, columns] = np.nan
    return table


PATTERNS = {
    "nothing": COMPLETE,
    "at random": HOLES,
    "one entry": set_missing(COMPLETE, 3, 1),
    "a row": set_missing(COMPLETE, 3, slice(None)),
    "a column": set_missing(COMPLETE, slice(None), 1),
    "a row and a column": set_missing(
        set_missing(COMPLETE, 3, slice(None)), slice(None), slice(1, 2)
    ),
    "all but one column": set_missing(COMPLETE, slice(None), slice(1, None)),
    "everything": np.full_like(COMPLETE, np.nan),
}


@pytest.mark.parametrize("asked", PATTERNS)
@pytest.mark.parametrize("learned", ["nothing", "a row and a column"])
def test_any_pattern_in_fit_and_afterwards(learned, asked):
    rows = PATTERNS[asked]
    model = encoder(max_iter=1).fit(PATTERNS[learned])
    assert np.isfinite(model.transform(rows)).all()
    assert np.isfinite(model.score_samples(rows)).all()
    assert np.isfinite(model.score_samples(rows, 5)).all()
    filled = model.impute(rows)
    assert np.isfinite(filled).all()
    known = ~np.isnan(rows)
    np.testing.assert_array_equal(filled[known], rows[known])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_any_pattern_in_training(pattern):
    model = encoder(max_iter=1).fit(PATTERNS[pattern])
    assert np.isfinite(model.transform(HOLES)).all()
    assert np.isfinite(model.history_["elbo"]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_known_entries_come_back_bit_for_bit(fitted, dtype):
    rows = HOLES.astype(dtype)
    rows[0, 0], rows[1, 0] = -0.0, np.nextafter(dtype(0), dtype(1))
    filled = fitted.impute(rows)
    known = ~np.isnan(rows)
    assert filled.dtype == dtype
    assert filled[known].tobytes() == rows[known].tobytes()
    np.testing.assert_array_equal(np.isnan(rows), ~known)  # the input is left alone


LARGE = 2**53 + 1 + 2 * np.arange(len(HOLES))


def large_tables():
    """Tables of which a column has integers that no float64 is equal to."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    array = np.stack([LARGE, -LARGE, rng.integers(0, 9, len(LARGE))], axis=1)
    frame = pd.DataFrame(array, columns=["a", "b", "c"]).assign(d=HOLES[:, 0])
    cells = array.astype(object)
    cells[::7, 1], cells[3::9, 2] = None, np.nan
    return {
        "integers": array,
        "unsigned integers": np.abs(array).astype(np.uint64),
        "list": array.tolist(),
        "objects": cells,
        "list of objects": cells.tolist(),
        "pandas": frame,
        "pandas, of integers": frame[["a", "b", "c"]],
        "pandas, nullable": frame.convert_dtypes(),
        "pandas, pyarrow": frame.astype({"a": "int64[pyarrow]"}),
        "pandas, objects": pd.DataFrame(cells, columns=["a", "b", "c"]),
        "polars": pl.from_pandas(frame),
        "with a category": frame.assign(kind=np.where(LARGE % 4 == 1, "x", "y")),
        "objects, with a category": np.column_stack([cells, np.where(LARGE % 4 == 1, "x", "y")]),
    }


@pytest.mark.parametrize("name", large_tables())
def test_known_integers_of_any_size_come_back_as_they_are(name):
    X = large_tables()[name]
    filled = encoder().fit(X).impute(X)
    is_frame = hasattr(X, "columns")
    before, after = (
        [list(part[name]) for name in X.columns] if is_frame else np.asarray(part, object).T
        for part in (X, filled)
    )
    for cells, values in zip(before, after, strict=True):
        for cell, value in zip(cells, values, strict=True):
            assert not is_missing(value) and (is_missing(cell) or value == cell)
    if isinstance(X, np.ndarray):
        assert filled.dtype == X.dtype
    elif is_frame:
        assert type(filled) is type(X)
        expected = "object" if name == "pandas, objects" else "int64"
        assert str(filled["a"].dtype).lower() == expected


def test_numbers_that_floats_hold_come_back_as_floats():
    pd = pytest.importorskip("pandas")
    X = np.stack([np.arange(20), 2**53 - np.arange(20)], axis=1)
    fitted = encoder().fit(X)
    assert fitted.impute(X).dtype == fitted.impute(X.astype(object)).dtype == np.float64
    assert (fitted.impute(pd.DataFrame(X)).dtypes == np.float64).all()


def test_a_row_of_which_nothing_is_known_has_the_features_of_the_prior(fitted):
    rows = np.full((3, N_COLUMNS), np.nan)
    features = fitted.transform(rows)
    np.testing.assert_array_equal(features[1:], features[:1].repeat(2, axis=0))
    # Its posterior is the prior and nothing is asked of it: log p(nothing) = 0 for every draw.
    np.testing.assert_array_equal(fitted.score_samples(rows), 0)
    np.testing.assert_allclose(fitted.score_samples(rows, 20), 0, atol=1e-12)
    assert (fitted.unit_summary(rows)["kl"] == 0).all()


def test_a_column_of_which_nothing_is_known_counts_for_nothing():
    rows = set_missing(HOLES, slice(None), 2)
    model = encoder().fit(rows)
    assert (model.impute(rows)[:, 2] == 0).all()
    # Later values of it do no harm.
    with_values = rows.copy()
    with_values[:, 2] = 7.0
    assert np.isfinite(model.score_samples(with_values)).all()


@pytest.mark.parametrize("likelihood", ["categorical", {"c": "categorical"}])
def test_a_category_of_which_nothing_is_known_counts_for_nothing(likelihood):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"b": ["u", "v"] * 20, "c": pd.Categorical([None] * 40)})
    fitted = encoder(likelihood=likelihood, categorical_features=["b", "c"]).fit(frame)
    some = frame.assign(c=["w", None] * 20)
    np.testing.assert_array_equal(fitted.transform(some), fitted.transform(frame))


def test_missing_entries_cost_and_bring_nothing(fitted):
    # A row's bound is of its known entries: another unit of a column changes it by the
    # logarithm of the unit, once for each known entry.
    scaled = HOLES.copy()
    scaled[:, 1] *= 1000.0
    other = encoder().fit(scaled)
    loss = np.log(1000.0) * ~np.isnan(HOLES[:, 1])
    expected = fitted.score_samples(HOLES).mean() - loss.mean()
    assert other.score_samples(scaled).mean() == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("method", ["transform", "score_samples", "impute"])
def test_a_row_is_a_function_of_its_content(fitted, method):
    whole = getattr(fitted, method)(HOLES)
    order = np.random.default_rng(1).permutation(N_ROWS)
    tolerance = {"rtol": 0, "atol": 1e-7}
    np.testing.assert_allclose(getattr(fitted, method)(HOLES[order]), whole[order], **tolerance)
    parts = [getattr(fitted, method)(HOLES[start : start + 7]) for start in range(0, N_ROWS, 7)]
    np.testing.assert_allclose(np.concatenate(parts), whole, **tolerance)
    again = encoder().fit(HOLES)
    np.testing.assert_array_equal(getattr(again, method)(HOLES), whole)


def test_early_stopping_with_missing_entries():
    stopped = encoder(early_stopping=True, validation_fraction=0.3).fit(HOLES)
    assert np.isfinite(stopped.history_["validation_elbo"]).all()
    held_out = with_holes(factor_rows(30, N_COLUMNS, 2, seed=1), 0.5)
    stopped = encoder().fit(HOLES, X_val=held_out)
    best = stopped.history_["validation_elbo"][stopped.best_iter_ - 1]
    assert stopped.score(held_out) == pytest.approx(best, abs=1e-4)


def test_streams_with_missing_entries():
    # The first call decides which columns have marks; later ones may have other patterns.
    model = encoder().partial_fit(COMPLETE[:30]).partial_fit(HOLES[30:60])
    model.partial_fit(set_missing(COMPLETE[60:], slice(None), 1))
    assert np.isfinite(model.score(HOLES))
    assert not np.isnan(model.impute(HOLES)).any()


def test_a_missing_entry_is_told_from_one_at_what_is_expected_there():
    # The network reads the same number for both; a mark says which it is, in a column whose holes
    # in `fit` went with something.
    warm = COMPLETE[:, 3] > 0.5
    model = encoder(max_iter=20).fit(set_missing(COMPLETE, warm, 1))
    likelihood = model._model.module(torch.float64).likelihood
    for column, differs in ((1, True), (2, False)):
        missing = set_missing(COMPLETE, slice(None), column)
        expected = likelihood.completion.fill(torch.from_numpy(missing))[:, column].numpy()
        as_known = COMPLETE.copy()
        as_known[:, column] = expected
        difference = np.abs(model.transform(as_known) - model.transform(missing)).max()
        assert (difference > 0.01) if differs else (difference < 1e-9)


# Imputation of a factor model. The ratio below is that of the error of `impute` to the error of
# column means, over the removed entries.


def ratio_to_means(seed: int) -> float:
    table = factor_rows(300, 12, 2, seed)
    holes = with_holes(table, 0.2, seed)
    lost = np.isnan(holes)
    filled = encoder(layer_sizes=(12,), max_iter=60, random_state=seed).fit(holes).impute(holes)
    means = np.broadcast_to(np.nanmean(holes, axis=0), table.shape)
    errors = [np.sqrt(np.mean((guess - table)[lost] ** 2)) for guess in (filled, means)]
    return errors[0] / errors[1]


def test_imputation_beats_column_means():
    # Over 20 seeds the ratio had mean 0.293 and standard deviation 0.046: a mean of three above
    # 0.4 is 4 of its standard errors away, which by chance happens in less than 1 in 10,000.
    assert np.mean([ratio_to_means(seed) for seed in range(3)]) < 0.4


SEEN = torch.tensor([[1.0, torch.nan, 3.0], [4.0, 5.0, torch.nan], [7.0, 8.0, 9.0]])


@pytest.mark.parametrize(
    ("training", "hidden", "expected"),
    [
        # Each row through the holes of the one before it, the first through those of the last.
        (True, None, [[1, 0, 1], [1, 0, 0], [1, 1, 0]]),
        (True, [[0, 0, 1], [0, 0, 0], [1, 0, 0]], [[1, 0, 0], [1, 0, 0], [0, 1, 0]]),
        (False, None, [[1, 0, 1], [1, 1, 0], [1, 1, 1]]),
    ],
)
def test_what_the_bottom_up_pass_sees_of_rows_with_holes(training, hidden, expected):
    likelihood = encoder(max_iter=1).fit(HOLES[:, :3])._model.new_module().likelihood
    likelihood.train(training)
    hidden = None if hidden is None else torch.tensor(hidden, dtype=torch.bool)
    observed = likelihood.observe(SEEN)
    seen = likelihood.seen(observed, hidden)
    known = torch.tensor(expected, dtype=torch.bool)
    assert seen.known.tolist() == known.tolist()
    assert seen.values.tolist() == torch.where(known, observed.values, 0.0).tolist()
    assert (~torch.isnan(seen.data)).tolist() == known.tolist()


def test_of_complete_rows_all_is_seen_but_what_is_hidden():
    module = encoder(max_iter=1).fit(HOLES)._model.new_module()
    rows = torch.ones(5, HOLES.shape[1])
    observed = module.likelihood.train().observe(rows)
    assert module.likelihood.seen(observed) is observed
    hidden = torch.rand(rows.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    seen = module.likelihood.seen(observed, hidden)
    assert seen.known.tolist() == (~hidden).tolist()
    inputs = module.likelihood.inputs(observed)
    assert module.likelihood.inputs(seen).tolist() == torch.where(hidden, 0.0, inputs).tolist()


@pytest.mark.parametrize("hide", [False, True])
def test_all_known_entries_are_scored_in_training(hide):
    module = encoder(max_iter=1).fit(HOLES)._model.new_module()
    rows = torch.from_numpy(HOLES.astype(np.float32))
    hidden = torch.zeros(rows.shape, dtype=torch.bool)
    hidden[::3, ::2] = hide
    noise = [torch.zeros(N_ROWS, size) for size in (4, 2)]
    observed = module.likelihood.observe(rows)

    def score(seen):
        values = [record.value for record in module.posterior(seen, noise)]
        return module.likelihood.log_prob(observed, module.top_down.decode(values))

    module.train()
    terms = module(rows, noise, hidden if hide else None)
    module.train()
    expected = score(module.likelihood.seen(observed, hidden))
    torch.testing.assert_close(terms.log_likelihood, expected)
    module.eval()  # scores are of what there is to see
    torch.testing.assert_close(module(rows, noise).log_likelihood, score(observed))


def in_step(n_rows, seed=0):
    """Five columns, of which the first two go together."""
    table = np.random.default_rng(seed).normal(size=(n_rows, 5))
    table[:, 1] = table[:, 0] + 0.1 * table[:, 1]
    return table


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t", "negative_binomial"])
def test_one_cell_of_junk_does_not_decide_how_holes_are_read(likelihood):
    table, new = in_step(250), in_step(200, seed=1)
    if likelihood == "negative_binomial":
        table, new = np.exp(table + 1).round(), np.exp(new + 1).round()
    holes = np.random.default_rng(2).random(table.shape) < 0.2
    table[holes] = np.nan
    table[0, 0] = 1e6
    encoder = HierarchicalSparseEncoder((6, 3), likelihood=likelihood, max_iter=2, random_state=0)
    module = encoder.fit(table)._model.module(torch.float64)
    without = new.copy()
    without[:, 0] = np.nan
    whole, read = (
        module.likelihood.inputs(module.likelihood.observe(torch.from_numpy(rows)))[:, 0]
        for rows in (new, without)
    )
    assert whole.min() <= read.min() <= read.max() <= whole.max()


def test_features_are_those_of_the_same_rows_in_another_dtype():
    rows = with_holes(load_breast_cancer().data[:290], 0.2).astype(np.float32)
    fitted = encoder().fit(rows)
    for method in (fitted.transform, fitted.score_samples):
        np.testing.assert_allclose(method(rows), method(rows.astype(np.float64)), atol=1e-3)
