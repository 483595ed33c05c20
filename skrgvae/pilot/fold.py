"""Everything that is measured on one fold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.pilot.classifiers import CLASSIFIERS, Fitted, fit_classifier
from skrgvae.pilot.data import Data, damaged, feature_makers, take
from skrgvae.pilot.draws import draw_stratified
from skrgvae.pilot.records import FEATURES, Settings
from skrgvae.pilot.scores import all_scores, deciding_score
from skrgvae.pilot.search import with_searched_sizes
from skrgvae.pilot.units import describe_units, important_units
from skrgvae.pilot.worth import Payoff, best_threshold, inner_probability, measure_worth

#: Shares of damaged cells.
DAMAGED_SHARES = (0.1, 0.3)

# One draw of a hundred labelled rows says little; the mean over a few is steadier.
_MAX_DRAWS = 3
# Rows that scoring is timed on, at least.
_TIMED_ROWS = 5000


@dataclass(frozen=True)
class Task:
    """One fold: the positions of its rows, what to train, and what to ask.

    `describe_units` is for one fold alone: every fold has units of its own.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    encoder: HierarchicalSparseEncoder
    settings: Settings
    positive: int | None
    payoff: Payoff | None
    seed: int
    describe_units: bool


def study_fold(data: Data, task: Task) -> dict[str, Any]:
    """Every figure of one fold, in dicts and lists that JSON can hold.

    Parameters
    ----------
    data : Data
    task : Task
    """
    # The features are centred, which would fill a sparse matrix up anyway.
    encoder = clone(task.encoder).set_params(random_state=task.seed, sparse_output=False)
    encoder.set_output(transform="default")
    with _one_thread(), config_context(transform_output="default"):
        if task.settings.search:
            encoder = with_searched_sizes(encoder, data, task.train, task.seed)
        makers = feature_makers(data, encoder)
        fold: dict[str, Any] = {"features": {}}
        for name in FEATURES:
            arm = _Arm(makers[name], data, task)
            fold["features"][name] = arm.measure()
        fold["encoder"] = _inspect(makers["encoder"], data.rows(task.test))
        if task.describe_units:
            fold["units"] = arm.units(makers["raw"], data.names)
    return fold


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread.

    Figures are then the same on any number of cores. And threads gain little on products this
    small, but cost ten to forty times the time where another process wants the cores.
    """
    # torch takes seconds, which nobody should wait for who only has wrong data
    from skrgvae.torch_modes import own_threads

    with own_threads(1), threadpool_limits(1):
        yield


class _Arm:
    """One set of features on one fold, in front of both classifiers."""

    def __init__(self, maker: Any, data: Data, task: Task) -> None:
        self._maker, self._task = maker, task
        self._X_test = data.rows(task.test)
        X_train = data.rows(task.train)
        started = perf_counter()
        maker.fit(X_train)
        self._fit_seconds = perf_counter() - started
        Z_train, self._emitted = maker.transform(X_train), maker.transform(self._X_test)
        # Needs no labels, so it sees all training rows: a unit that is off in every labelled row
        # still gets its scale.
        self._scaler = StandardScaler().fit(Z_train)
        self._Z_train = self._scaler.transform(Z_train)
        self._Z_test = self._scaler.transform(self._emitted)
        self._y_train, self._y_test = data.y[task.train], data.y[task.test]
        self._with_all: dict[str, Fitted] = {}

    def _features(self, X: Any) -> NDArray[np.floating]:
        """Standardised features."""
        return self._scaler.transform(self._maker.transform(X))

    def measure(self) -> dict[str, Any]:
        """Scores, robustness, costs and worth."""
        scores = {name: self._by_labels(name) for name in CLASSIFIERS}
        X_timed = take(self._X_test, np.arange(_TIMED_ROWS) % len(self._X_test))
        started = perf_counter()
        Z_timed = self._features(X_timed)
        million_seconds = (perf_counter() - started) / _TIMED_ROWS * 1e6
        return {
            "n_features": self._Z_train.shape[1],
            "fit_seconds": self._fit_seconds,
            "million_seconds": million_seconds,
            "classify_seconds": {
                name: self._million_seconds(fitted, Z_timed)
                for name, fitted in self._with_all.items()
            },
            "scores": scores,
            "damage": self._under_damage(),
            "worth": {name: self._worth(name, fitted) for name, fitted in self._with_all.items()},
        }

    def _by_labels(self, classifier: str) -> dict[str, dict[str, float]]:
        """Scores by the number of labels, each a mean over draws."""
        found = {}
        for size in self._task.settings.labels:
            rng = np.random.RandomState(self._task.seed)
            drawn = [
                draw_stratified(self._y_train, size, rng)
                for _ in range(min(_MAX_DRAWS, self._y_train.size // size))
            ]
            each = [self._score(classifier, rows)[1] for rows in drawn]
            found[str(size)] = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        fitted, found["all"] = self._score(classifier, np.arange(self._y_train.size))
        self._with_all[classifier] = fitted
        return found

    def _score(self, classifier: str, rows: Any) -> tuple[Fitted, dict[str, float]]:
        task = self._task
        y = self._y_train[rows]
        fitted = fit_classifier(classifier, self._Z_train[rows], y, task.seed, task.settings.quick)
        scores = all_scores(self._y_test, *fitted.probabilities(self._Z_test), task.positive)
        return fitted, {"n_labels": y.size, "converged": float(fitted.converged), **scores}

    def _deciding(self, fitted: Fitted, Z: NDArray[np.floating]) -> float:
        """The score that decides, on the test rows with these features."""
        balanced, _ = fitted.probabilities(Z)
        return deciding_score(
            self._task.settings.score, self._y_test, balanced, self._task.positive
        )

    def _under_damage(self) -> list[dict[str, Any]]:
        found = []
        for kind in ("missing", "wrong"):
            for share in DAMAGED_SHARES:
                # Every set of features meets the same damage.
                rng = np.random.RandomState(self._task.seed)
                Z = self._features(damaged(self._X_test, kind, share, rng))
                found += [
                    {
                        "kind": kind,
                        "share": share,
                        "classifier": name,
                        "score": self._deciding(fitted, Z),
                    }
                    for name, fitted in self._with_all.items()
                ]
        return found

    def _million_seconds(self, fitted: Fitted, Z: NDArray[np.floating]) -> float:
        started = perf_counter()
        fitted.probabilities(Z)
        return (perf_counter() - started) / len(Z) * 1e6

    def _worth(self, name: str, fitted: Fitted) -> dict[str, float] | None:
        task = self._task
        if task.payoff is None or task.positive is None:
            return None
        inner = inner_probability(
            name, self._Z_train, self._y_train, task.positive, task.seed, task.settings.quick
        )
        threshold = best_threshold(inner, self._y_train == task.positive, task.payoff)
        probability = fitted.probabilities(self._Z_test)[1][:, task.positive]
        return measure_worth(probability, self._y_test == task.positive, threshold, task.payoff)

    def units(self, raw: Any, names: list[str]) -> list[dict[str, Any]]:
        """The units that matter most, with the raw columns they go with."""
        linear = self._with_all["linear"]
        units, importance = important_units(
            linear, self._Z_test, lambda Z: self._deciding(linear, Z), self._task.seed
        )
        return describe_units(
            units,
            importance,
            self._emitted,
            self._maker.get_feature_names_out().tolist(),
            raw.transform(self._X_test),
            raw.get_feature_names_out(names).tolist(),
        )


def _inspect(encoder: HierarchicalSparseEncoder, X_test: Any) -> dict[str, Any]:
    """Bound and units of a fitted encoder on rows it has not seen."""
    summary = encoder.unit_summary(X_test)
    layer, used, zero_share = (np.asarray(summary[key]) for key in ("layer", "used", "zero_share"))
    return {
        "layer_sizes": [int(size) for size in encoder.layer_sizes_],
        "elbo": float(encoder.score(X_test)),
        "epochs": int(encoder.n_iter_),
        "layers": [
            {
                "layer": int(index),
                "units": int(np.sum(layer == index)),
                "used": int(np.sum(used[layer == index])),
                "zero_share": float(np.mean(zero_share[layer == index])),
            }
            for index in np.unique(layer)
        ],
    }
