"""The whole study: folds, what came of them, and the verdict."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skrgvae import __version__
from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.persistence.atomic import write_atomically
from skrgvae.pilot.classifiers import CLASSIFIERS
from skrgvae.pilot.data import Data, check_data, is_constant
from skrgvae.pilot.fold import FEATURES, Task, draw_stratified, study_fold
from skrgvae.pilot.intervals import corrected_interval
from skrgvae.pilot.leaks import find_leaks
from skrgvae.pilot.records import (
    Cost,
    Damage,
    DataSummary,
    Encoder,
    FoldValues,
    Layer,
    PilotResult,
    Scores,
    Settings,
    Unit,
    Value,
    Worth,
)
from skrgvae.pilot.scores import DECIDING
from skrgvae.pilot.verdict import judge
from skrgvae.pilot.worth import Payoff
from skrgvae.recipe import SEARCHING

# The quick look: some 1,000 steps of training, and rows that leave time for the classifiers.
_QUICK_STEPS, _MOST_EPOCHS = 1000, 200
_QUICK_ROWS = 10_000


def run_pilot(
    X: Any,
    y: Any,
    *,
    feature_names: Sequence[str] | None = None,
    quick: bool = False,
    search: bool = False,
    labels: Sequence[int] = (100, 1000),
    score: str = "auto",
    smallest_gain: float = 0.01,
    confidence: float = 0.95,
    payoff: Payoff | None = None,
    encoder: HierarchicalSparseEncoder | None = None,
    n_splits: int = 5,
    n_repeats: int = 2,
    folder: str | os.PathLike[str] | None = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> PilotResult:
    """Tell whether the encoder's features pay, against the raw columns and PCA.

    Three sets of features meet logistic regression and gradient boosting in a repeated stratified
    cross-validation: the raw columns, their principal components (95 % of the variance), and what
    the encoder emits. Whatever needs no labels (encoder, PCA, standardisation) is fitted once per
    fold, on all its training rows and on none of its test rows; the classifiers are then fitted on
    a few labelled training rows and on all of them. So the comparison with few labels is
    semi-supervised, as in a project where rows are plenty and labels dear; the raw columns and PCA
    get the same benefit.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Numbers, or a pandas data frame whose columns may also hold categories or text. Cells may
        be missing. Text columns that name the rows are left out.
    y : array-like of shape (n_samples,)
        Class labels; every class needs at least `n_splits` rows.
    feature_names : sequence of str, default=None
        Of the columns of an array; None: their positions. A data frame has its own.
    quick : bool, default=False
        A first look: at most 10,000 rows, drawn in proportion to the classes (with the rows of the
        rarest that folds need), and about 1,000
        steps of training.
    search : bool, default=False
        Whether every fold first searches the encoder's layer sizes, by successive halving within
        its training rows.
    labels : sequence of int, default=(100, 1000)
        Numbers of labelled rows to compare at, beside all. They are drawn from a fold's training
        rows in proportion to the classes, but at least one of every class, up to three times.
        Those that leave no training row unlabelled are left out.
    score : {"auto", "auc", "f1", "balanced_accuracy"}, default="auto"
        What decides. "auto": the area under the ROC curve for two classes, the mean F1 for more.
    smallest_gain : float, default=0.01
        Difference of `score` from which the features are worth having.
    confidence : float, default=0.95
        Of the intervals, all numbers of labels together.
    payoff : Payoff, default=None
        Gain and cost of alarms in money.
    encoder : HierarchicalSparseEncoder, default=None
        Cloned for every fold and given the fold's seed. None: one with default parameters; for a
        quick look one with automatic layer sizes and a short training.
    n_splits, n_repeats : int, default=5 and 2
        Folds of the cross-validation, and how often it is done.
    folder : str or path-like, default=None
        Where finished folds are kept, and the encoders' checkpoints. The same study started again
        with it goes on from there.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, the labelled rows and the encoder's seeds. To go on from a folder it
        must be an integer.
    n_jobs : int, default=None
        Folds studied at a time, each with one thread, as in scikit-learn: None is 1, -1 is one
        for each core. The figures do not depend on it.
    progress : callable, default=None
        Called after every fold with the number of folds done and the number of all.

    Returns
    -------
    PilotResult
        Every figure, per fold.

    Raises
    ------
    ValueError
        If there is nothing to compare, or a parameter doesn't fit the data.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.pilot import run_pilot
    >>> X, y = load_digits(return_X_y=True)
    >>> small = HierarchicalSparseEncoder(layer_sizes=(16, 8), max_iter=2)
    >>> result = run_pilot(
    ...     X[:400] / 16, y[:400], quick=True, encoder=small, n_splits=2, n_repeats=1
    ... )
    >>> result.verdict.decision in ("pays", "does_not_pay", "cannot_tell")
    True
    """
    started = perf_counter()
    data = check_data(X, y, feature_names)
    rng = check_random_state(random_state)
    split_seed, draw_seed, *fold_seeds = rng.randint(
        2**31 - 1, size=2 + n_splits * n_repeats
    ).tolist()
    n_given = data.y.size
    if quick and n_given > _QUICK_ROWS:
        rng_of_draw = np.random.RandomState(draw_seed)
        drawn = draw_stratified(data.y, _QUICK_ROWS, rng_of_draw, _least(n_splits, payoff))
        data = data.drawn(np.sort(drawn))
    positive = _positive(data, payoff)
    _check_parameters(data, labels, score, smallest_gain, confidence, n_splits, n_repeats, payoff)
    encoder = _encoder(encoder, quick, data.y.size)
    n_train = int(data.y.size * (1 - 1 / n_splits))
    settings = Settings(
        quick=quick,
        search=search,
        n_splits=n_splits,
        n_repeats=n_repeats,
        labels=tuple(sorted(size for size in labels if size < n_train)),
        score=("auc" if data.classes.size == 2 else "f1") if score == "auto" else score,
        smallest_gain=float(smallest_gain),
        confidence=float(confidence),
    )
    splits = RepeatedStratifiedKFold(
        n_splits=n_splits, n_repeats=n_repeats, random_state=split_seed
    ).split(np.empty(data.y.size), data.y)
    tasks = [
        Task(
            train=train,
            test=test,
            encoder=encoder,
            search=search,
            quick=quick,
            labels=settings.labels,
            score=settings.score,
            positive=positive,
            payoff=payoff,
            seed=seed,
            describe_units=place == 0,
        )
        for place, ((train, test), seed) in enumerate(zip(splits, fold_seeds, strict=True))
    ]
    leaks = find_leaks(data, draw_seed)
    folds = []
    for fold in _studied(data, tasks, folder, n_jobs):
        folds.append(fold)
        if progress is not None:
            progress(len(folds), len(tasks))

    scores = _scores(folds, settings)
    return PilotResult(
        data=_summary(data, n_given, positive, leaks),
        settings=settings,
        seeds={"split": split_seed, "draw": draw_seed, "folds": fold_seeds},
        verdict=judge(scores, leaks, settings),
        scores=scores,
        damage=_damage(folds),
        costs=_costs(folds),
        value=_value(folds, data, positive, payoff, settings),
        units=tuple(
            Unit(**{**unit, "columns": tuple(unit["columns"]), "effects": tuple(unit["effects"])})
            for unit in folds[0]["units"]
        ),
        encoder=_learned(folds, encoder),
        seconds=perf_counter() - started,
        versions=_versions(),
        machine={"processor": _processor(), "cores": os.cpu_count()},
    )


def _encoder(encoder, quick, n_rows):
    if encoder is not None:
        return encoder
    if not quick:
        return HierarchicalSparseEncoder()
    encoder = HierarchicalSparseEncoder(layer_sizes="auto")
    epochs = _QUICK_STEPS // -(-n_rows // SEARCHING.batch_size)
    return encoder.set_params(max_iter=min(max(epochs, 1), _MOST_EPOCHS))


def _check_parameters(data, labels, score, smallest_gain, confidence, n_splits, n_repeats, payoff):
    """Refuse what the data can't give."""
    counts = np.bincount(data.y)
    if n_splits < 2:
        raise ValueError(f"n_splits must be at least 2. Got {n_splits}.")
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1. Got {n_repeats}.")
    least = _least(n_splits, payoff)
    if counts.min() < least:
        rare = ", ".join(
            f"{name} ({count})"
            for name, count in zip(data.classes, counts, strict=True)
            if count < least
        )
        raise ValueError(
            f"every class of the target needs at least {least} rows; too few have: {rare}. Merge"
            " rare classes or leave their rows out"
        )
    if labels and min(labels) < data.classes.size:
        raise ValueError(
            f"labels must be at least the number of classes, {data.classes.size}. Got"
            f" {min(labels)}."
        )
    if not 0 <= smallest_gain < np.inf:
        raise ValueError(f"smallest_gain must be a number from 0 on. Got {smallest_gain!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1. Got {confidence!r}.")
    if score not in ("auto", *DECIDING):
        raise ValueError(f"score must be 'auto' or one of {DECIDING}. Got {score!r}.")


def _least(n_splits: int, payoff: Payoff | None) -> int:
    """Rows that every class must have."""
    # Alarms need an inner cross-validation within the training rows.
    return n_splits if payoff is None else max(n_splits, 6)


def _positive(data: Data, payoff: Payoff | None) -> int | None:
    """Position of the class that F1 (of two) and alarms are about."""
    if payoff is not None and payoff.positive is not None:
        names = [str(name) for name in data.classes]
        if payoff.positive not in names:
            raise ValueError(
                f"the target has no class {payoff.positive!r}; there are {', '.join(names)}"
            )
        return names.index(payoff.positive)
    counts = np.bincount(data.y)
    if payoff is not None and (len(counts) > 2 or counts[0] == counts[1]):
        raise ValueError(
            "with more than two classes, or as many rows of both, it must be said which one alarms"
            " are for"
        )
    if len(counts) == 2:
        return int(np.argmin(counts))
    return None


def _studied(
    data: Data, tasks: Sequence[Task], folder: str | os.PathLike[str] | None, n_jobs: int | None
) -> Iterator[dict[str, Any]]:
    """The folds in order, those that a folder holds taken from there."""
    parallel = Parallel(n_jobs=min(len(tasks), effective_n_jobs(n_jobs)), return_as="generator")
    if folder is None:
        yield from parallel(delayed(study_fold)(data, task) for task in tasks)
        return
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    yield from parallel(delayed(_kept_fold)(data, task, folder) for task in tasks)


def _kept_fold(data: Data, task: Task, folder: Path) -> dict[str, Any]:
    """A fold from its file; or studied, and then kept there."""
    file = folder / f"fold-{_fingerprint(data, task)}.json"
    if file.is_file():
        with suppress(ValueError):  # a damaged one is studied anew
            return json.loads(file.read_bytes())
    encoder = clone(task.encoder)
    if encoder.checkpoint is None:
        encoder.set_params(checkpoint=str(folder / "checkpoints"))
    fold = study_fold(data, replace(task, encoder=encoder))
    write_atomically(file, json.dumps(fold).encode())
    return fold


def _fingerprint(data: Data, task: Task) -> str:
    """The same for the same fold of the same study, in whatever process."""
    arrays = {"train": task.train, "test": task.test, "y": data.y}
    arrays |= {f"X {name}": data.column(place) for place, name in enumerate(data.names)}
    parameters = sorted(task.encoder.get_params().items())
    asked = {field.name: getattr(task, field.name) for field in fields(task)}
    plain = {name: value for name, value in asked.items() if name not in ("encoder", *arrays)}
    digest = sha256(repr([plain, parameters, __version__]).encode())
    for name, array in arrays.items():
        digest.update(name.encode())
        # Of an array of objects, the bytes would be addresses.
        digest.update(np.asarray(array, dtype=str).tobytes())
    return digest.hexdigest()[:32]


def _over(records: Sequence[dict[str, Any]], key: str) -> FoldValues:
    return FoldValues(tuple(record[key] for record in records))


def _scores(folds, settings):
    figures = [
        field.name
        for field in fields(Scores)
        if field.name not in ("features", "classifier", "labels")
    ]
    found = []
    for labels in (*settings.labels, "all"):
        for features in FEATURES:
            for classifier in CLASSIFIERS:
                here = [
                    fold["features"][features]["scores"][classifier][str(labels)] for fold in folds
                ]
                over = {name: _over(here, name) for name in figures}
                found.append(
                    Scores(features=features, classifier=classifier, labels=labels, **over)
                )
    return tuple(found)


def _damage(folds):
    found = []
    for features in FEATURES:
        measured = [fold["features"][features]["damage"] for fold in folds]
        for same in zip(*measured, strict=True):
            first = same[0]
            found.append(
                Damage(
                    features,
                    first["classifier"],
                    first["kind"],
                    first["share"],
                    _over(same, "score"),
                )
            )
    return tuple(found)


def _costs(folds):
    found = []
    for features in FEATURES:
        here = [fold["features"][features] for fold in folds]
        classify = {
            name: _over([one["classify_seconds"] for one in here], name) for name in CLASSIFIERS
        }
        names = ("n_features", "fit_seconds", "million_seconds")
        over = {name: _over(here, name) for name in names}
        found.append(Cost(features, **over, classify_seconds=classify))
    return tuple(found)


def _value(folds, data, positive, payoff, settings):
    if payoff is None:
        return None
    worths = []
    for features in FEATURES:
        for classifier in CLASSIFIERS:
            here = [fold["features"][features]["worth"][classifier] for fold in folds]
            names = ("per_thousand", "alarms", "precision", "recall")
            worths.append(
                Worth(features, classifier, **{name: _over(here, name) for name in names})
            )
    places = sorted(range(len(worths)), key=lambda place: -worths[place].per_thousand.mean)
    ours = next(place for place in places if worths[place].features == "encoder")
    other = next(place for place in places if worths[place].features != "encoder")
    differences = np.subtract(worths[ours].per_thousand.values, worths[other].per_thousand.values)
    is_positive = data.y == positive
    return Value(
        positive=str(data.classes[positive]),
        gain=payoff.gain,
        cost=payoff.cost,
        currency=payoff.currency,
        always=payoff.per_thousand(np.ones_like(is_positive), is_positive),
        worths=tuple(worths),
        best=ours,
        reference=other,
        difference=corrected_interval(differences, 1 / settings.n_splits, settings.confidence),
    )


def _learned(folds, encoder):
    found = [fold["encoder"] for fold in folds]
    # Layer sizes may differ from fold to fold: told is of the layers that all have.
    depth = min(len(one["layers"]) for one in found)
    return Encoder(
        parameters=" ".join(repr(encoder).split()),
        layer_sizes=tuple(tuple(one["layer_sizes"]) for one in found),
        elbo=_over(found, "elbo"),
        epochs=_over(found, "epochs"),
        layers=tuple(
            Layer(
                found[0]["layers"][index]["layer"],
                **{
                    key: _over([one["layers"][index] for one in found], key)
                    for key in ("units", "used", "zero_share")
                },
            )
            for index in range(depth)
        ),
    )


def _summary(data, n_given, positive, leaks):
    missing = data.missing()
    counts = np.bincount(data.y)
    columns = range(len(data.names))
    return DataSummary(
        n_rows=n_given,
        n_columns=len(data.names) + len(data.set_aside),
        n_studied=data.y.size,
        n_numeric=int(np.sum(~data.categorical)),
        n_categorical=int(np.sum(data.categorical)),
        missing_share=float(missing.mean()),
        n_incomplete=int(missing.any(axis=0).sum()),
        constant=tuple(data.names[place] for place in columns if is_constant(data.column(place))),
        set_aside=data.set_aside,
        class_counts={
            str(name): int(count) for name, count in zip(data.classes, counts, strict=True)
        },
        positive=None if positive is None else str(data.classes[positive]),
        leaks=leaks,
    )


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("scikit-learn", "torch", "numpy", "scipy")}
    return {"skrgvae": __version__, "python": platform.python_version(), **packages}


def _processor() -> str:
    information = Path("/proc/cpuinfo")  # on Linux, where platform.processor() may be empty
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
