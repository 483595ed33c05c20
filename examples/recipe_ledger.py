"""
The ledger behind the defaults: what was tried for better features, and what it did
====================================================================================

Claim: a better bound is not a better feature. On MNIST, longer training improves both, while
hidden layers and a low floor for the top layer improve the bound alone; with weights that decay
and in a long training, hidden layers improve both as well.

The runs are in results/feature_recipe.json, one record each, with the estimator's parameters.
Where a run needed code that the package does not have, `changes` says which, and its name stands
behind an asterisk in the tables; such a run can't be repeated from here::

    python examples/recipe_ledger.py                        # print the tables
    python examples/recipe_ledger.py --draw docs/figures    # tables and figures as files
    python examples/recipe_ledger.py --name wide --run layer_sizes=400,200,100,50

The last one makes one run of the MNIST study with the package as it is, at its defaults but for 8
epochs, no early stopping, seed 0 and what is given, and appends its record. It reads mnist.npz and
static_binarized_mnist.npz from the folder named by SKRGVAE_DATA_HOME.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from skrgvae.persistence.atomic import write_atomically

RESULTS = Path(__file__).parent / "results" / "feature_recipe.json"

# The run that the others of the MNIST study are compared with.
BASE = "base"
# Labels that the classifiers of the MNIST study get: draws of the rows, and values of C.
PROBES = {"300": (4, (0.01,)), "1000": (2, (0.01,)), "10000": (1, (0.01, 0.1))}
PROBE_OF_ONE_LAYER = (2, (0.1,))
N_TRAIN, N_BOUND = 50_000, 4_000
DATA = {"static": "static binarized MNIST", "gray": "MNIST / 255"}
# What the small sets are called where there is room for it; also the order of the panels.
SETS = {"digits": "digits", "ecg5000": "ECG5000", "secom": "SECOM", "ai4i": "AI4I"}
# Runs whose names would cover something in the figure.
NAME_ON_THE_LEFT = {"gray_16_epochs_batch_50", "high_floors_falling", "former_defaults"}
NAME_BELOW = {"24_epochs", "hidden"}


# The file


def read(path=RESULTS):
    return json.loads(path.read_text(encoding="utf-8"))


def write(ledger, path=RESULTS):
    """One line for each run. In one step: an interruption leaves the old file."""
    head = {key: value for key, value in ledger.items() if key != "runs"}
    lines = ",\n".join("  " + json.dumps(run) for run in ledger["runs"])
    text = f'{json.dumps(head, indent=1)[:-2]},\n "runs": [\n{lines}\n ]\n}}\n'
    write_atomically(path, text.encode())


def digest(ledger):
    """What figures carry, so that a test can tell whether they show these runs."""
    return hashlib.sha256(json.dumps(ledger["runs"], sort_keys=True).encode()).hexdigest()[:16]


def of_study(ledger, study):
    return [run for run in ledger["runs"] if run["study"] == study]


def base_run(ledger):
    return next(run for run in of_study(ledger, "mnist") if run["name"] == BASE)


# Tables


def differences(run, base):
    """How a run differs from another one, changes of the code behind an asterisk."""
    found = []
    if run["study"] == "mnist" and run["data"] != base["data"]:
        found.append(f"data={run['data']}")
    for key, value in run["parameters"].items():
        if value != base["parameters"].get(key):
            found.append(f"{key}={value}")
    return ", ".join([*found, *changes_of(run)])


def changes_of(run):
    return [f"*{key}={value}" for key, value in run["changes"].items()]


def by_layer(values, form):
    return " ".join(format(value, form) for value in values)


def mnist_table(ledger):
    base = base_run(ledger)
    lines = [
        f"{'':<27}{'ELBO':>9}{'held out':>10}{'reconstr.':>11}  {'KL, bottom to top':<20}"
        f"{'used (%)':<17}{'zeros (%)':>9}{'300':>7}{'1,000':>7}{'10,000':>7}  "
        f"how it differs from `{BASE}`"
    ]
    for run in of_study(ledger, "mnist"):
        accuracy = "".join(f"{100 * run['accuracy'][budget]:>7.1f}" for budget in PROBES)
        used = by_layer([100 * share for share in run["used_share_per_layer"]], "3.0f")
        lines.append(
            f"{run['name']:<27}{run['training_elbo']:>9.2f}{run['held_out_elbo']:>10.2f}"
            f"{run['training_reconstruction']:>11.2f}  "
            f"{by_layer(run['training_kl_per_layer'], '4.1f'):<20}{used:<17}"
            f"{100 * run['zero_share']:>9.1f}{accuracy}  {differences(run, base)}".rstrip()
        )
    return "\n".join(lines) + "\n"


def small_sets_table(ledger):
    runs = of_study(ledger, "small_sets")
    base = next(run for run in runs if run["name"] == "plain")
    # Shown for every run, as the number of epochs goes with the size of the set.
    base = {**base, "parameters": {**base["parameters"], "max_iter": None}}
    lines = [
        f"{'':<13}{'':<26}{'100':>6}{'300':>6}{'all':>6}{'ELBO':>9}{'held out':>10}"
        f"{'reconstr.':>11}  {'KL, bottom to top':<20}{'used (%)':<16}{'zeros (%)':>9}  "
        "how it differs from `plain`"
    ]
    for name in dict.fromkeys(run["data"] for run in runs):
        for run in (run for run in runs if run["data"] == name):
            accuracy = "".join(f"{100 * value:>6.1f}" for value in run["accuracy"].values())
            line = f"{name:<13}{run['name']:<26}{accuracy}"
            if run["method"] == "encoder":
                used = by_layer([100 * share for share in run["used_share_per_layer"]], "3.0f")
                line += (
                    f"{run['training_elbo']:>9.1f}{run['held_out_elbo']:>10.1f}"
                    f"{run['training_reconstruction']:>11.1f}  "
                    f"{by_layer(run['training_kl_per_layer'], '4.1f'):<20}{used:<16}"
                    f"{100 * run['zero_share']:>9.1f}"
                )
            else:
                line += " " * 77
            lines.append(f"{line}  {differences(run, base)}".rstrip())
    return "\n".join(lines) + "\n"


def secom_table(ledger):
    lines = [f"{'':<26}{'in training':>12}{'held out':>10}"]
    for run in of_study(ledger, "secom_priors"):
        lines.append(f"{run['name']:<26}{run['training_elbo']:>12}{run['held_out_elbo']:>10}")
        if "best_epoch" in run:
            best = f"  at its best, epoch {run['best_epoch']}"
            lines.append(f"{best:<38}{run['best_held_out_elbo']:>10}")
    return "\n".join(lines) + "\n"


def spanning_table(ledger):
    lines = [
        f"{'':<15}{'seed':>5}{'steps':>6}{'few':>7}{'300':>6}{'many':>6}{'ELBO':>8}  "
        f"{'KL, bottom to top':<22}{'zeros (%)':<17}rate, floors, learning rate"
    ]
    for run in of_study(ledger, "spanning"):
        accuracy = "".join(f"{100 * value:>6.1f}" for value in run["accuracy"].values())
        if run["method"] != "encoder":
            lines.append(f"{run['name']:<15}{'':>12}{accuracy}")
            continue
        zeros = by_layer([100 * share for share in run["zero_share_per_layer"]], "3.0f")
        chosen = [run["parameters"][key] for key in ("firing_rate", "free_bits", "learning_rate")]
        lines.append(
            f"{run['name']:<15}{run['seed']:>5}{run['steps']:>6} {accuracy}"
            f"{run['training_elbo']:>8.1f}  {by_layer(run['kl_per_layer'], '4.1f'):<22}"
            f"{zeros:<17}{', '.join([*map(str, chosen), *changes_of(run)])}"
        )
    return "\n".join(lines) + "\n"


def junk_table(ledger):
    lines = [f"{'':<24}{'100':>6}{'all':>6}{'held out':>10}  floors"]
    for run in of_study(ledger, "junk"):
        accuracy = "".join(f"{100 * run['accuracy'][budget]:>6.1f}" for budget in ("100", "all"))
        line = f"{run['name']:<24}{accuracy}"
        if run["method"] == "encoder":
            floors = [str(run["parameters"]["free_bits"]), *changes_of(run)]
            line += f"{run['held_out_elbo']:>10}  {', '.join(floors)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def short_table(ledger, study, with_units=False):
    """Accuracy and held-out bound of a study's runs, zeros and used units where asked for."""
    units = f"{'zeros':>7}  used" if with_units else ""
    lines = [f"{'':<34}{'few':>6}{'some':>6}{'all':>6}{'held out':>10}{units}"]
    for run in of_study(ledger, study):
        known = run.get("accuracy", {})
        shares = (
            f"{100 * known[key]:.1f}" if key in known else "" for key in ("few", "some", "all")
        )
        accuracy = "".join(f"{share:>6}" for share in shares)
        line = f"{run['name']:<34}{accuracy}{run['held_out_elbo']:>10}  "
        if with_units:
            used = by_layer([100 * share for share in run.get("used_share_per_layer", [])], "3.0f")
            line += f"{100 * run['zero_share']:>5.1f}  {used:<17}"
        lines.append((line + ", ".join(changes_of(run))).rstrip())
    return "\n".join(lines) + "\n"


TABLES = {
    "direct": partial(short_table, study="direct"),
    "long": partial(short_table, study="long"),
    "deep": partial(short_table, study="deep", with_units=True),
    "stopping": partial(short_table, study="stopping"),
    "words": partial(short_table, study="words"),
    "dropout": partial(short_table, study="dropout"),
    "wide": partial(short_table, study="wide"),
    "mnist": mnist_table,
    "small_sets": small_sets_table,
    "secom_priors": secom_table,
    "spanning": spanning_table,
    "junk": junk_table,
}


# Figures


def draw_mnist(ledger, axes):
    """Accuracy with few labels against the bound."""
    runs = of_study(ledger, "mnist")
    for gray, marker, label in (
        (False, "o", "trained on the binarization"),
        (True, "s", "trained on MNIST / 255"),
    ):
        shown = [run for run in runs if (run["data"] == DATA["gray"]) == gray]
        axes.scatter(
            [run["held_out_elbo"] for run in shown],
            [100 * run["accuracy"]["300"] for run in shown],
            c=[100 * run["zero_share"] for run in shown],
            vmin=80,
            vmax=100,
            marker=marker,
            edgecolor="black",
            linewidth=0.5,
            label=label,
        )
    for run in runs:
        left = run["name"] in NAME_ON_THE_LEFT
        axes.annotate(
            run["name"].replace("_", " "),
            (run["held_out_elbo"], 100 * run["accuracy"]["300"]),
            xytext=(-5 if left else 5, -8 if run["name"] in NAME_BELOW else 3),
            ha="right" if left else "left",
            textcoords="offset points",
            fontsize=7,
        )
    axes.margins(x=0.15)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("held-out ELBO (nats per image)")
    axes.set_ylabel("accuracy with 300 labels (%)")
    axes.legend(fontsize=8, loc="lower left")
    axes.figure.colorbar(axes.collections[0], label="exact zeros (%)")


def draw_small_sets(ledger, panels):
    """What the encoders reach on each set, beside its raw columns."""
    runs = of_study(ledger, "small_sets")
    budgets = ("100", "300", "all")
    for axes, (name, title) in zip(panels, SETS.items(), strict=True):
        for run in runs:
            if run["data"] != name or run["name"] == "raw_quantiles":
                continue
            raw = run["method"] == "raw columns"
            axes.plot(
                budgets,
                [100 * run["accuracy"][budget] for budget in budgets],
                color="black" if raw else "tab:blue",
                alpha=1 if raw else 0.4,
                linewidth=2 if raw else 1,
                zorder=3 if raw else 2,
                label="raw columns" if raw else None,
            )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("labels")
    panels[0].plot([], [], color="tab:blue", alpha=0.4, label="an encoder each")
    panels[0].set_ylabel("balanced accuracy (%)")
    panels[0].legend(fontsize=8)


def draw(ledger, folder):
    """Write the tables as text and the figures as SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        (folder / f"feature_recipe_{name}.txt").write_text(table(ledger), encoding="utf-8")
    mnist = Figure(figsize=(7, 4.5), layout="constrained")
    draw_mnist(ledger, mnist.subplots())
    small_sets = Figure(figsize=(8, 3), layout="constrained")
    draw_small_sets(ledger, small_sets.subplots(1, len(SETS)))
    # Letters as text and names that do not change keep the files small, and equal when redrawn.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skrgvae"}):
        for name, figure in (("mnist", mnist), ("small_sets", small_sets)):
            about = {"Date": None, "Description": f"runs {digest(ledger)}"}
            figure.savefig(folder / f"feature_recipe_{name}.svg", metadata=about)


# A run


def load(data):
    """Rows to train on, rows for the bound, MNIST's training rows in [0, 1], and their labels."""
    folder = os.environ.get("SKRGVAE_DATA_HOME")
    if not folder:
        raise SystemExit("SKRGVAE_DATA_HOME must name the folder with the data sets; it is unset.")
    with np.load(Path(folder) / "mnist.npz", allow_pickle=False) as file:
        gray = file["X_train"].reshape(-1, 784) / np.float32(255)
        labels = file["y_train"]
    with np.load(Path(folder) / "static_binarized_mnist.npz", allow_pickle=False) as file:
        train, valid = (
            np.unpackbits(file[part], axis=1).astype(np.float32) for part in ("train", "valid")
        )
    return (gray[:N_TRAIN] if data == "gray" else train), valid[:N_BOUND], gray, labels


def probe(features, labels, budget, draws, strengths):
    """Mean accuracy on the rows behind `N_TRAIN` over draws of labelled rows before it.

    Each draw takes the best of the given values of C on these same rows: with more than one
    the accuracy is that much too good.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    by_class = [np.flatnonzero(labels[:N_TRAIN] == label) for label in np.unique(labels)]
    share = budget // len(by_class)
    accuracies = []
    for draw_number in range(draws):
        rng = np.random.default_rng(draw_number)
        rows = np.concatenate([rng.permutation(of_class)[:share] for of_class in by_class])
        accuracies.append(
            max(
                make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200))
                .fit(features[rows], labels[rows])
                .score(features[N_TRAIN:], labels[N_TRAIN:])
                for strength in strengths
            )
        )
    return round(float(np.mean(accuracies)), 4)


def run_once(name, data, given, base):
    """Train, and measure what a record of the MNIST study holds."""
    import sklearn
    import torch

    import skrgvae
    from skrgvae import HierarchicalSparseEncoder

    train, bound_rows, gray, labels = load(data)
    parameters = {"max_iter": 8, "early_stopping": False, "random_state": 0, **given}
    encoder = HierarchicalSparseEncoder(**parameters)
    # All others were at the defaults of this version of the package.
    recorded = dict.fromkeys([*base["parameters"], *given])
    started = time.perf_counter()
    encoder.fit(train)
    seconds = time.perf_counter() - started
    features = encoder.transform(gray)
    held_out = features[N_TRAIN:]
    kl_rows = gray[N_TRAIN:][:N_BOUND] if data == "gray" else bound_rows
    kl = np.asarray(encoder.unit_summary(kl_rows)["kl"])
    used = (kl > 0.01) & (held_out.std(axis=0) > 0.01)
    dead = (held_out == held_out[0]).all(axis=0)
    zero = (held_out == 0).mean(axis=0)
    layers = encoder.layer_slices_
    history = {key: values[-1] for key, values in encoder.history_.items()}
    return {
        "name": name,
        "study": "mnist",
        "data": DATA[data],
        "method": "encoder",
        "parameters": {key: encoder.get_params()[key] for key in recorded},
        "changes": {},
        "seconds": round(seconds),
        "training_elbo": round(float(history["elbo"]), 2),
        "training_reconstruction": round(float(history["reconstruction"]), 2),
        "training_kl_per_layer": [round(float(value), 2) for value in history["kl"]],
        "held_out_elbo": round(encoder.score(bound_rows), 2),
        "used_share_per_layer": [round(float(used[part].mean()), 2) for part in layers],
        "dead_units_per_layer": [int(dead[part].sum()) for part in layers],
        "zero_share_per_layer": [round(float(zero[part].mean()), 2) for part in layers],
        "zero_share": round(float(zero.mean()), 3),
        "accuracy": {
            budget: probe(features, labels, int(budget), *how) for budget, how in PROBES.items()
        },
        "accuracy_300_per_layer": [
            probe(features[:, part], labels, 300, *PROBE_OF_ONE_LAYER) for part in layers
        ],
        "machine": f"{os.cpu_count()} cores {platform.machine()}, "
        f"threads: {torch.get_num_threads()}",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "skrgvae": skrgvae.__version__,
        },
        "date": datetime.now(UTC).date().isoformat(),
    }


def assignment(text):
    """'batch_size=50' -> ('batch_size', 50); what is no Python value is a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be PARAMETER=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def main(argv=None):
    """Print the tables; draw them, or make a run first, where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--draw", type=Path, metavar="FOLDER")
    parser.add_argument("--run", nargs="*", type=assignment, metavar="PARAMETER=VALUE")
    parser.add_argument("--name", default="run", help="of the run")
    parser.add_argument("--data", choices=DATA, default="static", help="to train the run on")
    arguments = parser.parse_args(argv)
    if arguments.run is not None:
        base = base_run(read(arguments.results))
        record = run_once(arguments.name, arguments.data, dict(arguments.run), base)
        ledger = read(arguments.results)  # again: another run may have been added
        write({**ledger, "runs": [*ledger["runs"], record]}, arguments.results)
    ledger = read(arguments.results)
    for study, table in TABLES.items():
        print(f"{study}: {ledger['studies'][study]}\n\n{table(ledger)}")
    if arguments.draw is not None:
        draw(ledger, arguments.draw)


if __name__ == "__main__":
    main()
