"""The report as one HTML file, which needs nothing from outside and no script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from skrgvae.pilot.figures import intervals, key_mark, lines
from skrgvae.pilot.records import FEATURES
from skrgvae.pilot.sentences import Sentences
from skrgvae.pilot.style import STYLE
from skrgvae.pilot.wording import LANGUAGES

_SCORES = ("f1", "auc", "balanced_accuracy", "brier", "calibration_error")
_LOWER_IS_BETTER = ("brier", "calibration_error")
# Lists of names and classes get no longer than this.
_MAX_LISTED = 12


def page(record: Mapping[str, Any], language: str = "en") -> str:
    """The whole page.

    Parameters
    ----------
    record : mapping
        What the command writes as JSON: the result of a study, with `source`, `seed` and `date`.
        Every number on the page is one of its numbers.
    language : {"en", "ja"}, default="en"

    Returns
    -------
    str
        HTML.
    """
    say = Sentences(record, LANGUAGES[language], _figure, _name)
    sections = [
        _verdict(say),
        _leaks(say),
        _comparison(say),
        _value(say),
        _robustness(say),
        _cost(say),
        _units(say),
        _data(say),
        _method(say),
    ]
    title = f"{say.words['title']}: {escape(record['source']['data'])}"
    return f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<p class="kind">{say.words["title"]} · <time>{escape(record["date"][:10])}</time></p>
<h1>{_subtitle(say)}</h1>
</header>
<main>
{"".join(sections)}
</main>
</body>
</html>
"""


def _figure(value: float, text: str) -> str:
    return f'<data value="{value!r}">{text}</data>'


def _name(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _subtitle(say):
    source = say.record["source"]
    return say.say("subtitle", data=_name(source["data"]), target=_name(source["target"]))


def _section(title: str, *parts: str, kind: str = "") -> str:
    return f'<section class="{kind}">\n<h2>{title}</h2>\n{"".join(parts)}\n</section>\n'


def _p(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{text}</p>\n' if kind else f"<p>{text}</p>\n"


def _listing(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>\n"


def _cut(items: Iterable[str]) -> str:
    """The first few of them, and dots for the others."""
    listed = list(items)
    return ", ".join([*listed[:_MAX_LISTED], *(["…"] if len(listed) > _MAX_LISTED else [])])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column names the row."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    return f"<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _caption(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>\n"


def _verdict(say):
    verdict = say.record["verdict"]
    budgets = [
        f'<span class="badge {budget["decision"]}">{say.words["badge." + budget["decision"]]}'
        f"</span> {say.compared(budget)}"
        for budget in verdict["budgets"]
    ]
    # What a leak or chance has spoiled is not worth a badge.
    spoiled = verdict["reason"] in ("leak", "chance")
    parts = [
        f'<p class="decision">{say.heading()}</p>\n',
        _p(say.reason()),
        "" if spoiled else _listing(budgets),
        f"<h3>{say.words['next']}</h3>\n{_p(say.advice())}",
        _options(say) if verdict["reason"] == "leak" else "",
    ]
    return _section(say.words["verdict"], *parts, kind=f"verdict {verdict['decision']}")


def _options(say):
    return f"<pre><code>{escape(say.drop_options())}</code></pre>\n"


def _leaks(say):
    if not say.record["data"]["leaks"]:
        return ""
    return _section(
        say.words["leaks"],
        _listing(say.leaks()),
        _p(say.words["leaks.advice"]),
        _options(say),
        kind="leaks",
    )


def _legend(say):
    keys = (f"<li>{key_mark(name)} {say.words['features.' + name]}</li>" for name in FEATURES)
    return f'<ul class="legend">{"".join(keys)}</ul>\n'


def _plain(say):
    """Sentences without markup, for attributes."""
    return Sentences(say.record, say.words)


def _comparison(say):
    record, settings = say.record, say.record["settings"]
    plain = _plain(say)
    filled = [
        {
            "score": each.score,
            "confidence": each.share(settings["confidence"]),
            "smallest": each.number(settings["smallest_gain"]),
        }
        for each in (plain, say)
    ]
    rows = [
        (plain.labels(budget), budget["difference"], budget["decision"])
        for budget in record["verdict"]["budgets"]
    ]
    forest = _caption(
        intervals(
            rows,
            settings["smallest_gain"],
            say.words["no_gain_line"],
            plain.say("comparison.differences", **filled[0]),
        ),
        say.say("comparison.differences", **filled[1]),
    )
    curves = [_curves(say, plain, name) for name in ("linear", "boosting")]
    tables = []
    for budget in (record["verdict"]["budgets"][-1], record["verdict"]["budgets"][0]):
        title = say.words["comparison.table"]
        if budget["labels"] != "all":
            title = say.say("comparison.few", labels=say.labels(budget))
        table = f"<div><h3>{title}</h3>\n{_scores(say, budget['labels'])}</div>\n"
        if table not in tables:
            tables.append(table)
    return _section(
        say.words["comparison"],
        f'<div class="figures">{forest}</div>\n',
        _legend(say),
        f'<div class="figures">{"".join(curves)}</div>\n',
        f'<div class="tables">{"".join(tables)}</div>\n',
        _p(say.words["comparison.note"], "note"),
    )


def _curves(say, plain, classifier):
    record = say.record
    score = record["settings"]["score"]
    budgets = record["verdict"]["budgets"]
    found = {
        name: [
            one[score]
            for one in record["scores"]
            if one["features"] == name and one["classifier"] == classifier
        ]
        for name in FEATURES
    }
    ticks = [
        say.words["axis.all"] if budget["labels"] == "all" else f"{budget['labels']:,}"
        for budget in budgets
    ]
    n_folds = record["settings"]["n_splits"] * record["settings"]["n_repeats"]
    texts = [
        each.say(
            "comparison.curves",
            score=each.score,
            classifier=each.words[f"classifier.{classifier}"],
            folds=each.number(n_folds, 0) if each is plain else f"<span>{n_folds}</span>",
        )
        for each in (plain, say)
    ]
    drawn = lines(
        ticks,
        say.words["axis.labels"],
        {name: [values["mean"] for values in each] for name, each in found.items()},
        {name: [values["std"] for values in each] for name, each in found.items()},
        texts[0],
    )
    return _caption(drawn, texts[1])


def _scores(say, labels):
    here = [one for one in say.record["scores"] if one["labels"] == labels]
    best = {
        score: (min if score in _LOWER_IS_BETTER else max)(one[score]["mean"] for one in here)
        for score in _SCORES
    }

    def cell(one, score):
        value = one[score]["mean"]
        text = say.number(value)
        return f"<strong>{text}</strong>" if value == best[score] else text

    rows = [
        [
            say.combination(one["features"], one["classifier"]),
            *(cell(one, score) for score in _SCORES),
        ]
        for one in here
    ]
    return _table(["", *(say.words[f"short.{score}"] for score in _SCORES)], rows)


def _best_classifier(record):
    """The classifier that is best with the encoder or without it, whatever the features."""
    score = record["settings"]["score"]
    here = [one for one in record["scores"] if one["labels"] == "all"]
    return max(here, key=lambda one: one[score]["mean"])["classifier"]


def _robustness(say):
    record, score = say.record, say.record["settings"]["score"]
    plain = _plain(say)
    classifier = _best_classifier(record)
    shares = sorted({one["share"] for one in record["damage"]})
    figures = []
    for kind in ("missing", "wrong"):
        series = {}
        for name in FEATURES:
            whole = next(
                one[score]
                for one in record["scores"]
                if (one["features"], one["classifier"], one["labels"]) == (name, classifier, "all")
            )
            hurt = [
                one["score"]
                for one in record["damage"]
                if (one["features"], one["classifier"], one["kind"]) == (name, classifier, kind)
            ]
            series[name] = [whole, *hurt]
        texts = [
            each.say(
                f"robustness.{kind}",
                score=each.score,
                classifier=each.words[f"classifier.{classifier}"],
            )
            for each in (plain, say)
        ]
        drawn = lines(
            ["0", *(plain.share(share) for share in shares)],
            say.words["axis.damage"],
            {name: [values["mean"] for values in each] for name, each in series.items()},
            {name: [values["std"] for values in each] for name, each in series.items()},
            texts[0],
        )
        figures.append(_caption(drawn, texts[1]))
    return _section(
        say.words["robustness"],
        _legend(say),
        f'<div class="figures">{"".join(figures)}</div>\n',
    )


def _cost(say):
    record = say.record
    rows = [
        [
            say.words[f"features.{cost['features']}"],
            say.number(cost["n_features"]["mean"], 0),
            say.say("seconds", n=say.seconds(cost["fit_seconds"]["mean"])),
            say.say("seconds", n=say.seconds(cost["million_seconds"]["mean"])),
            say.say("seconds", n=say.seconds(cost["classify_seconds"]["boosting"]["mean"])),
        ]
        for cost in record["costs"]
    ]
    head = [say.words[f"cost.{name}"] for name in ("features", "number", "fit", "million")]
    budget = record["verdict"]["budgets"][-1]
    note = say.say(
        "cost.note",
        processor=_name(record["machine"]["processor"]),
        n=say.number(budget["n_labels"], 0),
    )
    table = _table([*head, say.words["cost.boosting"]], rows)
    return _section(say.words["cost"], table, _p(note, "note"))


def _value(say):
    value = say.record["value"]
    if value is None:
        return ""
    rows = [
        [
            say.combination(one["features"], one["classifier"]),
            say.money(one["per_thousand"]["mean"]),
            say.share(one["alarms"]["mean"], 1),
            say.share(one["precision"]["mean"]),
            say.share(one["recall"]["mean"]),
        ]
        for one in value["worths"]
    ]
    head = [say.words[f"value.{name}"] for name in ("money", "alarms", "precision", "recall")]
    return _section(
        say.words["value"],
        *map(_p, say.worth()),
        _table(["", *head], rows),
    )


def _units(say):
    units = say.record["units"]
    if not units:
        return ""
    rows = [
        [
            _name(unit["name"]),
            say.number(unit["importance"]),
            say.share(unit["on_share"]),
            ", ".join(
                f"{_name(column)} ({say.signed(effect, 2)})"
                for column, effect in zip(unit["columns"], unit["effects"], strict=True)
            ),
        ]
        for unit in units
    ]
    head = [say.words[f"units.{name}"] for name in ("unit", "importance", "on", "columns")]
    return _section(
        say.words["units"],
        _p(say.say("units.note", score=say.score)),
        _table(head, rows).replace("<table>", '<table class="units">'),
        _encoder(say),
    )


def _encoder(say):
    encoder = say.record["encoder"]
    rows = [
        [
            say.number(layer["layer"], 0),
            say.number(layer["units"]["mean"], 0),
            say.number(layer["used"]["mean"], 0),
            say.share(layer["zero_share"]["mean"]),
        ]
        for layer in encoder["layers"]
    ]
    text = say.say(
        "encoder.text",
        elbo=say.number(encoder["elbo"]["mean"], 1),
        epochs=say.number(encoder["epochs"]["mean"], 0),
        parameters=_name(encoder["parameters"]),
    )
    head = [say.words[f"encoder.{name}"] for name in ("layer", "units", "used", "zeros")]
    return (
        f"<h3>{say.words['encoder']}</h3>\n{_table(head, rows)}"
        f"{_p(text + ' ' + say.words['encoder.note'], 'note')}"
    )


def _data(say):
    data = say.record["data"]
    facts = [
        ("rows", say.number(data["n_rows"], 0)),
        ("studied", say.number(data["n_studied"], 0)),
        ("columns", say.number(data["n_columns"], 0)),
        ("numeric", say.number(data["n_numeric"], 0)),
        ("categorical", say.number(data["n_categorical"], 0)),
        ("missing", say.share(data["missing_share"], 1)),
        ("incomplete", say.number(data["n_incomplete"], 0)),
    ]
    cards = "".join(
        f"<div><dt>{say.words['data.' + name]}</dt><dd>{text}</dd></div>" for name, text in facts
    )
    classes = _cut(
        f"{_name(name)} {say.number(count, 0)}" for name, count in data["class_counts"].items()
    )
    parts = [
        f'<dl class="facts">{cards}</dl>\n',
        _p(f"{say.words['data.classes']}: {classes}"),
    ]
    if data["positive"] is not None:
        parts.append(_p(say.say("data.positive", positive=_name(data["positive"]))))
    if data["n_studied"] < data["n_rows"]:
        parts.append(_p(say.words["data.drawn"]))
    aside = (
        f"{_name(one['column'])} ({say.words['data.' + one['reason']]})"
        for one in data["set_aside"]
    )
    for key, listed in {
        "dropped": _cut(map(_name, say.record["source"]["dropped"])),
        "set_aside": _cut(aside),
        "constant": _cut(map(_name, data["constant"])),
    }.items():
        if listed:
            parts.append(_p(f"{say.words['data.' + key]}: {listed}"))
    if not data["leaks"]:
        parts.append(_p(say.words["leaks.none"]))
    return _section(say.words["data"], *parts)


def _method(say):
    record, settings = say.record, say.record["settings"]
    parts = [_p(say.words["method.quick"])] if settings["quick"] else []
    parts.append(
        _p(
            say.say(
                "method.folds",
                repeats=say.number(settings["n_repeats"], 0),
                splits=say.number(settings["n_splits"], 0),
                seed=say.number(record["seed"], 0),
            )
        )
    )
    parts += [_p(say.words[f"method.{name}"]) for name in ("classifiers", "intervals")]
    if settings["search"]:
        found = {"-".join(map(str, sizes)) for sizes in record["encoder"]["layer_sizes"]}
        parts.append(_p(say.say("method.search", sizes=", ".join(map(_name, sorted(found))))))
    versions = " ".join(f"{name} {number}" for name, number in record["versions"].items())
    parts.append(
        _p(
            say.say(
                "method.time",
                seconds=say.number(record["seconds"], 0),
                versions=_name(versions),
            )
        )
    )
    return _section(say.words["method"], *parts, kind="method")
