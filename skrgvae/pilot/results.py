"""From what the folds measured to the records of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.pilot.classifiers import CLASSIFIERS
from skrgvae.pilot.data import Data, is_constant
from skrgvae.pilot.intervals import corrected_interval
from skrgvae.pilot.records import (
    FEATURES,
    Cost,
    Damage,
    DataSummary,
    Encoder,
    FoldValues,
    Layer,
    Leak,
    Scores,
    Settings,
    Unit,
    Value,
    Worth,
)
from skrgvae.pilot.worth import Payoff

# What `study_fold` measured, fold by fold.
Folds = Sequence[Mapping[str, Any]]
_Record = TypeVar("_Record", Scores, Damage, Cost, Worth, Layer, Encoder)


def collect_scores(folds: Folds, settings: Settings) -> tuple[Scores, ...]:
    """Scores of every set of features, classifier and number of labels."""
    return tuple(
        _over_folds(
            Scores,
            [fold["features"][features]["scores"][classifier][str(labels)] for fold in folds],
            features=features,
            classifier=classifier,
            labels=labels,
        )
        for labels in (*settings.labels, "all")
        for features in FEATURES
        for classifier in CLASSIFIERS
    )


def collect_damage(folds: Folds) -> tuple[Damage, ...]:
    """What damaged cells do to every set of features."""
    found = []
    for features in FEATURES:
        measured = [fold["features"][features]["damage"] for fold in folds]
        for same in zip(*measured, strict=True):
            asked = {name: same[0][name] for name in ("classifier", "kind", "share")}
            found.append(_over_folds(Damage, same, features=features, **asked))
    return tuple(found)


def collect_costs(folds: Folds) -> tuple[Cost, ...]:
    """What every set of features costs."""
    found = []
    for features in FEATURES:
        measured = [fold["features"][features] for fold in folds]
        classify = {
            name: FoldValues(tuple(one["classify_seconds"][name] for one in measured))
            for name in CLASSIFIERS
        }
        found.append(_over_folds(Cost, measured, features=features, classify_seconds=classify))
    return tuple(found)


def collect_value(
    folds: Folds, data: Data, positive: int | None, payoff: Payoff | None, settings: Settings
) -> Value | None:
    """What alarms are worth; None where no gain and cost were given."""
    if payoff is None or positive is None:
        return None
    worths = [
        _over_folds(
            Worth,
            [fold["features"][features]["worth"][classifier] for fold in folds],
            features=features,
            classifier=classifier,
        )
        for features in FEATURES
        for classifier in CLASSIFIERS
    ]
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


def collect_units(fold: Mapping[str, Any]) -> tuple[Unit, ...]:
    """The units of the one fold that describes them."""
    return tuple(
        Unit(**{**unit, "columns": tuple(unit["columns"]), "effects": tuple(unit["effects"])})
        for unit in fold["units"]
    )


def collect_encoder(folds: Folds, encoder: HierarchicalSparseEncoder) -> Encoder:
    """What the encoder, here as it was before training, learned on every fold."""
    learned = [fold["encoder"] for fold in folds]
    # Layer sizes may differ from fold to fold: told is of the layers that all have.
    layers = zip(*(one["layers"] for one in learned), strict=False)
    return _over_folds(
        Encoder,
        learned,
        parameters=" ".join(repr(encoder).split()),
        layer_sizes=tuple(tuple(one["layer_sizes"]) for one in learned),
        layers=tuple(_over_folds(Layer, same, layer=same[0]["layer"]) for same in layers),
    )


def summarise_data(
    data: Data, n_given: int, positive: int | None, leaks: tuple[Leak, ...]
) -> DataSummary:
    """What the data look like; `n_given` rows, of which those of `data` were studied."""
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


def _over_folds(
    record: type[_Record], measured: Sequence[Mapping[str, Any]], /, **known: Any
) -> _Record:
    """A record of what is known; its other fields are figures that every fold measured."""
    values = dict(known)
    for field in fields(record):
        if field.name not in known:
            values[field.name] = FoldValues(tuple(one[field.name] for one in measured))
    return record(**values)
