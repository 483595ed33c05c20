"""What a pilot study finds, as records that become JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

#: Version of what `PilotResult.to_dict` puts out; a field that changes its meaning raises it.
SCHEMA_VERSION = 2
#: Sets of features.
FEATURES = ("raw", "pca", "encoder")


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
class Interval:
    """A mean paired difference over the folds and its confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SetAside:
    """A column that the study leaves out: an "identifier", or one that is "empty"."""

    column: str
    reason: str


@dataclass(frozen=True)
class Leak:
    """A column that gives the target away.

    `kind` is "alone" where a small tree on this column alone tells the classes apart, with
    `balanced_accuracy` on rows it has not seen. It is "value" where all `n_rows` rows with one
    `value` of the column are of one class, `klass`, and "known" where all rows are in which the
    column is not missing; both more than chance would allow.
    """

    column: str
    kind: str
    balanced_accuracy: float | None = None
    value: str | None = None
    klass: str | None = None
    n_rows: int | None = None


@dataclass(frozen=True)
class DataSummary:
    """What the data look like.

    Attributes
    ----------
    n_rows, n_columns : int
        Of the table as given, without the target.
    n_studied : int
        Rows that the study used: all, or a draw of them that keeps the share of every class.
    n_numeric, n_categorical : int
        Columns studied, by kind.
    missing_share : float
        Share of missing cells in the columns studied.
    n_incomplete : int
        Columns studied that have missing cells.
    constant : tuple of str
        Columns with one value only.
    set_aside : tuple of SetAside
        Columns that were not studied.
    class_counts : dict of str to int
        Rows of each class among those studied.
    positive : str or None
        Of two classes the one that F1 and alarms are about; of more the one that alarms are
        about, if any.
    leaks : tuple of Leak
    """

    n_rows: int
    n_columns: int
    n_studied: int
    n_numeric: int
    n_categorical: int
    missing_share: float
    n_incomplete: int
    constant: tuple[str, ...]
    set_aside: tuple[SetAside, ...]
    class_counts: dict[str, int]
    positive: str | None
    leaks: tuple[Leak, ...]


@dataclass(frozen=True)
class Settings:
    """How the study was done.

    `labels` are the numbers of labelled training rows compared before all of them, `score` is the
    one that decides, `smallest_gain` what a difference of it must be to be worth having.
    """

    quick: bool
    search: bool
    n_splits: int
    n_repeats: int
    labels: tuple[int, ...]
    score: str
    smallest_gain: float
    confidence: float


@dataclass(frozen=True)
class Scores:
    """A classifier on rows it has not seen, trained on `n_labels` labelled rows.

    `labels` is the budget, or "all". `f1` is that of the positive class of two, else the mean over
    the classes; `auc` with more than two classes the mean over each against the rest; `brier` and
    `calibration_error` as in `skrgvae.pilot.scores`. `converged` is the share of the classifiers
    that did not run out of iterations.
    """

    features: str
    classifier: str
    labels: int | str
    n_labels: FoldValues
    f1: FoldValues
    auc: FoldValues
    balanced_accuracy: FoldValues
    accuracy: FoldValues
    brier: FoldValues
    calibration_error: FoldValues
    converged: FoldValues


@dataclass(frozen=True)
class Damage:
    """The deciding score with all labels where a share of the test rows' cells is damaged.

    `kind` is "missing" (the cell is empty) or "wrong" (it holds the value of another row).
    """

    features: str
    classifier: str
    kind: str
    share: float
    score: FoldValues


@dataclass(frozen=True)
class Cost:
    """What one set of features costs, in seconds on one thread.

    `fit_seconds` is for a fold's training rows. `million_seconds` is what computing the features
    of a million rows takes, and `classify_seconds` what each classifier takes on top of that; both
    extrapolated from fewer rows.
    """

    features: str
    n_features: FoldValues
    fit_seconds: FoldValues
    million_seconds: FoldValues
    classify_seconds: dict[str, FoldValues]


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
    layer_sizes: tuple[tuple[int, ...], ...]
    elbo: FoldValues
    epochs: FoldValues
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Worth:
    """Money per 1,000 rows, with all labels and the alarm threshold chosen on training rows.

    `alarms` is the share of rows with an alarm, `precision` the share of true ones among them (0
    without any), `recall` the share of the positive rows that get one.
    """

    features: str
    classifier: str
    per_thousand: FoldValues
    alarms: FoldValues
    precision: FoldValues
    recall: FoldValues


@dataclass(frozen=True)
class Value:
    """What the alarms are worth: `gain` for a true one, less `cost` for a false one.

    `always` is the money per 1,000 rows of an alarm on every row. `best` and `reference` are the
    positions in `worths` of the best classifier on the encoder's features and of the best on the
    other ones; `difference` is between those two.
    """

    positive: str
    gain: float
    cost: float
    currency: str
    always: float
    worths: tuple[Worth, ...]
    best: int
    reference: int
    difference: Interval


@dataclass(frozen=True)
class Unit:
    """A unit that the linear classifier with all labels leans on, in the first fold.

    `importance` is how much the deciding score on the test rows falls when the unit's values are
    shuffled among them; `columns` raise the unit most, `effects` are their correlations with it.
    """

    name: str
    layer: int
    importance: float
    on_share: float
    columns: tuple[str, ...]
    effects: tuple[float, ...]


@dataclass(frozen=True)
class BudgetVerdict:
    """The verdict at one number of labels.

    The encoder's features with their better classifier against the best of all the others.
    """

    labels: int | str
    n_labels: float
    decision: str
    classifier: str
    encoder_score: float
    reference_features: str
    reference_classifier: str
    reference_score: float
    difference: Interval


@dataclass(frozen=True)
class Verdict:
    """Whether the features pay.

    Attributes
    ----------
    decision : {"pays", "does_not_pay", "cannot_tell"}
    reason : {"gain", "no_gain", "wide", "chance", "leak"}
        Why: a sure gain, surely none, intervals too wide, no score above chance, or columns that
        give the target away.
    score : str
        The score that decides.
    budgets : tuple of BudgetVerdict
        Fewest labels first.
    shown : int
        Position in `budgets` of the one that the words speak of.
    chance : Interval
        AUC of the best classifier, less the 0.5 of pure chance.
    """

    decision: str
    reason: str
    score: str
    budgets: tuple[BudgetVerdict, ...]
    shown: int
    chance: Interval


@dataclass(frozen=True)
class PilotResult:
    """What `run_pilot` found.

    Attributes
    ----------
    data : DataSummary
    settings : Settings
    seeds : dict
        `"draw"` chose the rows of a quick look, `"split"` made the folds; `"folds"` holds one seed
        per fold, for its encoder and its draws of labelled rows.
    verdict : Verdict
    scores : tuple of Scores
        Of every set of features, classifier and number of labels.
    damage : tuple of Damage
    costs : tuple of Cost
    value : Value or None
        None where no gain and cost were given.
    units : tuple of Unit
        The most important one first.
    encoder : Encoder
    seconds : float
        The whole study.
    versions : dict of str to str
        Of Python and the packages that matter.
    machine : dict
        Its processor and the number of its cores.
    """

    data: DataSummary
    settings: Settings
    seeds: dict[str, Any]
    verdict: Verdict
    scores: tuple[Scores, ...]
    damage: tuple[Damage, ...]
    costs: tuple[Cost, ...]
    value: Value | None
    units: tuple[Unit, ...]
    encoder: Encoder
    seconds: float
    versions: dict[str, str]
    machine: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Everything in dicts, lists, strings and numbers, ready for JSON."""
        return {"schema_version": SCHEMA_VERSION, **plain(self)}


def plain(value: Any) -> Any:
    """Records as dicts and lists, numpy's numbers as Python's."""
    if isinstance(value, FoldValues):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
