"""The whole study: folds, what came of them, and the verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.utils import check_random_state

from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.pilot.checks import (
    check_classes,
    check_parameters,
    check_searchable,
    least_rows,
    positive_class,
)
from skrgvae.pilot.data import check_data
from skrgvae.pilot.draws import draw_stratified
from skrgvae.pilot.fold import Task
from skrgvae.pilot.kept_folds import studied_folds
from skrgvae.pilot.leaks import find_leaks
from skrgvae.pilot.machine import processor, versions
from skrgvae.pilot.records import PilotResult, Settings
from skrgvae.pilot.results import (
    collect_costs,
    collect_damage,
    collect_encoder,
    collect_scores,
    collect_units,
    collect_value,
    summarise_data,
)
from skrgvae.pilot.verdict import judge
from skrgvae.pilot.worth import Payoff
from skrgvae.recipe import SEARCHING

# The quick look: a training that would take so many steps on all rows studied (a fold trains on a
# part of them), and rows that leave time for the classifiers.
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
        Of the columns of an array, all different; None: their positions. A data frame has its own.
    quick : bool, default=False
        A first look: at most 10,000 rows, drawn in proportion to the classes (with the rows of the
        rarest that folds need), gradient boosting cut short, and, where `encoder` is None, a short
        training.
    search : bool, default=False
        Whether every fold first searches the encoder's layer sizes, by successive halving within
        its training rows.
    labels : sequence of int, default=(100, 1000)
        Numbers of labelled rows to compare at, beside all. They are drawn from a fold's training
        rows in proportion to the classes, but at least one of every class, up to three times.
        Those that leave no training row unlabelled are left out, and equal ones are one.
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
        quick look one with automatic layer sizes and a training of some 800 steps on the rows of
        four folds of five, in at most 200 epochs.
    n_splits, n_repeats : int, default=5 and 2
        Folds of the cross-validation, and how often it is done.
    folder : str or path-like, default=None
        Where finished folds are kept, and the checkpoints of the others. The same study started
        again with it goes on from there; it must not run twice at a time.
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
    TypeError
        If a column, or the labels, hold anything but strings or numbers, or both; if `encoder` is
        something else.

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
    check_parameters(labels, score, smallest_gain, confidence, n_splits, n_repeats)
    data = check_data(X, y, feature_names)
    rng = check_random_state(random_state)
    split_seed, draw_seed, *fold_seeds = rng.randint(
        2**31 - 1, size=2 + n_splits * n_repeats
    ).tolist()
    n_given = data.y.size
    if quick and n_given > _QUICK_ROWS:
        rng_of_draw = np.random.RandomState(draw_seed)
        drawn = draw_stratified(data.y, _QUICK_ROWS, rng_of_draw, least_rows(n_splits, payoff))
        data = data.drawn(np.sort(drawn))
    positive = positive_class(data, payoff)
    check_classes(data, labels, n_splits, payoff)
    encoder = _encoder(encoder, quick, data.y.size)
    if search:
        check_searchable(encoder)
    n_train = int(data.y.size * (1 - 1 / n_splits))
    settings = Settings(
        quick=quick,
        search=search,
        n_splits=n_splits,
        n_repeats=n_repeats,
        labels=tuple(sorted({int(size) for size in labels if size < n_train})),
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
            settings=settings,
            positive=positive,
            payoff=payoff,
            seed=seed,
            describe_units=place == 0,
        )
        for place, ((train, test), seed) in enumerate(zip(splits, fold_seeds, strict=True))
    ]
    leaks = find_leaks(data, draw_seed)
    folds = []
    for fold in studied_folds(data, tasks, folder, n_jobs):
        folds.append(fold)
        if progress is not None:
            progress(len(folds), len(tasks))

    scores = collect_scores(folds, settings)
    return PilotResult(
        data=summarise_data(data, n_given, positive, leaks),
        settings=settings,
        seeds={"split": split_seed, "draw": draw_seed, "folds": fold_seeds},
        verdict=judge(scores, leaks, settings),
        scores=scores,
        damage=collect_damage(folds),
        costs=collect_costs(folds),
        value=collect_value(folds, data, positive, payoff, settings),
        units=collect_units(folds[0]),
        encoder=collect_encoder(folds, encoder),
        seconds=perf_counter() - started,
        versions=versions(),
        machine={"processor": processor(), "cores": os.cpu_count()},
    )


def _encoder(
    encoder: HierarchicalSparseEncoder | None, quick: bool, n_rows: int
) -> HierarchicalSparseEncoder:
    """The encoder given, or the one that a study of so many rows takes."""
    if encoder is not None:
        if not isinstance(encoder, HierarchicalSparseEncoder):
            raise TypeError(
                "encoder must be a HierarchicalSparseEncoder or None. "
                f"Got {type(encoder).__name__}."
            )
        return encoder
    if not quick:
        return HierarchicalSparseEncoder()
    encoder = HierarchicalSparseEncoder(layer_sizes="auto")
    epochs = _QUICK_STEPS // -(-n_rows // SEARCHING.batch_size)
    return encoder.set_params(max_iter=min(max(epochs, 1), _MOST_EPOCHS))
