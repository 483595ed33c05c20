"""Tables of benchmark pages, drawn from the records in examples/results when pages are built."""

import json
import math
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.errors import ExtensionError

RESULTS = Path(__file__).parents[2] / "examples" / "results"

SETS = {
    "digits": "digits",
    "mnist": "MNIST",
    "ecg5000": "ECG5000",
    "secom": "SECOM",
    "ai4i": "AI4I",
    "adult": "adult",
    "newsgroups": "newsgroups",
}
METHODS = {
    "raw": "raw columns",
    "pca95": "PCA (95 % of variance)",
    "nmf": "NMF",
    "exemplars": "random exemplars, soft threshold",
    "encoder": "encoder",
}


def features(record):
    """Balanced accuracy on test rows, by number of labels, method and set."""
    scores, chosen = {}, {"protocol": "test", "corruption": None, "chosen": {}, "seed": 0}
    for cell in record.values():
        config = cell["configuration"]
        if all(config[name] == value for name, value in chosen.items()):
            scores[config["method"], config["set"]] = cell["scores"]
    sets = [name for name in SETS if ("encoder", name) in scores]
    yield ["labels", "features", *(SETS[name] for name in sets)]
    for budget in ("100", "all"):
        for method, label in METHODS.items():
            cells = [scores.get((method, name), {}).get(budget) for name in sets]
            yield [
                budget,
                label,
                *(f"{mean(cell['scores']):.3f}" if cell else "not run" for cell in cells),
            ]


def as_it_comes(record):
    """Figures of every set and pipeline."""
    yield ["set", "pipeline", "balanced accuracy", "F1", "AUC", "features", "fit (s)"]
    for name, pipelines in record["sets"].items():
        for method, row in pipelines.items():
            figures = [f"{row[key]:.3f}" for key in ("balanced_accuracy", "f1", "auc")]
            yield [name, method, *figures, str(row["n_features"]), f"{row['fit_seconds']:.0f}"]


def stream(record):
    """Bound of held-out rows after a fit and after a stream."""
    yield ["training", "ELBO of validation rows (nats)", "seconds"]
    for name, label in (
        ("fit", "fit"),
        ("partial_fit", f"partial_fit, {record['chunks']} chunks"),
    ):
        row = record[name]
        yield [label, f"{row['validation_elbo']:.2f}", f"{row['seconds']:.0f}"]


def large_inputs(record):
    """Time and memory of every phase."""
    yield ["phase", "minutes", "peak of anonymous memory above the import (MB)"]
    for name, phase in record["phases"].items():
        yield [
            name,
            f"{phase['seconds'] / 60:.1f}",
            f"{phase['peak_bytes_above_import'] / 1e6:.0f}",
        ]


def planted_structure(record):
    """Shares of planted causes found, and of those whose columns are named."""
    yield ["drawn as", "found", "in the worst table", "right columns, of those found"]
    for name, row in record.items():
        if isinstance(row, dict) and "share_found" in row:
            named = row["share_of_found_with_right_columns"]["unit_effects"]["all"]
            shares = row["share_found"], row["share_found_in_the_worst_run"], named
            yield [name, *(f"{100 * share:.0f} %" for share in shares)]


def mean(values):
    return math.fsum(values) / len(values)


DRAWN = {
    drawn.__name__: drawn
    for drawn in (features, as_it_comes, stream, large_inputs, planted_structure)
}


def origin(record):
    """Date, versions and machine of a record, or of the newest of its cells."""
    if "date" not in record:
        record = max(record.values(), key=lambda cell: cell["date"])
    versions, machine = record["versions"], record["machine"]
    return (
        f"Recorded on {record['date'][:10]} with torch {versions['torch']}, scikit-learn "
        f"{versions['scikit-learn']}; processor: {machine['processor']}, without a GPU."
    )


class RecordTable(Directive):
    """``.. record-table:: NAME``: the table of examples/results/NAME.json."""

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        file = RESULTS / f"{name}.json"
        self.state.document.settings.env.note_dependency(str(file))
        if name not in DRAWN:
            raise ExtensionError(f"no table is known for the record {name}")
        if not file.is_file():
            return [nodes.paragraph(text="There is no record of this script yet.")]
        record = json.loads(file.read_text(encoding="utf-8"))
        header, *rows = DRAWN[name](record)
        return [table(header, rows), nodes.paragraph(text=origin(record))]


def table(header, rows):
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    for part, lines in ((nodes.thead(), [header]), (nodes.tbody(), rows)):
        for line in lines:
            cells = [nodes.entry("", nodes.paragraph(text=text)) for text in line]
            part += nodes.row("", *cells)
        group += part
    return nodes.table("", group)


def setup(app):
    app.add_directive("record-table", RecordTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
