"""
Features that a linear classifier can use: a benchmark
======================================================

Every method is fitted without labels on a set's training rows; then a LogisticRegression sees its
features of 100, 300, 1000 (where there are as many) and all labelled training rows, and is scored
by its balanced accuracy on the test rows::

    python examples/benchmarks/features.py                       # everything that is missing
    python examples/benchmarks/features.py --sets digits secom --methods raw encoder
    python examples/benchmarks/features.py --corrupt noise       # the same on damaged tables
    python examples/benchmarks/features.py --table               # only print what is there

Protocol. The sets' own splits, or 30 % stratified test rows where there is none. Labelled rows are
drawn stratified, at least 3 of every class (or all of it), in 5 draws; all labels are one draw.
The classifier: inputs standardised by all training rows, class_weight="balanced", C from 0.01, 0.1
and 1 by 3-fold cross-validation of the balanced accuracy, at most 1000 iterations of L-BFGS (what
ran out of them is marked). One configuration of each method for all sets, a single thread, a fixed
seed. feature_sets.py states the preparation of the columns, feature_methods.py the methods.

Sets (feature_sets.py): scikit-learn's digits and MNIST, both scaled to [0, 1]; SECOM; adult; AI4I
2020 without the failure modes; ECG5000; 20 newsgroups as counts of 10,000 words. All but digits
are read from the folder named by SKRGVAE_DATA_HOME. The plain VAE needs pythae, which the package
itself does not.

With --validation 30 % of the training rows stand in for the test rows, which are not touched; use
it for all development. With --encoder KEY=VALUE ... parameters of the encoder are set, and the
results stand under a name of their own.

Each finished cell (a set and a method) is written to a JSON file at once, and skipped when it is
asked for again, unless its configuration (for the encoder, its default parameters too) has
changed since.
"""

import argparse
import ast
import json
import os
import platform
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from feature_methods import METHODS
from feature_sets import CORRUPTIONS, SETS, Preparation, corrupt
from probe import BUDGETS, N_DRAWS, probe
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skrgvae import HierarchicalSparseEncoder

RESULTS = Path(__file__).parents[1] / "results" / "features.json"
PACKAGES = ("skrgvae", "scikit-learn", "torch", "numpy", "scipy", "pandas", "pythae")


def configuration(set_name, method, arguments):
    """All that decides a cell's figures; a cell with the same configuration is not run again."""
    chosen = dict(arguments.encoder) if method == "encoder" else {}
    defaults = HierarchicalSparseEncoder().get_params() if method == "encoder" else {}
    config = {
        "set": set_name,
        "method": method,
        "chosen": chosen,
        "parameters": {**defaults, **chosen},
        "protocol": "validation" if arguments.validation else "test",
        "corruption": arguments.corrupt,
        "budgets": BUDGETS,
        "draws": arguments.draws,
        "seed": arguments.seed,
    }
    return json.loads(json.dumps(config))  # as it will be read again


def label_of(config):
    """Name of the method in tables."""
    chosen = ", ".join(f"{key}={value}" for key, value in config["chosen"].items())
    return f"{config['method']}[{chosen}]" if chosen else config["method"]


def key_of(config):
    parts = [config["protocol"], config["corruption"] or "clean", config["set"], label_of(config)]
    return "/".join([*parts, f"seed {config['seed']}"])


def load(set_name, config):
    """The set as a cell needs it."""
    data = SETS[set_name]()
    if config["protocol"] == "validation":
        data = data.for_validation()
    if config["corruption"] is not None:
        data = corrupt(data, config["corruption"], config["seed"])
    return Preparation(data)


def run_cell(config, prepared):
    """Fit without labels, transform, and let the classifier judge."""
    method = METHODS[config["method"]]
    train, test = getattr(prepared, method.reads)
    estimator = method.build(train, config["seed"], **config["chosen"])
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the methods' budgets are stated
        estimator.fit(train)
    fitted = time.perf_counter()
    Z_train, Z_test = estimator.transform(train), estimator.transform(test)
    transformed = time.perf_counter()
    data = prepared.data
    scores = probe(
        Z_train, data.y_train, Z_test, data.y_test, BUDGETS, config["draws"], config["seed"]
    )
    with config_context(print_changed_only=False):
        shown = " ".join(repr(estimator).split())
    return {
        "configuration": config,
        "estimator": shown,
        "n_train": len(data.y_train),
        "n_test": len(data.y_test),
        "n_outputs": Z_train.shape[1],
        "zero_share": 1 - np.count_nonzero(as_array(Z_test)) / np.prod(Z_test.shape),
        "fit_seconds": fitted - started,
        "transform_seconds": transformed - fitted,
        "probe_seconds": time.perf_counter() - transformed,
        "scores": scores,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": machine(),
    }


def as_array(Z):
    """What numpy can count: of a sparse table, what is stored."""
    return Z.data if hasattr(Z, "tocsr") else Z


def versions():
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def machine():
    """What the seconds depend on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return {"processor": name, "cpu_count": os.cpu_count(), "threads": torch.get_num_threads()}


def read_results(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def add_result(path, key, result):
    """Write the file anew, in one step: an interruption leaves the old one."""
    # Read again: another run may have added a cell in the meantime.
    results = {**read_results(path), key: result}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(json.dumps(results, indent=1), encoding="utf-8")
    beside.replace(path)


def summary(cell, budget):
    """Mean over the draws, their spread, and the mean's standard error; None without the budget.

    The standard error holds both the draw of the labels and that the test rows are a sample.
    """
    if budget not in cell["scores"]:
        return None
    scores = cell["scores"][budget]["scores"]
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    row_error = float(np.mean(cell["scores"][budget]["row_errors"]))
    return float(np.mean(scores)), spread, float(np.hypot(spread / len(scores) ** 0.5, row_error))


def mean_over_sets(cells, names, budget):
    """Mean over the sets named and its standard error; None where one of them is missing."""
    found = [summary(cells[name], budget) if name in cells else None for name in names]
    if not found or None in found:
        return None
    means, _, errors = zip(*found, strict=True)
    return float(np.mean(means)), float(np.linalg.norm(errors) / len(errors))


def grouped(results):
    """Cells by (protocol, corruption, seed), then by method, then by set; in a fixed order."""
    order = [*METHODS]
    groups = {}
    for cell in sorted(
        results.values(), key=lambda cell: order.index(cell["configuration"]["method"])
    ):
        config = cell["configuration"]
        group = config["protocol"], config["corruption"], config["seed"]
        groups.setdefault(group, {}).setdefault(label_of(config), {})[config["set"]] = cell
    return dict(sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))))


def table(results):
    """Results as text: one block for each protocol, corruption and budget."""
    groups = grouped(results)
    lines = []
    for (protocol, corruption, seed), methods in groups.items():
        rows = "test rows" if protocol == "test" else "held-out training rows (no test rows)"
        damage = f", cells damaged: {corruption}" if corruption else ""
        clean = groups.get((protocol, None, seed), {}) if corruption else {}
        title = f"{rows}{damage}, seed {seed}"
        width = max(map(len, methods))
        for budget in map(str, BUDGETS):
            names = [
                name
                for name in SETS
                if any(
                    budget in cells[name]["scores"] for cells in methods.values() if name in cells
                )
            ]
            if not names:
                continue
            heads = "".join(f"{name:>22}" for name in names)
            drop = f"{'drop':>8}" if corruption else ""
            lines += [
                "",
                f"Balanced accuracy on {title}; {budget} labels.",
                "Mean over the draws ± its standard error (spread of the draws); * not converged.",
                f"{'method':<{width}}{heads}{'mean over sets':>18}{drop}",
            ]
            for method, cells in methods.items():
                line = f"{method:<{width}}"
                for name in names:
                    line += f"{entry(cells[name], budget) if name in cells else '-':>22}"
                mean = mean_over_sets(cells, names, budget)
                line += f"{'-' if mean is None else f'{mean[0]:.4f} ±{mean[1]:.4f}':>18}"
                if corruption:
                    before = mean_over_sets(clean.get(method, {}), names, budget)
                    known = mean is not None and before is not None
                    line += f"{before[0] - mean[0]:>8.4f}" if known else f"{'-':>8}"
                lines.append(line)
        lines += ["", f"Outputs, share of exact zeros, seconds to fit; {title}."]
        lines.append(f"{'method':<{width}}" + "".join(f"{name:>22}" for name in SETS))
        for method, cells in methods.items():
            shown = (cost(cells[name]) if name in cells else "-" for name in SETS)
            lines.append(f"{method:<{width}}" + "".join(f"{text:>22}" for text in shown))
    return "\n".join(lines) if lines else "No results yet."


def entry(cell, budget):
    found = summary(cell, budget)
    if found is None:
        return "-"
    mean, spread, error = found
    mark = "" if all(cell["scores"][budget]["converged"]) else "*"
    return f"{mean:.3f}{mark} ±{error:.3f} ({spread:.3f})"


def cost(cell):
    return f"{cell['n_outputs']}, {cell['zero_share']:.2f}, {cell['fit_seconds']:.0f} s"


def key_and_value(text):
    """'free_bits=0.1' -> ('free_bits', 0.1); what is no Python literal is a string."""
    key, separator, value = text.partition("=")
    if not separator or key not in HierarchicalSparseEncoder().get_params():
        raise argparse.ArgumentTypeError(f"must be PARAMETER=VALUE of the encoder, got {text!r}")
    try:
        return key, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return key, value


def main(argv=None):
    """Run the cells that are missing, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    parser.add_argument("--corrupt", choices=list(CORRUPTIONS), help="damage the cells")
    parser.add_argument("--validation", action="store_true", help="leave the test rows alone")
    parser.add_argument(
        "--encoder", nargs="+", type=key_and_value, default=[], metavar="KEY=VALUE"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", action="store_true", help="run cells that are there again")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only print the tables")
    arguments = parser.parse_args(argv)
    if not arguments.table:
        run_missing(arguments)
    print(table(read_results(arguments.results)))


def run_missing(arguments):
    """Set by set, so that only one is in memory."""
    torch.set_num_threads(1)
    for set_name in arguments.sets:
        prepared = None
        for method in arguments.methods:
            config = configuration(set_name, method, arguments)
            key = key_of(config)
            known = read_results(arguments.results).get(key)
            if known and known["configuration"] == config and not arguments.repeat:
                print(f"{key}: in {arguments.results.name} already")
                continue
            with threadpool_limits(1):
                prepared = prepared or load(set_name, config)
                result = run_cell(config, prepared)
            add_result(arguments.results, key, result)
            shown = ", ".join(f"{b}: {entry(result, b)}" for b in result["scores"])
            print(f"{key}: {shown}; {cost(result)}", flush=True)


if __name__ == "__main__":
    main()
