"""
Static binarized MNIST: the bound, and what each part of the model adds to it
=============================================================================

Claim: with ``DENSITY_PRESET`` and layers of 300, 200, 100 and 50 units, half an hour of training
on two CPU cores reaches a test ELBO better than -88.3 nats; at equal time, the structured
posterior and the hierarchy are what it rests on: a mean-field posterior or a single stochastic
layer of 50 Gaussian units cost nats, the law of the units makes little difference to the bound.

Each row is trained on `train`, keeps the weights of the epoch that was best on `valid`, and looks
at `test` once. Results are kept in a JSON file and rows that are in it are not run again, so an
interrupted study goes on where it stopped::

    python examples/mnist_study.py --threads 2                  # all rows, 70 minutes of training
    python examples/mnist_study.py --rows best --minutes 30     # one of them
    python examples/mnist_study.py --table                      # only print what is there

The data are the fixed binarization that the literature reports on, where the folder named by
SKRGVAE_DATA_HOME has static_binarized_mnist.npz (`train`, `valid`, `test`: 784 bits a row, packed
in 98 bytes). Otherwise MNIST is fetched from OpenML and binarized once, by one draw per pixel with
a fixed seed. That is a different data set, close but not the same: its rows say so, and stand in
a table of their own.
"""

import argparse
import hashlib
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import sklearn
import torch
from sklearn.datasets import fetch_openml

import skrgvae
from skrgvae import DENSITY_PRESET, HierarchicalSparseEncoder
from skrgvae.persistence.atomic import write_atomically

RESULTS = Path(__file__).parent / "results" / "mnist_study.json"
FILE = "static_binarized_mnist.npz"
BINARIZATION_SEED = 0
# Rows of mnist_784 that end `train` and `valid`; the rest is `test`, the usual 10,000 images.
SPLIT_AT = (50_000, 60_000)
FOUR_LAYERS = {"layer_sizes": (300, 200, 100, 50), **DENSITY_PRESET}
# What is compared at equal time, too short for a decay of the weights to matter.
SHORT = {**FOUR_LAYERS, "batch_size": 100, "weight_decay": 0.0}

# Name of the row: what it shows, minutes of training, parameters.
ROWS = {
    "best": ("rectified, structured", 30.0, FOUR_LAYERS),
    "structured": ("rectified, structured", 10.0, SHORT),
    "mean_field": ("rectified, mean-field", 10.0, {**SHORT, "posterior": "mean_field"}),
    "gaussian": ("Gaussian, structured", 10.0, {**SHORT, "latent": "gaussian"}),
    "one_layer": (
        "one layer of 50 Gaussian units",
        10.0,
        {
            **SHORT,
            "layer_sizes": (50,),
            "hidden_layer_sizes": 500,
            "latent": "gaussian",
        },
    ),
}

# Epochs that are timed to plan the others, and the share of the budget that is planned: the pace
# of a shared machine varies by a few per cent.
TIMED_EPOCHS = 3
PLANNED_SHARE = 0.95


def load_study_data(limit=None):
    """The three splits as float32 zeros and ones, and what to call them."""
    folder = os.environ.get("SKRGVAE_DATA_HOME")
    path = Path(folder) / FILE if folder else None
    if path is not None and path.is_file():
        label = f"the fixed binarization ({FILE})"
        with np.load(path, allow_pickle=False) as file:
            splits = [np.unpackbits(file[name], axis=1) for name in ("train", "valid", "test")]
    else:
        label = (
            f"SELF-MADE binarization of mnist_784, one draw per pixel, seed {BINARIZATION_SEED}"
        )
        intensities = fetch_openml("mnist_784", version=1, as_frame=False).data / np.float32(255)
        rng = np.random.default_rng(BINARIZATION_SEED)
        bits = rng.random(intensities.shape, dtype=np.float32) < intensities
        splits = np.split(bits, SPLIT_AT)
    if limit is not None:
        label += f", {limit} rows of each part"
        # Rows from all over: the test rows of the fixed binarization are sorted by class.
        splits = [split[:: max(1, len(split) // limit)][:limit] for split in splits]
    return [split.astype(np.float32) for split in splits], label


def plan_epochs(parameters, train, valid, minutes):
    """Epochs that fit in the budget, so that warm-up and decay of the rate fit in it as well."""
    timed = HierarchicalSparseEncoder(**{**parameters, "max_iter": TIMED_EPOCHS})
    seconds = timed.fit(train, X_val=valid).history_["seconds"]
    # The first epoch also pays for allocations.
    pace = float(np.mean(seconds[1:]))
    return max(1, int(PLANNED_SHARE * 60 * minutes / pace)), pace


def mean_and_error(values):
    """Mean over the rows, and its standard error."""
    return float(np.mean(values, dtype=np.float64)), float(np.std(values) / np.sqrt(len(values)))


def bounds_of(elbo, weighted):
    """What a record says of both bounds of the test rows, arrays of shape (n_rows,)."""
    mean, error = mean_and_error(elbo)
    weighted_mean, weighted_error = mean_and_error(weighted)
    return {
        "test_elbo": mean,
        "test_elbo_error": error,
        "test_iw": weighted_mean,
        "test_iw_error": weighted_error,
        "test_iw_rows": len(weighted),
        "test_rows": len(elbo),
    }


def importance_weighted(encoder, test, k, minutes):
    """The importance-weighted bound of the test rows, of all of them where the time allows."""
    # A row's value does not depend on the rows beside it: any pieces give the same numbers.
    order = np.random.default_rng(0).permutation(len(test))  # the fixed test rows are sorted
    values, started = [], time.perf_counter()
    for piece in np.array_split(order, max(1, len(test) // 250)):
        values.append(encoder.score_samples(test[piece], n_importance_samples=k))
        spent = time.perf_counter() - started
        done = sum(map(len, values))
        print(f"\r  importance-weighted bound, k = {k}: {done}/{len(test)} rows", end="")
        if spent > 60 * minutes:
            break
    print(f", {spent:.0f} s")
    return np.concatenate(values)


def count_parameters(encoder):
    """Trainable numbers (there is no public count)."""
    return sum(parameter.numel() for parameter in encoder._model.new_module().parameters())


def machine(threads):
    """What the seconds depend on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return {"processor": name, "cpu_count": os.cpu_count(), "threads": threads}


def versions():
    """What else the figures depend on."""
    return {
        "skrgvae": skrgvae.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def configuration(name, label, arguments):
    """All that decides a row's figures; a row with the same configuration is not run again."""
    _, minutes, parameters = ROWS[name]
    return {
        "row": name,
        "data": label,
        "minutes": minutes if arguments.minutes is None else arguments.minutes,
        "epochs": arguments.epochs,
        "k": arguments.k,
        "iw_minutes": arguments.iw_minutes,
        "parameters": {
            **parameters,
            "likelihood": "bernoulli",
            "random_state": arguments.seed,
            "device": "cpu",
        },
        "versions": versions(),
        "machine": machine(torch.get_num_threads()),
    }


def key_of(config):
    text = json.dumps(config, sort_keys=True)
    return f"{config['row']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def run_row(config, splits, models=None):
    """Train, choose the epoch on `valid`, look at `test` once."""
    train, valid, test = splits
    parameters = dict(config["parameters"])
    kept = None if models is None else models / f"{key_of(config)}.joblib"
    if kept is not None and kept.is_file():
        print(f"  trained before: {kept}")
        encoder = joblib.load(kept)
    else:
        epochs = config["epochs"]
        if epochs is None:
            epochs, pace = plan_epochs(parameters, train, valid, config["minutes"])
            print(f"  {pace:.1f} s per epoch, {epochs} epochs in {config['minutes']:g} minutes")
        # `valid` chooses the epoch, but ends nothing: the decay of the learning rate, at the end
        # of the planned epochs, is worth more than the epochs that waiting for it costs.
        parameters.update(max_iter=epochs, n_iter_no_change=epochs)
        encoder = HierarchicalSparseEncoder(**parameters, verbose=1).fit(train, X_val=valid)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            joblib.dump(encoder, kept)
    elbo = encoder.score_samples(test)
    print(f"  test ELBO {mean_and_error(elbo)[0]:.2f}")
    weighted = importance_weighted(encoder, test, config["k"], config["iw_minutes"])
    history = encoder.history_
    return {
        "configuration": config,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **bounds_of(elbo, weighted),
        "valid_elbo": history["validation_elbo"][encoder.best_iter_ - 1],
        "train_elbo": history["elbo"][encoder.best_iter_ - 1],
        "epochs": encoder.n_iter_,
        "best_epoch": encoder.best_iter_,
        "seconds": sum(history["seconds"]),
        "n_parameters": count_parameters(encoder),
        "validation_elbo_by_epoch": history["validation_elbo"],
    }


def read_results(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def add_result(path, key, result):
    """Write the file anew, in one step: an interruption leaves the old one."""
    # Read again: another run may have added a row in the meantime.
    results = {**read_results(path), key: result}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(results, indent=1).encode())


def table(results):
    """Results as text, one block for each data set."""
    lines = []
    for label in dict.fromkeys(r["configuration"]["data"] for r in results.values()):
        rows = [r for r in results.values() if r["configuration"]["data"] == label]
        order = list(ROWS)
        rows.sort(key=lambda r: (order.index(r["configuration"]["row"]), r["date"]))
        lines += [
            "",
            f"Static binarized MNIST, {label}.",
            "Test set, nats per image (± standard error over the images). The importance-weighted",
            "bound is not the ELBO: compare it with other importance-weighted bounds only.",
            f"{'row':<12}{'model':<32}{'ELBO':>15}{'IW bound':>17}{'k':>6}{'IW rows':>9}"
            f"{'epochs':>8}{'kept':>6}{'minutes':>9}{'budget':>8}{'parameters':>12}{'threads':>9}",
        ]
        for r in rows:
            config = r["configuration"]
            elbo = f"{r['test_elbo']:.2f} ± {r['test_elbo_error']:.2f}"
            iw = f"{r['test_iw']:.2f} ± {r['test_iw_error']:.2f}"
            budget = "-" if config["epochs"] is not None else f"{config['minutes']:g}"
            lines.append(
                f"{config['row']:<12}{ROWS[config['row']][0]:<32}{elbo:>15}{iw:>17}"
                f"{config['k']:>6}{r['test_iw_rows']:>9}{r['epochs']:>8}{r['best_epoch']:>6}"
                f"{r['seconds'] / 60:>9.1f}{budget:>8}{r['n_parameters']:>12,}"
                f"{config['machine']['threads']:>9}"
            )
    return "\n".join(lines) if lines else "No results yet."


def main(argv=None):
    """Run the rows that are missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--minutes", type=float, help="of training, instead of 30 and 10")
    parser.add_argument("--epochs", type=int, help="this many, instead of a budget of minutes")
    parser.add_argument("--threads", type=int, help="of torch; its own choice if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--k", type=int, default=500, help="samples of the importance weights")
    parser.add_argument(
        "--iw-minutes",
        type=float,
        default=30.0,
        help="after which the importance-weighted bound stays with the (random) rows it has",
    )
    parser.add_argument("--rows-limit", type=int, help="rows of each part, to try the script")
    parser.add_argument("--models", type=Path, help="folder to keep the fitted encoders in")
    parser.add_argument("--repeat", action="store_true", help="run rows that are there again")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args(argv)
    if not arguments.table:
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        splits, label = load_study_data(arguments.rows_limit)
        for name in arguments.rows:
            config = configuration(name, label, arguments)
            key = key_of(config)
            if key in read_results(arguments.results) and not arguments.repeat:
                print(f"{name}: in {arguments.results} already")
                continue
            print(f"{name}: {ROWS[name][0]}", flush=True)
            add_result(arguments.results, key, run_row(config, splits, arguments.models))
    print(table(read_results(arguments.results)))


if __name__ == "__main__":
    main()
