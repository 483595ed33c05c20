"""The pilot study, which tells whether the features pay in front of a linear classifier.

Three sets of features meet the same classifier on the same folds: the raw columns, principal
components, and what :class:`~skrgvae.HierarchicalSparseEncoder` emits. Nothing is printed here;
the command line shows what comes back.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from skrgvae import __version__
from skrgvae.estimator import HierarchicalSparseEncoder

#: Version of what `PilotResult.to_dict` puts out; a field that changes its meaning raises it.
SCHEMA_VERSION = 1

METHODS = ("raw", "pca", "encoder")

# All components would do PCA no favour: the classifier sees standardised inputs, which blows the
# components of least variance up to the size of the others (digits, 100 labels: accuracy .77 with
# all of them, .82 with these).
_PCA_VARIANCE = 0.95
# Length of a training where none is asked for.
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 1000, 20, 200


@dataclass(frozen=True)
class FoldValues:
    """One figure, measured on every fold."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.values))

    @property
    def std(self) -> float:
        """Sample standard deviation over the folds."""
        return float(np.std(self.values, ddof=1))

    def to_dict(self) -> dict[str, Any]:
        """Mean, standard deviation and the values themselves."""
        return {"mean": self.mean, "std": self.std, "folds": list(self.values)}


@dataclass(frozen=True)
class Scores:
    """The classifier on the test rows, at one number of labelled training rows.

    `auc` is the area under the ROC curve; with more than two classes, the mean over each class
    against the rest. `converged` is false for a fold whose classifier ran out of iterations.
    """

    n_labels: FoldValues
    accuracy: FoldValues
    macro_f1: FoldValues
    auc: FoldValues
    converged: FoldValues


@dataclass(frozen=True)
class Method:
    """One set of features; `transform_seconds` is the time for all rows of the data."""

    name: str
    n_features: FoldValues
    fit_seconds: FoldValues
    transform_seconds: FoldValues
    few_labels: Scores | None
    all_labels: Scores


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder (0 = bottom), its units looked at on the test rows.

    `zero_share` is the share of exact zeros among what the layer's units emit.
    """

    layer: int
    units: FoldValues
    used: FoldValues
    zero_share: FoldValues


@dataclass(frozen=True)
class Encoder:
    """What the encoder learned: `elbo` is on the test rows, in nats per row."""

    parameters: str
    elbo: FoldValues
    epochs: FoldValues
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class PilotResult:
    """What `run_pilot` found.

    Attributes
    ----------
    n_rows, n_columns : int
        Shape of the data.
    class_counts : dict of str to int
        Rows of each class.
    n_folds : int
        Folds of the cross-validation.
    seeds : dict
        `"split"` made the folds; `"folds"` holds one seed per fold, for its encoder and its draw
        of labelled rows.
    methods : tuple of Method
        One for each name in `METHODS`, in that order.
    encoder : Encoder
        Bound and layers.
    seconds : float
        The whole study.
    versions : dict of str to str
        Of Python and the packages that matter.
    """

    n_rows: int
    n_columns: int
    class_counts: dict[str, int]
    n_folds: int
    seeds: dict[str, Any]
    methods: tuple[Method, ...]
    encoder: Encoder
    seconds: float
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Everything in dicts, lists, strings and numbers, ready for JSON."""
        return {"schema_version": SCHEMA_VERSION, **_plain(self)}


def run_pilot(
    X: Any,
    y: Any,
    *,
    few_labels: int = 100,
    encoder: HierarchicalSparseEncoder | None = None,
    cv: int = 5,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> PilotResult:
    """Compare raw columns, PCA and the encoder's features in front of logistic regression.

    Whatever needs no labels (the encoder, PCA, the standardisation of the classifier's inputs) is
    fitted once per fold, on all its training rows and on none of its test rows; the classifier is
    then fitted twice, on a few labelled training rows and on all of them. So the comparison with
    few labels is semi-supervised, as in a project where rows are plenty and labels dear; the raw
    columns and PCA get the same benefit. PCA works on standardised columns and keeps 95 % of their
    variance.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Complete, finite numbers.
    y : array-like of shape (n_samples,)
        Class labels; every class needs at least `cv` rows.
    few_labels : int, default=100
        Labelled rows of the first comparison, drawn from each fold's training rows in proportion
        to the classes, but at least one of every class. The comparison is left out where a fold
        has no more training rows than that.
    encoder : HierarchicalSparseEncoder, default=None
        Cloned for every fold and given the fold's seed. None: one with default parameters but
        for `max_iter`, which is set to some 1,000 steps in 20 to 200 epochs: a first look.
    cv : int, default=5
        Number of folds.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, the labelled rows and the encoder's seeds.
    n_jobs : int, default=None
        Folds studied at a time, each with one thread, as in scikit-learn: None is 1, -1 is one
        for each core. The figures do not depend on it.
    progress : callable, default=None
        Called after every fold with the number of folds done and the number of all.

    Returns
    -------
    PilotResult
        Every figure, per fold.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.pilot import run_pilot
    >>> X, y = load_digits(return_X_y=True)
    >>> small = HierarchicalSparseEncoder(layer_sizes=(16, 8), max_iter=2)
    >>> result = run_pilot(X / 16, y, encoder=small, cv=2, random_state=0)
    >>> raw, pca, encoder = result.methods
    >>> raw.all_labels.accuracy.mean > 0.9
    True
    >>> encoder.n_features.values
    (24, 24)
    """
    started = perf_counter()
    X, classes, y, counts = _checked(X, y, few_labels, cv)
    encoder = _first_look(len(X)) if encoder is None else encoder
    split_seed, *fold_seeds = (
        check_random_state(random_state).randint(2**31 - 1, size=1 + cv).tolist()
    )

    splits = list(StratifiedKFold(cv, shuffle=True, random_state=split_seed).split(X, y))
    n_labelled = few_labels if all(few_labels < train.size for train, _ in splits) else None
    folds = Parallel(n_jobs=min(cv, effective_n_jobs(n_jobs)), return_as="generator")(
        delayed(_study_fold)(X, y, train, test, encoder, n_labelled, seed)
        for (train, test), seed in zip(splits, fold_seeds, strict=True)
    )
    measured: list[dict[str, Any]] = []
    learned: list[dict[str, Any]] = []
    for by_method, of_encoder in folds:
        measured.append(by_method)
        learned.append(of_encoder)
        if progress is not None:
            progress(len(learned), cv)

    return PilotResult(
        n_rows=X.shape[0],
        n_columns=X.shape[1],
        class_counts={str(name): int(count) for name, count in zip(classes, counts, strict=True)},
        n_folds=cv,
        seeds={"split": split_seed, "folds": fold_seeds},
        methods=tuple(_method(name, [fold[name] for fold in measured]) for name in METHODS),
        encoder=Encoder(
            parameters=" ".join(repr(encoder).split()),
            elbo=_over_folds(learned, "elbo"),
            epochs=_over_folds(learned, "epochs"),
            layers=_layers([record["layers"] for record in learned]),
        ),
        seconds=perf_counter() - started,
        versions=_versions(),
    )


def _first_look(n_rows: int) -> HierarchicalSparseEncoder:
    """An encoder that trains for a fraction of the default's time."""
    encoder = HierarchicalSparseEncoder()
    epochs = _STEPS // -(-n_rows // encoder.batch_size)
    return encoder.set_params(max_iter=min(max(epochs, _LEAST_EPOCHS), _MOST_EPOCHS))


def _checked(X, y, few_labels, cv):
    """Validated X, the classes, y as positions in them, and the rows of each."""
    X = check_array(X, dtype=[np.float64, np.float32], ensure_min_samples=2)
    y = column_or_1d(y)
    check_consistent_length(X, y)
    if (X == X[0]).all():
        raise ValueError("every column of X is constant: there is nothing to learn from")
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if classes.size < 2:
        raise ValueError(
            f"the target has a single class, {classes[0]}: there is nothing to compare"
        )
    if cv < 2:
        raise ValueError(f"cv must be at least 2, got {cv}")
    if counts.min() < cv:
        rare = ", ".join(
            f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if count < cv
        )
        raise ValueError(
            f"every class of the target needs at least {cv} rows, one per fold; too few have:"
            f" {rare}. Merge rare classes or leave their rows out"
        )
    if few_labels < classes.size:
        raise ValueError(
            f"few_labels must be at least the number of classes, {classes.size}, got {few_labels}"
        )
    return X, classes, codes, counts


def _draw_stratified(y: np.ndarray, size: int, rng: np.random.RandomState) -> np.ndarray:
    """Positions of `size` rows, in proportion to the classes but at least one of each.

    `y` holds codes from 0. Every row is placed at (its random rank within its class) / (rows of
    the class); the rows placed first are drawn.
    """
    order = rng.permutation(y.size)
    by_class = order[np.argsort(y[order], kind="stable")]
    counts = np.bincount(y)
    rank = np.arange(y.size) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty(y.size)
    place[by_class] = rank / np.repeat(counts, counts)
    return order[np.argsort(place[order], kind="stable")[:size]]


def _study_fold(X, y, train, test, encoder, few_labels, seed):
    """Every figure of one fold: of each method by name, and of what the encoder learned."""
    labelled = {"all_labels": np.arange(train.size)}
    if few_labels is not None:
        labelled["few_labels"] = _draw_stratified(
            y[train], few_labels, np.random.RandomState(seed)
        )
    encoder = clone(encoder).set_params(random_state=seed)
    transformers = {
        "raw": FunctionTransformer(),
        "pca": make_pipeline(StandardScaler(), PCA(_PCA_VARIANCE)),
        "encoder": encoder,
    }
    with _one_thread(), config_context(transform_output="default"):
        measured = {
            name: _measure(transformers[name], X, y, train, test, labelled) for name in METHODS
        }
        return measured, _inspect(encoder, X[test])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread.

    Figures are then the same on any number of cores. And threads gain little on products this
    small, but cost ten to forty times the time where another process wants the cores.
    """
    import torch  # takes seconds, which nobody should wait for who only has wrong data

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _measure(transformer, X, y, train, test, labelled):
    """Time and test scores of one set of features on one fold.

    `labelled` maps the name of a label budget to positions within the training rows.
    """
    start = perf_counter()
    transformer.fit(X[train])
    fitted = perf_counter()
    Z_train, Z_test = transformer.transform(X[train]), transformer.transform(X[test])
    transformed = perf_counter()
    # Needs no labels, so it sees all training rows: a unit that is off in every labelled row still
    # gets its scale.
    scaler = StandardScaler().fit(Z_train)
    Z_train, Z_test = scaler.transform(Z_train), scaler.transform(Z_test)
    return {
        "n_features": Z_train.shape[1],
        "fit_seconds": fitted - start,
        "transform_seconds": transformed - fitted,
        "scores": {
            budget: _classify(Z_train[rows], y[train][rows], Z_test, y[test])
            for budget, rows in labelled.items()
        },
    }


def _classify(Z_train, y_train, Z_test, y_test):
    classifier = LogisticRegression(max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported as a figure instead
        classifier.fit(Z_train, y_train)
    predicted, probability = classifier.predict(Z_test), classifier.predict_proba(Z_test)
    return {
        "n_labels": y_train.size,
        "accuracy": accuracy_score(y_test, predicted),
        "macro_f1": f1_score(y_test, predicted, average="macro", zero_division=0),
        "auc": roc_auc_score(
            y_test,
            probability[:, 1] if probability.shape[1] == 2 else probability,
            multi_class="ovr",
        ),
        "converged": classifier.n_iter_.max() < classifier.max_iter,
    }


def _inspect(encoder, X_test):
    """Bound and units of a fitted encoder on rows it has not seen."""
    summary = encoder.unit_summary(X_test)
    layer, used, zero_share = (np.asarray(summary[key]) for key in ("layer", "used", "zero_share"))
    return {
        "elbo": encoder.score(X_test),
        "epochs": encoder.n_iter_,
        "layers": [
            {
                "units": np.sum(layer == index),
                "used": np.sum(used[layer == index]),
                "zero_share": np.mean(zero_share[layer == index]),
            }
            for index in np.unique(layer)
        ],
    }


def _over_folds(records: list[dict[str, Any]], key: str) -> FoldValues:
    return FoldValues(tuple(np.asarray(record[key]).item() for record in records))


def _method(name: str, records: list[dict[str, Any]]) -> Method:
    def scores(budget: str) -> Scores:
        found = [record["scores"][budget] for record in records]
        return Scores(**{field.name: _over_folds(found, field.name) for field in fields(Scores)})

    return Method(
        name=name,
        n_features=_over_folds(records, "n_features"),
        fit_seconds=_over_folds(records, "fit_seconds"),
        transform_seconds=_over_folds(records, "transform_seconds"),
        few_labels=scores("few_labels") if "few_labels" in records[0]["scores"] else None,
        all_labels=scores("all_labels"),
    )


def _layers(records: list[list[dict[str, Any]]]) -> tuple[Layer, ...]:
    """`records`: per fold, per layer."""
    return tuple(
        Layer(
            index,
            **{key: _over_folds(list(folds), key) for key in ("units", "used", "zero_share")},
        )
        for index, folds in enumerate(zip(*records, strict=True))
    )


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("scikit-learn", "torch", "numpy", "scipy")}
    return {"skrgvae": __version__, "python": platform.python_version(), **packages}


def _plain(value: Any) -> Any:
    if isinstance(value, FoldValues):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
