"""Sentences of the report, made from the record of a study; for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skrgvae.tables import drop_option


class Sentences:
    """Says what a record holds.

    Parameters
    ----------
    record : dict
        What the command writes as JSON.
    words : mapping of str to str
        One of `skrgvae.pilot.wording.LANGUAGES`.
    figure : callable, default=None
        Takes a number of the record and how it is written, and gives what stands in the sentence;
        None: how it is written.
    name : callable, default=None
        The same for names that come from the user, such as those of columns.
    """

    def __init__(
        self,
        record: Mapping[str, Any],
        words: Mapping[str, str],
        figure: Callable[[float, str], str] | None = None,
        name: Callable[[str], str] | None = None,
    ) -> None:
        self.record, self.words = record, words
        self._figure = figure or (lambda value, text: text)
        self.name = name or str

    def say(self, key: str, **filled: str) -> str:
        """The words for a key."""
        return self.words[key].format(**filled)

    def number(self, value: float, digits: int = 3) -> str:
        """A number with so many digits after the point."""
        return self._figure(value, f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}"))

    def signed(self, value: float, digits: int = 3) -> str:
        """A number with its sign."""
        return self._figure(value, f"{value:+,.{digits}f}".replace("-", "\N{MINUS SIGN}"))

    def share(self, value: float, digits: int = 0) -> str:
        """A share as a percentage."""
        return self._figure(value, f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%")

    def seconds(self, value: float) -> str:
        """A time in seconds, with three figures at least where it is short."""
        return self._figure(value, f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}")

    def money(self, value: float) -> str:
        """An amount in the user's currency."""
        currency = self.record["value"]["currency"]
        digits = 2 if 0 < abs(value) < 10 else 0
        text = f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")
        shown = self._figure(value, text)
        return f"{shown}\N{NO-BREAK SPACE}{self.name(currency)}" if currency else shown

    def combination(self, features: str, classifier: str) -> str:
        """A set of features with a classifier."""
        return self.say(
            "combination",
            features=self.words[f"features.{features}"],
            classifier=self.words[f"classifier.{classifier}"],
        )

    def labels(self, budget: Mapping[str, Any]) -> str:
        """So many labels, or all."""
        n = self.number(budget["n_labels"], 0)
        return self.say("labels.all" if budget["labels"] == "all" else "labels.some", n=n)

    @property
    def score(self) -> str:
        """Name of the score that decides."""
        return self.words[f"score.{self.record['settings']['score']}"]

    @property
    def shown(self) -> Mapping[str, Any]:
        """The verdict's numbers of labels that it speaks of."""
        verdict = self.record["verdict"]
        return verdict["budgets"][verdict["shown"]]

    def heading(self) -> str:
        """The verdict in a few words."""
        keep = self.words[f"keep.{self.shown['reference_features']}"]
        return self.say(f"verdict.{self.record['verdict']['decision']}", reference=keep)

    def reason(self) -> str:
        """Why the verdict is what it is."""
        verdict = self.record["verdict"]
        filled = {"score": self.score, "labels": self.labels(self.shown)}
        filled["smallest"] = self.number(self.record["settings"]["smallest_gain"])
        filled["difference"] = self.signed(self.shown["difference"]["mean"])
        if verdict["reason"] == "chance":
            chance = verdict["chance"]
            filled["auc"] = self.signed(chance["mean"])
            filled["low"], filled["high"] = map(self.signed, (chance["low"], chance["high"]))
        return self.say(f"reason.{verdict['reason']}", **filled)

    def compared(self, budget: Mapping[str, Any]) -> str:
        """The figures behind the verdict at one number of labels."""
        difference = budget["difference"]
        return self.say(
            "compared",
            labels=self.labels(budget),
            classifier=self.words[f"classifier.{budget['classifier']}"],
            ours=self.number(budget["encoder_score"]),
            reference=self.combination(
                budget["reference_features"], budget["reference_classifier"]
            ),
            other=self.number(budget["reference_score"]),
            difference=self.signed(difference["mean"]),
            low=self.signed(difference["low"]),
            high=self.signed(difference["high"]),
        )

    def advice(self) -> str:
        """What to do next."""
        reason = self.record["verdict"]["reason"]
        if reason == "gain" and not self.record["settings"]["quick"]:
            reason = "gain_full"
        return self.say(
            f"next.{reason}",
            reference=self.words[f"keep.{self.shown['reference_features']}"],
            classifier=self.words[f"classifier.{self.shown['reference_classifier']}"],
        )

    def leaks(self) -> list[str]:
        """A sentence for every column that gives the target away."""
        found = []
        for leak in self.record["data"]["leaks"]:
            filled = {"column": self.name(leak["column"])}
            if leak["kind"] == "alone":
                filled["accuracy"] = self.number(leak["balanced_accuracy"])
            else:
                filled["klass"] = self.name(leak["klass"])
                filled["n"] = self.number(leak["n_rows"], 0)
            if leak["kind"] == "value":
                filled["value"] = self.name(leak["value"])
            found.append(self.say(f"leaks.{leak['kind']}", **filled))
        return found

    def worth(self) -> list[str]:
        """What alarms bring, and what the features add to it."""
        value = self.record["value"]
        ours, other = (value["worths"][value[name]] for name in ("best", "reference"))
        difference = value["difference"]
        return [
            self.say(
                "value.text",
                positive=self.name(value["positive"]),
                gain=self.money(value["gain"]),
                cost=self.money(value["cost"]),
            ),
            self.say(
                "value.difference",
                ours=self.words[f"classifier.{ours['classifier']}"],
                other=self.combination(other["features"], other["classifier"]),
                difference=self.money(difference["mean"]),
                low=self.money(difference["low"]),
                high=self.money(difference["high"]),
                always=self.money(value["always"]),
                confidence=self.share(self.record["settings"]["confidence"]),
            ),
        ]

    def drop_options(self) -> str:
        """What to add to the command, so that these columns are left out."""
        leaks = self.record["data"]["leaks"]
        return " ".join(drop_option(leak["column"]) for leak in leaks)
