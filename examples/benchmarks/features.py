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
are read from the folder named by SKRGVAE_DATA_HOME. Needs pandas, and pythae for the plain VAE
(python -m pip install pythae); the package itself needs neither.

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
from feature_tables import cost, entry, label_of, tables
from probe import BUDGETS, N_DRAWS, probe
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import skrgvae
from skrgvae import HierarchicalSparseEncoder
from skrgvae.persistence.atomic import write_atomically

RESULTS = Path(__file__).parents[1] / "results" / "features.json"
PACKAGES = ("scikit-learn", "torch", "numpy", "scipy", "pandas", "pythae")


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the methods' budgets are stated
        started = time.perf_counter()
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
    found = {"skrgvae": skrgvae.__version__, "python": platform.python_version()}
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
    write_atomically(path, json.dumps(results, indent=1).encode())


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
    print(tables(read_results(arguments.results)))


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
