"""The page and the text say what the JSON beside them says, and nothing else."""

import re
from string import Formatter

import pytest
from page_parts import parsed, rows, scale, section

from skrgvae.pilot import page as page_module
from skrgvae.pilot.figures import intervals, lines
from skrgvae.pilot.page import page
from skrgvae.pilot.sentences import Sentences
from skrgvae.pilot.text import text
from skrgvae.pilot.wording import LANGUAGES

FEATURES = ("raw", "pca", "encoder")
CLASSIFIERS = ("linear", "boosting")
SCORES = ("f1", "auc", "balanced_accuracy", "brier", "calibration_error")
REASONS = {
    "gain": "pays",
    "no_gain": "does_not_pay",
    "wide": "cannot_tell",
    "chance": "cannot_tell",
    "leak": "cannot_tell",
}
LEAKS = [
    {"column": "a b", "kind": "value", "value": "1", "klass": "fault", "n_rows": 12},
    {"column": "copy", "kind": "alone", "balanced_accuracy": 0.991},
    {"column": "-until", "kind": "known", "klass": "fault", "n_rows": 14},
]

every_language = pytest.mark.parametrize("language", LANGUAGES)


def judged(record, reason):
    """The record with another verdict."""
    record["verdict"].update(decision=REASONS[reason], reason=reason)
    record["data"]["leaks"] = LEAKS if reason == "leak" else []
    return record


def searched(record):
    """The record of a full study whose folds chose sizes of their own, on some of the rows."""
    record["settings"].update(quick=False, search=True)
    record["encoder"]["layer_sizes"] = [[8, 4], [16]]
    record["data"]["n_studied"] = 150
    record["data"]["constant"] = ["still"]
    record["data"]["set_aside"].append({"column": "void", "reason": "empty"})
    record["source"]["dropped"] = ["mode", "date of failure"]
    return record


def table_after(root, say, title):
    """The table below the heading with these words."""
    return section(root, say[title]).first("table")


def name_of(features, classifier, say):
    return say["combination"].format(
        features=say[f"features.{features}"], classifier=say[f"classifier.{classifier}"]
    )


@every_language
def test_languages_have_the_same_words(language):
    def blanks(phrase):
        return {name for _, name, _, _ in Formatter().parse(phrase) if name}

    english, words = LANGUAGES["en"], LANGUAGES[language]
    assert words.keys() == english.keys()
    for key, phrase in words.items():
        assert blanks(phrase) <= blanks(english[key]), key
        assert blanks(english[key]) - blanks(phrase) <= {"labels"}, key


def test_every_word_is_used(record, monkeypatch):
    asked = set()

    class Asked(dict):
        def __getitem__(self, key):
            asked.add(key)
            return super().__getitem__(key)

    monkeypatch.setitem(LANGUAGES, "en", Asked(LANGUAGES["en"]))
    for reason in REASONS:
        page(judged(record, reason))
        text(record)
    page(searched(judged(record, "gain")))
    for features in FEATURES:
        record["verdict"]["budgets"][-1]["reference_features"] = features.replace("encoder", "raw")
        page(judged(record, "no_gain"))
    for decision in set(REASONS.values()):
        record["verdict"]["budgets"][0]["decision"] = decision
        page(judged(record, "wide"))
    for score in ("auc", "f1", "balanced_accuracy"):
        record["settings"]["score"] = score
        page(record)
    assert asked == LANGUAGES["en"].keys()


# Numbers


def known(value):
    """Every number in a record."""
    if isinstance(value, dict):
        return {number for item in value.values() for number in known(item)}
    if isinstance(value, list):
        return {number for item in value for number in known(item)}
    return {value} if isinstance(value, int | float) else set()


@every_language
def test_every_number_shown_is_one_of_the_json(record, language):
    root = parsed(page(record, language))
    numbers = list(root.all("data"))
    assert len(numbers) > 100
    for node in numbers:
        value = float(node.attributes["value"])
        assert value in known(record)
        digits = node.text.replace(",", "").replace("\N{MINUS SIGN}", "-")
        percent = digits.endswith("%")
        digits = digits.rstrip("%\N{NO-BREAK SPACE}")
        places = len(digits.partition(".")[2])
        exact = 100 * value if percent else value
        assert float(digits) == pytest.approx(exact, abs=0.500001 * 10.0**-places)


@every_language
def test_no_number_stands_in_plain_words(record, language):
    def loose(node):
        """Text outside of numbers, names, dates and figures."""
        for child in node.children:
            if isinstance(child, str):
                yield child
            elif child.tag not in ("data", "style", "code", "time", "svg", "title"):
                yield from loose(child)

    words = " ".join(loose(parsed(page(record, language))))
    # The number of folds in two captions is the product of two numbers of the record.
    assert re.findall(r"(?<![A-Za-z])\d+", words) == ["2", "2"]


@every_language
def test_scores_stand_in_their_places(record, language):
    say = LANGUAGES[language]
    found = list(section(parsed(page(record, language)), say["comparison"]).all("table"))
    assert len(found) == 2
    for table, labels in zip(found, ("all", 20), strict=True):
        here = [one for one in record["scores"] if one["labels"] == labels]
        for (head, *cells), one in zip(rows(table), here, strict=True):
            assert head.text == name_of(one["features"], one["classifier"], say)
            assert [cell.numbers for cell in cells] == [[one[name]["mean"]] for name in SCORES]
        for place, score in enumerate(SCORES, start=1):
            bold = [bool(list(row[place].all("strong"))) for row in rows(table)]
            means = [one[score]["mean"] for one in here]
            best = min(means) if score in ("brier", "calibration_error") else max(means)
            assert bold == [mean == best for mean in means]


@every_language
def test_costs_and_worth_stand_in_their_places(record, language):
    say = LANGUAGES[language]
    root = parsed(page(record, language))
    costs = rows(table_after(root, say, "cost"))
    for (head, *cells), cost in zip(costs, record["costs"], strict=True):
        assert head.text == say[f"features.{cost['features']}"]
        parts = [cost[name] for name in ("n_features", "fit_seconds", "million_seconds")]
        parts.append(cost["classify_seconds"]["boosting"])
        assert [cell.numbers for cell in cells] == [[part["mean"]] for part in parts]
    value = record["value"]
    for (head, *cells), one in zip(
        rows(table_after(root, say, "value")), value["worths"], strict=True
    ):
        assert head.text == name_of(one["features"], one["classifier"], say)
        names = ("per_thousand", "alarms", "precision", "recall")
        assert [cell.numbers for cell in cells] == [[one[name]["mean"]] for name in names]
        assert cells[0].text.endswith("\N{NO-BREAK SPACE}EUR")
    said = [
        value["gain"],
        value["cost"],
        *(value["difference"][name] for name in ("mean", "low", "high")),
        record["settings"]["confidence"],
        value["always"],
    ]
    paragraphs = section(root, say["value"]).all("p")
    assert sorted(n for each in paragraphs for n in each.numbers) == sorted(said)


@every_language
def test_units_and_layers_stand_in_their_places(record, language):
    say = LANGUAGES[language]
    units, layers = section(parsed(page(record, language)), say["units"]).all("table")
    for cells, unit in zip(rows(units), record["units"], strict=True):
        name, importance, on, columns = cells
        assert name.text == unit["name"]
        assert importance.numbers == [unit["importance"]]
        assert on.numbers == [unit["on_share"]]
        assert [code.text for code in columns.all("code")] == unit["columns"]
        assert columns.numbers == unit["effects"]
    for cells, layer in zip(rows(layers), record["encoder"]["layers"], strict=True):
        parts = [layer[name]["mean"] for name in ("units", "used", "zero_share")]
        assert [n for cell in cells for n in cell.numbers] == [layer["layer"], *parts]


@every_language
def test_what_the_data_look_like(record, language):
    say, data = LANGUAGES[language], searched(record)["data"]
    shown = section(parsed(page(record, language)), say["data"])
    facts = {card.first("dt").text: card.numbers for card in shown.first("dl").all("div")}
    assert facts == {
        say[f"data.{name}"]: [data[key]]
        for name, key in {
            "rows": "n_rows",
            "studied": "n_studied",
            "columns": "n_columns",
            "numeric": "n_numeric",
            "categorical": "n_categorical",
            "missing": "missing_share",
            "incomplete": "n_incomplete",
        }.items()
    }
    words = shown.text
    for name, count in data["class_counts"].items():
        assert f"{name} {count}" in words
    for one in data["set_aside"]:
        assert f"{one['column']} ({say['data.' + one['reason']]})" in words
    for name in ("still", data["positive"], *record["source"]["dropped"]):
        assert name in words


# Figures


def value_along(svg):
    """From places in a figure to numbers: upwards where it has a grid, else to the right."""
    grid = [float(line.attributes["y1"]) for line in svg.all("line", "grid")]
    anchor = "end" if grid else "middle"
    labels = [node for node in svg.all("text", "tick") if node.attributes["text-anchor"] == anchor]
    return scale(labels, grid or [float(label.attributes["x"]) for label in labels])


def center_y(mark):
    """Where a mark stands: a square, a triangle or a disc."""
    if mark.tag == "rect":
        return float(mark.attributes["y"]) + float(mark.attributes["height"]) / 2
    if mark.tag == "circle":
        return float(mark.attributes["cy"])
    return float(mark.attributes["points"].split()[0].split(",")[1]) + 5


def check_curves(svg, expected):
    """Marks and bars of every set of features at their numbers, on the scale of the axis."""
    value_at = value_along(svg)
    pixel = abs(value_at(1) - value_at(0))
    for name, points in expected.items():
        marks = [
            node
            for tag in ("rect", "polygon", "circle")
            for node in svg.all(tag, "mark")
            if name in node.kinds
        ]
        assert [float(mark.attributes["data-value"]) for mark in marks] == [
            point["mean"] for point in points
        ]
        for mark, point in zip(marks, points, strict=True):
            assert value_at(center_y(mark)) == pytest.approx(point["mean"], abs=0.2 * pixel)
        line = next(node for node in svg.all("polyline") if name in node.kinds)
        places = [float(pair.split(",")[1]) for pair in line.attributes["points"].split()]
        assert places == pytest.approx([center_y(mark) for mark in marks], abs=0.11)
        bars = [node for node in svg.all("line", "bar") if name in node.kinds]
        spread = [point for point in points if point["std"]]
        for bar, point in zip(bars, spread, strict=True):
            ends = [value_at(bar.attributes[end]) for end in ("y2", "y1")]
            wanted = [point["mean"] - point["std"], point["mean"] + point["std"]]
            assert ends == pytest.approx(wanted, abs=0.2 * pixel)


@every_language
def test_figures_are_drawn_to_scale(record, language):
    say = LANGUAGES[language]
    root = parsed(page(record, language))
    forest, *curves = section(root, say["comparison"]).all("figure")
    for figure, classifier in zip(curves, CLASSIFIERS, strict=True):
        check_curves(
            figure.first("svg"),
            {
                name: [
                    one["auc"]
                    for one in record["scores"]
                    if (one["features"], one["classifier"]) == (name, classifier)
                ]
                for name in FEATURES
            },
        )
        assert say[f"classifier.{classifier}"] in figure.first("figcaption").text

    svg = forest.first("svg")
    value_at = value_along(svg)
    pixel = abs(value_at(1) - value_at(0))
    budgets = record["verdict"]["budgets"]
    for bar, mark, budget in zip(
        svg.all("line", "bar"), svg.all("circle", "mark"), budgets, strict=True
    ):
        difference = budget["difference"]
        assert budget["decision"] in bar.kinds and budget["decision"] in mark.kinds
        ends = [bar.attributes["x1"], bar.attributes["x2"]]
        wanted = [difference["low"], difference["high"]]
        assert [float(value) for value in bar.attributes["data-value"].split()] == wanted
        assert [value_at(end) for end in ends] == pytest.approx(wanted, abs=0.2 * pixel)
        assert float(mark.attributes["data-value"]) == difference["mean"]
        assert value_at(mark.attributes["cx"]) == pytest.approx(
            difference["mean"], abs=0.2 * pixel
        )
    zero, worth = svg.first("line", "zero"), svg.first("rect", "worth")
    assert value_at(zero.attributes["x1"]) == pytest.approx(0, abs=0.2 * pixel)
    smallest = record["settings"]["smallest_gain"]
    assert value_at(worth.attributes["x"]) == pytest.approx(smallest, abs=0.2 * pixel)


@every_language
def test_damage_is_drawn_to_scale(record, language):
    say = LANGUAGES[language]
    figures = list(section(parsed(page(record, language)), say["robustness"]).all("figure"))
    everything = [one for one in record["scores"] if one["labels"] == "all"]
    classifier = max(everything, key=lambda one: one["auc"]["mean"])["classifier"]
    for figure, kind in zip(figures, ("missing", "wrong"), strict=True):
        expected = {}
        for name in FEATURES:
            mine = {"features": name, "classifier": classifier}
            whole = next(one["auc"] for one in everything if mine.items() <= one.items())
            mine["kind"] = kind
            hurt = [one["score"] for one in record["damage"] if mine.items() <= one.items()]
            expected[name] = [whole, *hurt]
        check_curves(figure.first("svg"), expected)
        caption = figure.first("figcaption").text
        assert say[f"classifier.{classifier}"] in caption
        assert figure.first("svg").attributes["aria-label"] == caption


# Words


@pytest.mark.parametrize("reason", REASONS)
@every_language
def test_the_verdict_is_that_of_the_json(record, language, reason):
    say, verdict = LANGUAGES[language], judged(record, reason)["verdict"]
    root = parsed(page(record, language))
    shown = section(root, say["verdict"])
    assert verdict["decision"] in shown.kinds
    keep = say[f"keep.{verdict['budgets'][verdict['shown']]['reference_features']}"]
    heading = say[f"verdict.{verdict['decision']}"].format(reference=keep)
    assert shown.first("p", "decision").text == heading
    assert heading in text(record, language)
    items = list(shown.all("li"))
    assert len(items) == (0 if reason in ("leak", "chance") else len(verdict["budgets"]))
    for item, budget in zip(items, verdict["budgets"], strict=False):
        badge = item.first("span", "badge")
        assert budget["decision"] in badge.kinds
        assert badge.text == say[f"badge.{budget['decision']}"]
        difference = budget["difference"]
        assert sorted(item.numbers) == sorted(
            [budget["n_labels"], budget["encoder_score"], budget["reference_score"]]
            + [difference[name] for name in ("mean", "low", "high")]
        )
        for part in ("classifier", "reference_classifier"):
            assert say[f"classifier.{budget[part]}"] in item.text
        assert say[f"features.{budget['reference_features']}"] in item.text
    leaks = [each for each in root.all("section", "leaks")]
    assert len(leaks) == (reason == "leak")
    if reason == "leak":
        for leak, item in zip(LEAKS, leaks[0].all("li"), strict=True):
            assert leak["column"] in item.text
            assert item.numbers == [leak.get("balanced_accuracy", leak.get("n_rows"))]
        options = "--drop 'a b' --drop copy --drop=-until"
        assert options in leaks[0].text and options in text(record, language)


@every_language
def test_the_text_has_every_score(record, language):
    say, words = LANGUAGES[language], text(record, language)
    for one in record["scores"]:
        name = name_of(one["features"], one["classifier"], say)
        figures = [f"{one[score]['mean']:.3f} ({one[score]['std']:.3f})" for score in SCORES[:4]]
        (line,) = (
            line
            for line in words.splitlines()
            if name in line and line.startswith(f"{one['n_labels']['mean']:.0f} ")
        )
        assert re.sub(r" {2,}", "  ", line).endswith("  ".join(figures))


@every_language
def test_the_text_says_what_alarms_bring(record, language):
    def unwrapped(words):
        return "".join(words.split())

    sentences = Sentences(record, LANGUAGES[language]).worth()
    assert all(unwrapped(each) in unwrapped(text(record, language)) for each in sentences)
    record["value"] = None
    assert unwrapped(sentences[0]) not in unwrapped(text(record, language))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_figures_of_equal_values(value):
    series = {name: [value, value] for name in FEATURES}
    drawn = lines(["1", "2"], "labels", series, {name: [0.0, 0.0] for name in FEATURES}, "title")
    assert "nan" not in drawn
    interval = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert "nan" not in intervals([("all", interval, "does_not_pay")], 0.0, "no gain", "title")


@every_language
def test_page_is_safe_and_complete(record, language):
    html = page(record, language)
    assert "a &lt;b&gt;.csv" in html
    assert "<b>" not in html
    assert f'<html lang="{language}">' in html
    assert "{" not in re.sub(r"<style>.*</style>", "", html, flags=re.DOTALL)
    root = parsed(html)
    for tag in ("script", "iframe", "img"):
        assert not list(root.all(tag))
    addresses = {node.attributes.get(name) for node in _nodes(root) for name in ("src", "href")}
    assert addresses == {None, "data:,"}
    assert "url(" not in html and "@import" not in html


def _nodes(root):
    for child in root.children:
        if not isinstance(child, str):
            yield child
            yield from _nodes(child)


def test_parts_that_were_not_asked_for_are_left_out(record):
    record["value"] = None
    record["units"] = []
    titles = [node.text for node in parsed(page(record)).all("h2")]
    assert LANGUAGES["en"]["value"] not in titles
    assert LANGUAGES["en"]["units"] not in titles


def test_long_lists_are_cut(record):
    most = page_module._MAX_LISTED
    names = [f"name {number:02}" for number in range(most + 1)]
    record["data"]["class_counts"] = dict.fromkeys(names, 7)
    record["data"]["constant"] = names[:most]
    shown = section(parsed(page(record)), LANGUAGES["en"]["data"])
    classes, constant = (
        next(each.text for each in shown.all("p") if each.text.startswith(LANGUAGES["en"][key]))
        for key in ("data.classes", "data.constant")
    )
    assert classes.endswith(f"{names[most - 1]} 7, …")
    assert constant.endswith(names[most - 1])
