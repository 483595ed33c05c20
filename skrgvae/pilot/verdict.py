"""The verdict: whether the encoder's features pay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skrgvae.pilot.intervals import corrected_interval
from skrgvae.pilot.records import BudgetVerdict, Interval, Leak, Scores, Settings, Verdict

PAYS, DOES_NOT_PAY, CANNOT_TELL = "pays", "does_not_pay", "cannot_tell"


def decide(interval: Interval, smallest_gain: float) -> str:
    """What an interval of differences says about a gain worth having.

    Parameters
    ----------
    interval : Interval
    smallest_gain : float

    Returns
    -------
    {"pays", "does_not_pay", "cannot_tell"}
        All of the interval at or above the smallest gain, and above zero; all of it below, or at
        zero; or neither.
    """
    if interval.low >= smallest_gain and interval.low > 0:
        return PAYS
    return DOES_NOT_PAY if interval.high < smallest_gain or interval.high <= 0 else CANNOT_TELL


def judge(scores: Sequence[Scores], leaks: Sequence[Leak], settings: Settings) -> Verdict:
    """Judge all numbers of labels, and from these the features.

    At every number of labels the encoder's features, with the classifier that is better on them,
    stand against whatever is best without them. The confidence is shared between the numbers of
    labels (Bonferroni), so that all intervals hold together with it. The features pay where they
    do so at one number of labels, and don't where they do so at none. Nothing can be told where
    columns give the target away, or where no classifier is surely better than chance.

    So features that nowhere gain what is worth having are said to pay in (1 - confidence) / 2 of
    the studies at most, as far as the intervals hold. That each side is the best of several on the
    same folds makes a gain look smaller: two classifiers are tried with the encoder's features and
    four combinations without them.

    Parameters
    ----------
    scores : sequence of Scores
        Of every set of features, classifier and number of labels.
    leaks : sequence of Leak
    settings : Settings
    """
    budgets = [*settings.labels, "all"]
    confidence = 1 - (1 - settings.confidence) / len(budgets)
    found = tuple(_judge_budget(budget, scores, settings, confidence) for budget in budgets)
    chance = _above_chance(scores, settings)
    decisions = [verdict.decision for verdict in found]
    if leaks:
        decision, reason = CANNOT_TELL, "leak"
    elif chance.low <= 0:
        decision, reason = CANNOT_TELL, "chance"
    elif PAYS in decisions:
        decision, reason = PAYS, "gain"
    elif set(decisions) == {DOES_NOT_PAY}:
        decision, reason = DOES_NOT_PAY, "no_gain"
    else:
        decision, reason = CANNOT_TELL, "wide"
    return Verdict(decision, reason, settings.score, found, _shown(found, decision), chance)


def best(scores: Sequence[Scores], score: str, encoder: bool) -> Scores:
    """The scores with the largest mean, among those with the encoder's features or the others."""
    candidates = [one for one in scores if (one.features == "encoder") is encoder]
    return max(candidates, key=lambda one: getattr(one, score).mean)


def _judge_budget(labels, scores, settings, confidence):
    here = [one for one in scores if one.labels == labels]
    ours = best(here, settings.score, encoder=True)
    other = best(here, settings.score, encoder=False)
    ours_values, other_values = (getattr(one, settings.score) for one in (ours, other))
    differences = np.subtract(ours_values.values, other_values.values)
    interval = corrected_interval(differences, 1 / settings.n_splits, confidence)
    return BudgetVerdict(
        labels=labels,
        n_labels=ours.n_labels.mean,
        decision=decide(interval, settings.smallest_gain),
        classifier=ours.classifier,
        encoder_score=ours_values.mean,
        reference_features=other.features,
        reference_classifier=other.classifier,
        reference_score=other_values.mean,
        difference=interval,
    )


def _above_chance(scores, settings):
    """How far the best AUC with all labels is above that of pure chance."""
    here = [one for one in scores if one.labels == "all"]
    top = max(here, key=lambda one: one.auc.mean)
    confidence = 1 - (1 - settings.confidence) / len(here)  # it is the best of these
    return corrected_interval(np.subtract(top.auc.values, 0.5), 1 / settings.n_splits, confidence)


def _shown(budgets, decision):
    """The budget to speak of: the surest gain; else the one with all labels."""
    if decision != PAYS:
        return len(budgets) - 1
    paying = [place for place, one in enumerate(budgets) if one.decision == PAYS]
    return max(paying, key=lambda place: budgets[place].difference.low)
