"""Tables drawn from the records in examples/results, for the pages and for README.md.

README.md holds its tables between a line ``<!-- table: NAME -->`` and a line ``<!-- end -->``.
After a new record, run ``python docs/record_tables.py``, which writes them anew; a test compares.
"""

import json
import math
import re
from pathlib import Path
from statistics import stdev

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
README = ROOT / "README.md"
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

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
    "pca": "PCA (650 components or all)",
    "pca95": "PCA (95 % of variance)",
    "exemplars": "random exemplars, soft threshold",
    "nmf": "NMF",
    "dictionary": "dictionary learning, lasso codes",
    "rbm": "BernoulliRBM",
    "vae": "VAE, mean code (pythae)",
    "encoder": "encoder",
}


def features(record):
    """Balanced accuracy on test rows, by number of labels, method and set, and the means."""
    scores = scores_of_features(record, None)
    sets = sets_in(scores)
    yield ["labels", "features", *(SETS[name] for name in sets), "mean"]
    for budget, label, values in rows_of_features(scores, sets):
        yield [budget, label, *map(shown, [*values, mean(values)])]


def damaged(record):
    """The same on tables with junk in their cells, and the means over the sets."""
    damages = {"noise": "20 % noise", "outliers": "5 % outliers"}
    scores = {damage: scores_of_features(record, damage) for damage in damages}
    sets = [name for name in SETS if all(name in sets_in(part) for part in scores.values())]
    yield ["cells", "labels", "features", *(SETS[name] for name in sets), "mean"]
    for damage, cells in damages.items():
        for budget, label, values in rows_of_features(scores[damage], sets):
            yield [cells, budget, label, *map(shown, [*values, mean(values)])]


LAWS = {
    "rectified Gaussian": {},
    "spike and slab": {"latent": "spike_and_slab"},
    "Laplace": {"latent": "laplace"},
    "Gaussian": {"latent": "gaussian"},
    "Gaussian, L1 penalty": {"latent": "gaussian", "sparsity_penalty": 0.1},
}
# Sets that all laws are trained on at the defaults, and what is chosen for MNIST beside the law.
SETS_OF_LAWS = ("digits", "ecg5000", "secom", "ai4i", "adult")
ON_MNIST = {"max_iter": 10, "hidden_layer_sizes": None}


def laws(record):
    """Balanced accuracy and exact zeros of the encoder with other laws of its units."""
    names = [SETS[name] for name in SETS_OF_LAWS]
    yield ["", "units", *names, "mean", "MNIST, 10 passes"]
    for what in ("100", "all", "zeros"):
        for label, chosen in LAWS.items():
            cells = cells_of_features(record, None, chosen)
            found = [_share(cells["encoder", name], what) for name in SETS_OF_LAWS]
            cells = cells_of_features(record, None, {**chosen, **ON_MNIST})
            on_mnist = _share(cells["encoder", "mnist"], what)
            yield [_heading(what), label, *map(shown, [*found, mean(found), on_mnist])]


def _heading(what):
    return what if what == "zeros" else f"{what} labels"


def _share(cell, what):
    return cell["zero_share"] if what == "zeros" else mean(cell["scores"][what]["scores"])


def rows_of_features(scores, sets):
    """Number of labels, method, and mean score on every set: NaN where the method has not run."""
    for budget in ("100", "all"):
        for method, label in METHODS.items():
            cells = [scores.get((method, name), {}).get(budget) for name in sets]
            yield budget, label, [mean(cell["scores"]) if cell else math.nan for cell in cells]


def sets_in(scores):
    return [name for name in SETS if {("encoder", name), ("raw", name)} <= scores.keys()]


def shown(value):
    return "not run" if math.isnan(value) else f"{value:.3f}"


def scores_of_features(record, damage):
    """Scores by method and set, of the benchmark's own configurations."""
    cells = cells_of_features(record, damage, chosen={})
    return {where: cell["scores"] for where, cell in cells.items()}


def cells_of_features(record, damage, chosen):
    """Cells by method and set, of the encoder with chosen parameters."""
    wanted = {"protocol": "test", "corruption": damage, "chosen": chosen, "seed": 0}
    return {
        (config["method"], config["set"]): cell
        for cell in record.values()
        if (config := cell["configuration"]) and wanted.items() <= config.items()
    }


def as_it_comes(record):
    """Figures of every set and pipeline."""
    yield ["set", "pipeline", "balanced accuracy", "F1", "AUC", "features", "fit (s)"]
    for name, pipelines in record["sets"].items():
        for method, row in pipelines.items():
            figures = [f"{row[key]:.3f}" for key in ("balanced_accuracy", "f1", "auc")]
            yield [name, method, *figures, str(row["n_features"]), f"{row['fit_seconds']:.0f}"]


def missing(record):
    """Errors of what was filled in and balanced accuracy, means over the draws of a row."""
    cells, sets = {}, {**SETS, "adult": "adult, 6,000 rows", "adult_whole": "adult"}
    for method, cell in _by_method(record):
        config, labels = cell["configuration"], {"random": "", "high": ", high values"}
        removed = f"{100 * config['share']:.0f} %{labels[config['mechanism']]}"
        place = list(sets).index(config["set"]), config["mechanism"] == "high", config["share"]
        row = cells.setdefault((place, sets[config["set"]], removed), {})
        row.setdefault(method, []).append(cell)
    order = ("mean", "knn", "iterative100", "iterative", "iterative_ordinal", "encoder")
    methods = [method for method in order if any(method in row for row in cells.values())]
    yield ["set", "cells removed", "draws", *methods]
    for (_, *names), row in sorted(cells.items()):
        n_draws = max(len(found) for found in row.values())
        shown = (_filled_in(row.get(method, []), n_draws) for method in methods)
        yield [*names, str(n_draws), *shown]


def _by_method(record):
    """Cells with their method, "iterative_gram" where "iterative" did not run: its numbers."""
    for key, cell in record.items():
        plain = key.replace("iterative_gram", "iterative")
        if plain == key or plain not in record:
            yield cell["configuration"]["method"].removesuffix("_gram"), cell


def _accuracy(cell):
    return cell["scores"][cell["configuration"]["method"]]["scores"][0]


def _filled_in(cells, n_draws):
    if not cells:
        return "not run"
    errors = [cell["errors"]["test"] for cell in cells]
    rmse = mean([error["rmse"] for error in errors])
    rates = [error["error_rate"] for error in errors if "error_rate" in error]
    wrong = f" ({100 * mean(rates):.0f} %)" if rates else ""
    score = mean([_accuracy(cell) for cell in cells])
    fewer = f", {len(cells)} of the draws" if len(cells) < n_draws else ""
    return f"{rmse:.3f}{wrong} / {score:.3f}{fewer}"


def missing_pairs(record):
    """Balanced accuracy of the encoder minus that of others, where the same draws were met.

    Cells of a draw share its split, so the standard error is that of the draws' means.
    """
    scores = {}
    for method, cell in _by_method(record):
        config = cell["configuration"]
        key = config["mechanism"], config["share"], config["seed"]
        scores.setdefault((config["set"], method), {})[key] = _accuracy(cell)
    others = ("mean", "knn", "iterative100", "iterative", "iterative_ordinal")
    yield ["set", *others]
    for name, label in (("secom", "SECOM"), ("adult", "adult, 6,000 rows")):
        mine = scores[name, "encoder"]
        yield [label, *(_gain(mine, scores.get((name, other), {})) for other in others)]


def _gain(mine, theirs):
    gains = {}
    for key, score in theirs.items():
        if key in mine:
            gains.setdefault(key[-1], []).append(mine[key] - score)
    if len(gains) < 2:
        return "not run"
    means = [mean(found) for found in gains.values()]
    error = stdev(means) / math.sqrt(len(means))
    return f"{mean(means):+.3f} ± {error:.3f} ({len(means)} draws)"


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
            shares = row["share_found"]["all"], row["share_found_in_the_worst_table"], named
            yield [name, *(f"{100 * share:.0f} %" for share in shares)]


def used_units(record):
    """How many units are used, and what is lost without one, by layer."""
    sets = {"mnist": "MNIST", "binarized": "binarized MNIST", "digits": "digits"}
    lost = ["lost without a unit (nats)", "in rows where it is on"]
    yield ["images", "layer", "units", "used", "dead", "zeros", "useful, of the used", *lost]
    for name, label in sets.items():
        for layer in record[name]["layers"] if name in record else ():
            shares = (layer["used"], layer["zeros"], layer["useful_of_used"])
            used, zeros, useful = (f"{100 * share:.0f} %" for share in shares)
            nats = (layer["median_loss"], layer["median_loss_while_on"])
            counts = str(layer["layer"]), str(layer["units"]), used, str(layer["dead"])
            yield [label, *counts, zeros, useful, *(f"{loss:.3f}" for loss in nats)]


def paper_table(record):
    """Bounds by network, posterior and law."""
    laws = {"rectified_gaussian": "rectified", "gaussian": "Gaussian"}
    posteriors = {"structured": "structured", "mean_field": "mean-field"}
    columns = [(law, posterior) for law in laws for posterior in posteriors]
    yield ["layers", *(f"{laws[law]}, {posteriors[posterior]}" for law, posterior in columns)]
    rows = {}
    for model in record.values():
        p = model["configuration"]["parameters"]
        hidden = p["hidden_layer_sizes"]
        label = "-".join(map(str, p["layer_sizes"])) + (f", hidden {hidden}" if hidden else "")
        rows.setdefault(label, {})[p["latent"], p["posterior"]] = model
    for label, models in rows.items():
        yield [label, *(_bounds(models.get(column)) for column in columns)]


def _bounds(model):
    if model is None:
        return "not run"
    elbo = f"{model['test_elbo']:.1f} ± {model['test_elbo_error']:.1f}"
    return f"{elbo} / {model['test_iw']:.1f} ± {model['test_iw_error']:.1f}"


def pilot_quick(record):
    """Seconds and verdict of every table."""
    verdicts = {"pays": "pays", "does_not_pay": "does not pay", "cannot_tell": "can't tell"}
    scores = {"auc": "AUC", "f1": "F1", "balanced_accuracy": "balanced accuracy"}
    seconds = ["seconds", "of the processor"]
    yield ["table", "rows", "columns", *seconds, "verdict", "gain, and its interval"]
    for name, row in record["sets"].items():
        verdict, gain = verdicts[row["decision"]], row["difference"]
        if row["reason"] in ("leak", "chance"):
            verdict += f" ({row['reason']})"
        yield [
            name,
            f"{row['rows']:,}",
            str(row["columns"]),
            f"{row['seconds']:.0f}",
            f"{row['processor_seconds']:.0f}",
            verdict,
            f"{gain['mean']:+.3f} of {scores[row['score']]}, {row['labels']:,.0f} labels "
            f"({gain['low']:+.3f} to {gain['high']:+.3f})",
        ]


def pilot_verdicts(record):
    """How often each verdict was given on each kind of table, and how often wrongly."""
    kinds = {"pays": "pay", "does_not_pay": "do not pay", "cannot_tell": "meet pure chance"}
    verdicts = ["pays", "does not pay", "can't tell"]
    yield ["tables where the features", *verdicts, "wrong verdicts", "rate, 95 % interval"]

    def row(label, counts, wrong, n_tables, interval):
        low, high = (f"{100 * end:.1f}" for end in interval)
        return [label, *counts, f"{wrong} of {n_tables}", f"{low} to {high} %"]

    for name, label in kinds.items():
        counts = [str(record["decisions"][name][verdict]) for verdict in kinds]
        right = record["right"][name]
        low, high = right["interval"]
        wrong = right["of"] - right["count"]
        yield row(label, counts, wrong, right["of"], (1 - high, 1 - low))
    for key, label in {
        "wrong": "any of these",
        "pays_where_it_does_not": "the last two, said to pay",
    }.items():
        part = record[key]
        yield row(label, [""] * 3, part["count"], part["of"], part["interval"])


def speed(record):
    """Times as multiples of what they are compared with, of all sections that ran."""
    yield ["what", "time", "in units of"]
    for name, rows in SPEED.items():
        if name in record:
            yield from rows(record[name])


ITS_PRODUCTS = "its matrix products alone"


def speed_of_steps(section):
    for name, row in section["milliseconds"].items():
        for key, label in (("step", "with numba"), ("step_without_numba", "without numba")):
            ratio = row[key.replace("step", "ratio")]
            unit = f"{ratio:.2f} times {ITS_PRODUCTS}"
            yield [f"step, {name}, {label}", f"{row[key]:.1f} ms", unit]


def growth_of_steps(section):
    labels = {"columns": "{} columns", "layers": "{} of the layers", "batch": "batches of {}"}
    for part, label in labels.items():
        for number, row in section[part].items():
            unit = f"{row['ratio']:.2f} times {ITS_PRODUCTS}"
            yield [f"step, {label.format(number)}", f"{row['step']:.1f} ms", unit]
    for number, row in section["rows"].items():
        yield [f"epoch, {int(number):,} rows", f"{row['epoch']:.2f} s", ""]


def speed_beside_pythae(section):
    labels = {
        "encoder": "encoder",
        "without_skip_connections": "encoder without skip connections",
        "pythae": "pythae's VAE",
        "pythae_without_its_data_loader": "pythae's VAE, batches at hand",
    }
    for name, row in section["milliseconds_per_batch"].items():
        for key, label in labels.items():
            unit = f"{row[key] / row['pythae']:.2f} times pythae's VAE"
            yield [f"epoch, {name}, {label}", f"{row[key]:.1f} ms a batch", unit]


def speed_of_transforms(section):
    unit = f"{section['ratio']:.2f} times {ITS_PRODUCTS}"
    yield [f"transform, {section['rows']:,} rows", f"{section['encoder']:.2f} s", unit]
    beside = section["beside_others"]
    for name, seconds in beside.items():
        rows = f"transform, {section['rows_beside_others']:,} rows, {name}"
        unit = f"{seconds / beside['encoder']:.2f} times encoder"
        yield [rows, f"{1000 * seconds:.1f} ms", unit]


def speed_to_a_bound(section):
    labels = {"encoder": "encoder", "readable": "encoder by autograd", "pythae": "pythae's VAE"}
    for name, label in labels.items():
        row = section[name]
        what = f"to a held-out bound of {section['target']:.0f} nats, {label}"
        reached = f"{row['bound']:.1f} nats after {row['epochs']} epochs"
        yield [what, f"{row['seconds']:.1f} s", reached]


def speed_on_the_digits(section):
    seconds = section["wall_seconds"]
    yield [
        "fit on the digits, wall time",
        f"{seconds['2 threads']:.1f} s",
        f"{section['steps']:,} steps; one thread {seconds['1 threads']:.1f} s",
    ]


def speed_of_searches(section):
    for name, seconds in section["wall_seconds"].items():
        yield [f"small search, {name}", f"{seconds:.1f} s", f"{section['fits']} fits"]


def memory_of_fits(section):
    for name, extra in section["bytes_above_the_table"].items():
        yield [f"memory of a fit, {name}", f"{extra / 1e6:.0f} MB", "above imports and table"]


def speed_of_the_import(section):
    yield ["import", f"{section['encoder']:.2f} s", f"{section['difference']:.2f} s above PCA's"]


SPEED = {
    "step": speed_of_steps,
    "growth": growth_of_steps,
    "pythae": speed_beside_pythae,
    "transform": speed_of_transforms,
    "time_to_bound": speed_to_a_bound,
    "digits": speed_on_the_digits,
    "search": speed_of_searches,
    "memory": memory_of_fits,
    "import": speed_of_the_import,
}


def speed_gpu(record):
    """Recorded steps beside eager ones, and whole fits."""
    yield ["what", "recorded", "operation by operation"]
    epoch, wide = record["epoch"], record["wide"]
    yield [
        f"epoch of {epoch['rows']:,} rows of binarized MNIST in batches of 100",
        *(f"{epoch[f'{mode}_seconds']:.2f} s" for mode in ("recorded", "eager")),
    ]
    sizes = f"{len(wide['layer_sizes'])} layers of {wide['layer_sizes'][0]:,} units"
    yield [
        f"step of {sizes} over {wide['columns']:,} columns, {wide['batch']:,} rows",
        *(f"{wide[f'{mode}_milliseconds_per_step']:.1f} ms" for mode in ("recorded", "eager")),
    ]
    rate = (
        f"share of the rate of a large product in TF32 ({wide['products_per_second'] / 1e12:.0f}"
    )
    yield [
        f"... {rate} TFLOP/s)",
        *(f"{wide[f'{mode}_share_of_the_rate']:.2f}" for mode in ("recorded", "eager")),
    ]
    fits = record["fits"]
    for key in fits:
        if key.startswith("fit, "):
            name = key.removeprefix("fit, ")
            label = "binarized MNIST" if "mnist" in name else name
            epochs = fits[f"epochs, {name}"]
            yield [f"fit with all defaults, {label}, {epochs} epochs", f"{fits[key]:.1f} s", ""]


def mean(values):
    return math.fsum(values) / len(values)


DRAWN = {
    drawn.__name__: drawn
    for drawn in (
        features,
        damaged,
        laws,
        as_it_comes,
        missing,
        missing_pairs,
        stream,
        large_inputs,
        planted_structure,
        used_units,
        paper_table,
        pilot_quick,
        pilot_verdicts,
        speed,
        speed_gpu,
    )
}

# Of tables whose names are not those of their records.
RECORDS = {"damaged": "features", "laws": "features", "missing_pairs": "missing"}


def origin(record):
    """Date, versions and machine of a record, or of the newest of its cells."""
    if "date" not in record:
        record = max(record.values(), key=lambda cell: cell["date"])
    versions, machine = record["versions"], record["machine"]
    return (
        f"Recorded on {record['date'][:10]} with torch {versions['torch']}, scikit-learn "
        f"{versions['scikit-learn']}; processor: {machine['processor']}, "
        f"{record.get('device', 'without a GPU')}."
    )


def read(name):
    """A table's record, or None where the script has not written one yet."""
    file = RESULTS / f"{RECORDS.get(name, name)}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def markdown(name):
    """Lines of a table for README.md."""
    header, *rows = DRAWN[name](read(name))
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_tables(text):
    """Text with every marked table as the records have it."""
    return MARKED.sub(lambda found: found[1] + markdown(found[2]) + found[3], text)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
