"""What the encoder refuses, in scikit-learn's words, and what is left of it afterwards."""

import datetime
import inspect
import re

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skrgvae import HierarchicalSparseEncoder

TINY = {"layer_sizes": (4, 3), "max_iter": 1, "batch_size": 20, "random_state": 0}


def encoder(**parameters):
    return HierarchicalSparseEncoder(**{**TINY, **parameters})


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture(scope="module")
def fitted(X):
    return encoder().fit(X)


def state(estimator):
    """All attributes, by identity: what is compared must not even have been rebuilt."""
    return dict(vars(estimator))


def unchanged(estimator, before):
    after = vars(estimator)
    return set(after) == set(before) and all(after[name] is before[name] for name in before)


# Parameters

BAD_PARAMETERS = [
    ({"layer_sizes": ()}, "layer_sizes must name at least one layer"),
    ({"layer_sizes": (4, 0)}, r"entries of layer_sizes must be integers .*1, 10{9}\]. Got 0"),
    ({"layer_sizes": (4, -1)}, "layer_sizes .* Got -1"),
    ({"layer_sizes": (4, 2.5)}, "layer_sizes .* Got 2.5"),
    ({"layer_sizes": (4, True)}, "layer_sizes .* Got True"),
    ({"layer_sizes": ("4",)}, "layer_sizes .* Got '4'"),
    ({"layer_sizes": [[4]]}, r"layer_sizes .* Got \[4\]"),
    ({"layer_sizes": (10**12,)}, r"layer_sizes .*1, 10{9}\]. Got 10{12}"),
    ({"layer_sizes": np.array(4)}, r"layer_sizes must be a sequence. Got array\(4\)"),
    ({"layer_sizes": {4, 3}}, "layer_sizes must be a sequence. Got {"),
    ({"layer_sizes": 4}, "'layer_sizes' parameter .* Got 4"),
    ({"layer_sizes": "many"}, "'layer_sizes' parameter .* Got 'many'"),
    ({"layer_sizes": None}, "'layer_sizes' parameter .* Got None"),
    ({"hidden_layer_sizes": (5,)}, r"hidden_layer_sizes must have one entry per .*\(2\). Got 1"),
    ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes .* Got 0"),
    ({"hidden_layer_sizes": 10**12}, r"hidden_layer_sizes .*1, 10{9}\]. Got 10{12}"),
    ({"hidden_layer_sizes": True}, "hidden_layer_sizes .* Got True"),
    ({"hidden_layer_sizes": 0}, "'hidden_layer_sizes' parameter .* Got 0"),
    ({"latent": "cauchy"}, "'latent' parameter .* Got 'cauchy'"),
    ({"posterior": "flow"}, "'posterior' parameter .* Got 'flow'"),
    ({"likelihood": "zipf"}, "'likelihood' parameter .* Got 'zipf'"),
    ({"likelihood": ["gaussian"] * 3}, "'likelihood' parameter"),
    ({"batch_norm": "yes"}, "'batch_norm' parameter .* Got 'yes'"),
    ({"feature": "mode"}, "'feature' parameter .* Got 'mode'"),
    ({"layers": "top"}, "'layers' parameter .* Got 'top'"),
    ({"layers": 0}, "'layers' parameter .* Got 0"),
    ({"layers": ()}, "layers must name at least one layer"),
    ({"layers": (0, 0)}, "layers must name .* none twice"),
    ({"layers": (2,)}, r"layers must be 'all' or .* 0 \(bottom\) to 1. Got \(2,\)"),
    ({"layers": (0.0,)}, "layers must be 'all' or"),
    ({"layers": (True, False)}, "layers must be 'all' or"),
    ({"sparse_output": "csr"}, "'sparse_output' parameter .* Got 'csr'"),
    ({"optimizer": "sgd"}, "'optimizer' parameter .* Got 'sgd'"),
    ({"learning_rate": 0.0}, "'learning_rate' parameter .* Got 0.0"),
    ({"learning_rate": np.nan}, "'learning_rate' parameter .* Got nan"),
    ({"batch_size": 0}, "'batch_size' parameter .* Got 0"),
    ({"batch_size": "all"}, "'batch_size' parameter .* Got 'all'"),
    ({"max_iter": 0}, "'max_iter' parameter .* Got 0"),
    ({"max_iter": 1.5}, "'max_iter' parameter .* Got 1.5"),
    ({"kl_weight": -1}, "'kl_weight' parameter .* Got -1"),
    ({"kl_warmup": 1.1}, "'kl_warmup' parameter .* Got 1.1"),
    ({"free_bits": -0.1}, "'free_bits' parameter .* Got -0.1"),
    ({"free_bits": np.array(0.1)}, "free_bits must be a sequence"),
    ({"free_bits": (0.1,)}, r"free_bits must have one entry per stochastic layer \(2\). Got 1"),
    ({"free_bits": (0.1, -0.1)}, "entries of free_bits must be numbers .* Got -0.1"),
    ({"free_bits": (0.1, np.nan)}, "entries of free_bits must be numbers .* Got nan"),
    ({"firing_rate": 1.0}, "'firing_rate' parameter .* Got 1.0"),
    ({"firing_rate": 0.0}, "'firing_rate' parameter .* Got 0.0"),
    ({"skip_connections": None}, "'skip_connections' parameter .* Got None"),
    ({"sparsity_penalty": -1.0}, "'sparsity_penalty' parameter .* Got -1.0"),
    ({"weight_decay": -1.0}, "'weight_decay' parameter .* Got -1.0"),
    ({"weight_decay": None}, "'weight_decay' parameter .* Got None"),
    ({"input_dropout": 1.0}, "'input_dropout' parameter .* Got 1.0"),
    ({"input_dropout": None}, "'input_dropout' parameter .* Got None"),
    ({"early_stopping": "never"}, "'early_stopping' parameter .* Got 'never'"),
    ({"validation_fraction": 1.0}, "'validation_fraction' parameter .* Got 1.0"),
    ({"n_iter_no_change": 0}, "'n_iter_no_change' parameter .* Got 0"),
    ({"tol": -0.1}, "'tol' parameter .* Got -0.1"),
    ({"warm_start": "yes"}, "'warm_start' parameter .* Got 'yes'"),
    ({"device": "toaster"}, "device='toaster' can't be used .* Use device='auto' or 'cpu'"),
    ({"device": None}, "'device' parameter .* Got None"),
    ({"random_state": "lucky"}, "'random_state' parameter .* Got 'lucky'"),
    ({"verbose": -1}, "'verbose' parameter .* Got -1"),
    ({"checkpoint": 1}, "'checkpoint' parameter .* Got 1"),
    ({"categorical_features": np.array(["a"], dtype="T")}, "categorical_features .* without feat"),
    ({"categorical_features": [3]}, r"categorical_features .* must be in \[0, n_features - 1\]"),
    ({"categorical_features": ["a"]}, "categorical_features .* without feature names"),
    ({"categorical_features": [True]}, r"categorical_features .* must have shape \(n_features,\)"),
    ({"categorical_features": "all"}, "'categorical_features' parameter .* Got 'all'"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD_PARAMETERS, ids=lambda value: str(value))
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_bad_parameters(X, parameters, message, method):
    estimator = encoder(**parameters)
    before = state(estimator)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        getattr(estimator, method)(X)
    assert unchanged(estimator, before)


def test_bad_parameters_are_no_business_of_the_constructor():
    for parameters, _ in BAD_PARAMETERS:
        (name, value), *_ = parameters.items()
        assert getattr(encoder().set_params(**parameters), name) is value


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"feature": "mode"}, "feature.*'mode'"),
        ({"feature": "name"}, "feature.*'name'"),
        ({"layers": (7,)}, r"layers.*\(7,\)"),
        ({"layers": 1}, "layers.* 1"),
        ({"layers": "top"}, "layers.*'top'"),
        ({"sparse_output": "csr"}, "sparse_output.*'csr'"),
    ],
    ids=str,
)
def test_bad_parameters_after_fit(X, parameters, message):
    # What is emitted may be changed on a fitted encoder, so it is checked there as well.
    estimator = encoder().fit(X).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        estimator.transform(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate": -1.0}, "'learning_rate' parameter .* Got -1.0"),
        ({"batch_size": 0}, "'batch_size' parameter .* Got 0"),
        ({"optimizer": "sgd"}, "'optimizer' parameter .* Got 'sgd'"),
        ({"kl_weight": -1.0}, "'kl_weight' parameter .* Got -1.0"),
    ],
    ids=str,
)
def test_bad_parameters_between_the_calls_of_a_stream(X, parameters, message):
    streamed = encoder().partial_fit(X).set_params(**parameters)
    before = state(streamed)
    with pytest.raises(ValueError, match=message):
        streamed.partial_fit(X)
    assert unchanged(streamed, before)


# Tables


class NoBatches:
    def __iter__(self):
        return iter(())


def bad_tables():
    rows = np.ones((10, 3)) * np.arange(10)[:, None]
    with_inf = rows.copy()
    with_inf[3, 1] = np.inf
    return {
        "one row as 1d": (rows[0], ValueError, "Expected 2D array, got 1D array instead"),
        "scalar": (3.0, ValueError, "Expected 2D array, got scalar array instead"),
        "3d": (rows[None], ValueError, "Found array with dim 3"),
        "no rows": (rows[:0], ValueError, r"Found array with 0 sample\(s\)"),
        "no columns": (rows[:, :0], ValueError, r"0 feature\(s\)"),
        "inf": (with_inf, ValueError, "Input X contains infinity or a value too large"),
        "minus inf": (-with_inf, ValueError, "Input X contains infinity or a value too large"),
        "complex": (rows + 1j, ValueError, "Complex data not supported"),
        "strings and numbers": (
            np.array([["a", 1.0, 2.0], [3.0, 1.0, 2.0]], dtype=object),
            TypeError,
            "Column 0 .*strings.*numbers|Column 0 .*numbers.*strings",
        ),
        "dates": (np.full((4, 3), np.datetime64("2020-01-01")), TypeError, "Column 0 .*dat"),
        "sparse inf": (
            csr_array(with_inf),
            ValueError,
            r"Input X contains infinity or a value too large for .*float64.* in column 1\.",
        ),
        "iterator": (iter([rows]), TypeError, "X is an iterator .* can be read only once"),
        "no batches": (NoBatches(), ValueError, r"Found array with 0 sample\(s\)"),
    }


@pytest.mark.parametrize("name", bad_tables())
@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "transform", "score", "score_samples", "unit_summary"]
)
def test_bad_tables(X, name, method):
    table, kind, message = bad_tables()[name]
    estimators = [encoder().fit(X)] + ([encoder()] if "fit" in method else [])
    for estimator in estimators:
        before = state(estimator)
        with pytest.raises(kind, match=f"(?s){message}"):
            getattr(estimator, method)(table)
        assert unchanged(estimator, before)


@pytest.mark.parametrize("name", bad_tables())
def test_bad_tables_to_stop_on(X, name):
    table, kind, message = bad_tables()[name]
    estimator = encoder()
    before = state(estimator)
    message = re.sub(r"\bX\b", "X_val", message)
    with pytest.raises(kind, match=f"(?s){message}") as caught:
        estimator.fit(X, X_val=table)
    assert re.search(r"\bX_val\b", str(caught.value))
    assert not re.search(r"\bX\b", str(caught.value))
    assert unchanged(estimator, before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_numbers_near_the_largest_float(X, likelihood, method):
    for rows in (np.where(X > 0, 1.7e308, -1.7e308), np.where(X > 1, np.finfo(float).max, X)):
        estimator = encoder(likelihood=likelihood)
        before = state(estimator)
        with pytest.raises(ValueError, match=r"Column 0: .* values from -1e\+307 to 1e\+307"):
            getattr(estimator, method)(rows)
        assert unchanged(estimator, before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
@pytest.mark.parametrize("usual", [1e-10, 1.0, 1e307])
def test_the_largest_numbers_that_are_taken(X, tmp_path, likelihood, usual):
    rows = usual * np.tanh(X)
    rows[::20], rows[1::20], rows[5:9, 1] = 1e307, -1e307, np.nan
    estimator = encoder(likelihood=likelihood).fit(rows)
    estimator.save(tmp_path / "model")
    assert np.isfinite(estimator.impute(rows)).all()
    assert np.isfinite(estimator.transform(10 * rows)).all()


@pytest.mark.parametrize("n_columns", [2, 4])
@pytest.mark.parametrize("method", ["transform", "score", "score_samples", "unit_summary"])
def test_another_number_of_columns(X, fitted, method, n_columns):
    with pytest.raises(ValueError, match=f"X has {n_columns} features, but .* expecting 3 feat"):
        getattr(fitted, method)(np.ones((5, n_columns)))


def test_other_columns_to_stop_on(X):
    with pytest.raises(ValueError, match=r"^X_val has 2 features, but .* expecting 3 features"):
        encoder().fit(X, X_val=X[:, :2])


def test_negative_counts_to_stop_on(X):
    counts = np.abs(X).round()
    with pytest.raises(ValueError, match=r"^X_val: Column 0: .*'poisson' needs counts, but the"):
        encoder(likelihood="poisson").fit(counts, X_val=-1 - counts)
    # Those of rows that are held out of X are those of X.
    counts[3] = -1.0
    for early_stopping in (True, False):
        with pytest.raises(ValueError, match=r"^Column 0: likelihood 'poisson' needs counts"):
            encoder(likelihood="poisson", early_stopping=early_stopping).fit(counts)


def test_a_column_called_X_keeps_its_name_where_rows_to_stop_on_are_refused(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["X", "my X", "other"])
    infinite = frame.assign(X=np.inf, **{"my X": np.inf})
    with pytest.raises(ValueError, match=r"Input X_val contains .* in columns 'X', 'my X'"):
        encoder().fit(frame, X_val=infinite)
    with pytest.raises(ValueError, match=r"(?s)^X_val: The feature names should match.*- X\n"):
        encoder().fit(frame, X_val=frame.drop(columns="X"))


def test_one_row_can_not_be_held_out(X):
    with pytest.raises(ValueError, match=r"validation_fraction=0.1 holds out 1 of 1 samples"):
        encoder(early_stopping=True).fit(X[:1])


@pytest.mark.parametrize(
    "number", [0, -1, 1.5, "two", None, np.nan], ids=["0", "-1", "1.5", "two", "None", "nan"]
)
def test_bad_numbers(X, fitted, number):
    with pytest.raises(ValueError, match="n_importance_samples must be an int in the range"):
        fitted.score_samples(X, n_importance_samples=number)
    with pytest.raises(ValueError, match="Invalid value for 'n_samples'"):
        fitted.sample(number)


NEEDS_FIT = {
    "transform": lambda estimator, X: estimator.transform(X),
    "inverse_transform": lambda estimator, X: estimator.inverse_transform(X),
    "score": lambda estimator, X: estimator.score(X),
    "score_samples": lambda estimator, X: estimator.score_samples(X),
    "sample": lambda estimator, X: estimator.sample(),
    "unit_summary": lambda estimator, X: estimator.unit_summary(X),
    "get_feature_names_out": lambda estimator, X: estimator.get_feature_names_out(),
    "layer_slices_": lambda estimator, X: estimator.layer_slices_,
    "components_": lambda estimator, X: estimator.components_,
}


@pytest.mark.parametrize("name", NEEDS_FIT)
def test_needs_fit(X, name):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        NEEDS_FIT[name](encoder(), X)


def test_fitted_attributes_are_absent_before_fit():
    assert not [name for name in vars(encoder()) if name.endswith("_") or name.startswith("_")]
    assert not hasattr(encoder(), "components_")
    assert not hasattr(encoder(), "layer_slices_")


# Weights


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform", "score"])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(40), "Sample weights must contain at least one non-zero number"),
        (-np.ones(40), "Negative values in data passed to `sample_weight`"),
        (np.ones(39), r"sample_weight.shape == \(39,\), expected \(40,\)"),
        (np.full(40, np.nan), "sample_weight contains NaN"),
    ],
    ids=["zeros", "negative", "too few", "nan"],
)
def test_bad_weights(X, fitted, method, weights, message):
    estimator = fitted if method == "score" else encoder()
    before = state(estimator)
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(X, sample_weight=weights)
    assert unchanged(estimator, before)


def test_arguments_of_another_name(X):
    with pytest.raises(TypeError, match="unexpected keyword argument 'X_valid'"):
        encoder().fit(X, X_valid=X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'X_val'"):
        encoder().partial_fit(X, X_val=X)


# Data frames


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dates_are_refused_by_name(library):
    frames = pytest.importorskip(library)
    days = [datetime.date(2020, 1, 1)] * 3
    frame = frames.DataFrame({"height": [0.5, 1.5, 2.5], "day": days})
    estimator = encoder()
    before = state(estimator)
    with pytest.raises(TypeError, match="Column 'day' "):
        estimator.fit(frame)
    assert unchanged(estimator, before)


def test_intervals_are_refused_by_name():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": pd.interval_range(0, 40), "b": np.arange(40.0)})
    with pytest.raises(TypeError, match=r"Column 'a' \(dtype interval.*\) holds Interval values"):
        encoder().fit(frame)


def test_weights_that_no_memory_holds(X, monkeypatch):
    def too_large(architecture):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("skrgvae.fitting.Hierarchy", too_large)
    with pytest.raises(MemoryError, match=r"layer_sizes=\(4, 3\) over 3 columns need more memory"):
        encoder().fit(X)


def test_strings_where_no_column_may_be_categorical():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"height": [0.5, 1.5, 2.5], "city": ["Oslo", "Rome", "Oslo"]})
    with pytest.raises(
        ValueError, match="could not convert string to float: 'Oslo' in column 'city'"
    ):
        encoder(categorical_features=None).fit(frame)


def test_another_number_of_columns_in_a_later_batch(X):
    class Batches:
        def __iter__(self):
            yield X
            yield X[:, :2]

    with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 3 features"):
        encoder().fit(Batches())


def test_batches_that_change(X):
    class Batches:
        n_rows = 40

        def __iter__(self):
            self.n_rows -= 1
            yield X[: self.n_rows]

    with pytest.raises(ValueError, match=r"Block 0 of X had 38 rows .* and 37 now"):
        encoder().fit(Batches())


def read_only(shape):
    out = np.zeros(shape)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("out", "kind", "message"),
    [
        ([[0.0]], TypeError, "out must be an ndarray of floats. Got list"),
        (np.zeros((40, 7), int), TypeError, "out must be an ndarray of floats. Got one of int64"),
        (np.zeros((40, 6)), ValueError, r"out must .* have the shape \(40, 7\). Got \(40, 6\)"),
        (read_only((40, 7)), ValueError, r"out must be writeable .* Got \(40, 7\), read-only"),
    ],
    ids=["list", "ints", "shape", "read-only"],
)
def test_bad_places_for_features(X, fitted, out, kind, message):
    with pytest.raises(kind, match=message):
        fitted.transform(X, out=out)
    with pytest.raises(ValueError, match="out must be None with sparse_output=True"):
        encoder(sparse_output=True).fit(X).transform(X, out=np.zeros((40, 7)))


def test_features_are_not_written_over_rows_that_are_still_to_be_read(X, fitted):
    table = np.zeros((41, 10))
    table[:-1, :3] = X
    with pytest.raises(ValueError, match="out must not share memory with X"):
        fitted.transform(table[:-1, :3], out=table[1:, :7])
    # Columns beside those of X are no memory of it.
    np.testing.assert_array_equal(
        fitted.transform(table[:-1, :3], out=table[:-1, 3:]), fitted.transform(X)
    )


# A failed fit leaves the encoder as it was


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize(
    ("method", "fitted_before", "where"),
    [
        ("fit", False, "fitting.resolve_device"),
        ("fit", False, "fitting.initial_module"),
        ("fit", False, "fitting.train"),
        ("fit", True, "fitting.initial_module"),
        ("fit", True, "fitting.train"),
        ("partial_fit", False, "fitting.initial_module"),
        ("partial_fit", False, "stream.train_on"),
        ("partial_fit", True, "stream.train_on"),
    ],
)
def test_failure_on_the_way(X, monkeypatch, kind, method, fitted_before, where):
    def fails(*args, **kwargs):
        raise kind

    pd = pytest.importorskip("pandas")
    named = pd.DataFrame(X, columns=list("abc"))
    estimator = encoder()
    if fitted_before:
        estimator.fit(named).partial_fit(named)
    before = state(estimator)
    with monkeypatch.context() as patch:
        patch.setattr(f"skrgvae.{where}", fails)
        with pytest.raises(kind):
            # Fitted before, it fails on a table of another shape and without names.
            estimator.fit(X[:, :2]) if method == "fit" else estimator.partial_fit(named)
    assert unchanged(estimator, before)
    np.testing.assert_array_equal(estimator.fit(X).transform(X), encoder().fit(X).transform(X))


@pytest.mark.parametrize("fitted_before", [False, True])
def test_training_that_gives_no_finite_loss(X, monkeypatch, fitted_before):
    from skrgvae.training import Trainer

    noise = Trainer.noise
    estimator = encoder(max_iter=30, warm_start=True)
    features = estimator.fit(X).transform(X) if fitted_before else None
    before = state(estimator)
    monkeypatch.setattr(Trainer, "noise", lambda self, n_rows: noise(self, n_rows) * np.nan)
    with pytest.raises(ValueError, match=r"no finite loss.*smaller learning_rate"):
        estimator.fit(X)
    assert unchanged(estimator, before)
    if fitted_before:
        np.testing.assert_array_equal(estimator.transform(X), features)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("kl_weight", 1e30),
        ("kl_weight", 1e300),
        ("free_bits", 1e300),
        ("sparsity_penalty", 1e30),
        ("sparsity_penalty", 1e300),
        ("weight_decay", 1e30),
        ("weight_decay", 1e300),
        ("learning_rate", 1e300),
    ],
)
def test_a_parameter_so_large_that_nothing_is_finite_is_named(X, name, size):
    named = name if name == "learning_rate" else f"{name} ({size:g}), learning_rate"
    advised = re.escape(f"Try a smaller {named}, batch_norm=True, or")
    with pytest.raises(ValueError, match=f"no finite .*{advised}"):
        encoder(**{name: size}).fit(X)


def test_failed_fit_of_a_stream_keeps_the_stream(X):
    streamed = encoder().partial_fit(X)
    with pytest.raises(ValueError, match="infinity"):
        streamed.fit(np.full((4, 3), np.inf))
    expected = encoder().partial_fit(X).partial_fit(X).transform(X)
    np.testing.assert_array_equal(streamed.partial_fit(X).transform(X), expected)


def test_signatures_are_the_contract():
    assert list(inspect.signature(HierarchicalSparseEncoder.fit).parameters)[:4] == [
        "self",
        "X",
        "y",
        "X_val",
    ]
    assert list(inspect.signature(HierarchicalSparseEncoder.score_samples).parameters) == [
        "self",
        "X",
        "n_importance_samples",
    ]
