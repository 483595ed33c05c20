"""The report for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any
from unicodedata import east_asian_width

from skrgvae.pilot.sentences import Sentences
from skrgvae.pilot.wording import LANGUAGES

_WIDTH = 99


def text(record: Mapping[str, Any], language: str = "en") -> str:
    """The verdict, the figures behind it, and what they cost.

    Parameters
    ----------
    record : mapping
        What the command writes as JSON.
    language : {"en", "ja"}, default="en"
    """
    say = Sentences(record, LANGUAGES[language])
    verdict = record["verdict"]
    source = record["source"]
    data = record["data"]
    counts = [("rows", data["n_rows"]), ("columns", data["n_columns"])]
    if data["n_studied"] < data["n_rows"]:
        counts.insert(1, ("studied", data["n_studied"]))
    parts = [
        f"{source['data']}: "
        + ", ".join(f"{say.number(n, 0)} {say.words[f'data.{what}']}" for what, n in counts),
        _filled([f"{say.words['verdict']}: {say.heading()}", say.reason()]),
    ]
    leaks = data["leaks"]
    if leaks:
        parts.append("\n".join(say.leaks()))
    parts.append(_filled([say.advice()]) + (f"\n  {say.drop_options()}" if leaks else ""))
    if verdict["reason"] not in ("leak", "chance"):
        parts.append(_filled([say.compared(budget) for budget in verdict["budgets"]]))
    if record["value"] is not None:
        parts.append(_filled(say.worth()))
    parts.append(_scores(say))
    parts.append(_costs(say))
    return "\n\n".join(parts)


def _scores(say):
    names = ("f1", "auc", "balanced_accuracy", "brier")
    head = [say.words["axis.labels"], "", *(say.words[f"short.{name}"] for name in names)]
    rows = [
        [
            say.number(one["n_labels"]["mean"], 0),
            say.combination(one["features"], one["classifier"]),
            *(f"{say.number(one[name]['mean'])} ({one[name]['std']:.3f})" for name in names),
        ]
        for one in say.record["scores"]
    ]
    return _aligned([head, *rows], n_text=2)


def _costs(say):
    head = [say.words[f"cost.{name}"] for name in ("features", "number", "fit", "million")]
    rows = [
        [
            say.words[f"features.{cost['features']}"],
            say.number(cost["n_features"]["mean"], 0),
            say.say("seconds", n=say.seconds(cost["fit_seconds"]["mean"])),
            say.say("seconds", n=say.seconds(cost["million_seconds"]["mean"])),
        ]
        for cost in say.record["costs"]
    ]
    return _aligned([head, *rows], n_text=1)


def _filled(paragraphs: Sequence[str]) -> str:
    return "\n".join("\n".join(wrap(each, _WIDTH)) for each in paragraphs)


def _width(cell: str) -> int:
    """Columns of a terminal that a text takes: full-width characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in cell)


def _aligned(rows: list[list[str]], n_text: int) -> str:
    """Columns two blanks apart, the first `n_text` flush left, the others flush right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for position, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - _width(cell))
            cells.append(cell + blanks if position < n_text else blanks + cell)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
