"""
What depth, the posterior and rectification add to the bound
============================================================

The comparison of Salimans (2016, arXiv 1602.08734) on static binarized MNIST: one to five
stochastic layers, structured and mean-field posterior, rectified and Gaussian units, with and
without deterministic hidden layers, all with the same number of passes over the training rows, the
same rate and no floors. Layers see their neighbours only (`skip_connections=False`), as in the
paper. Nothing is chosen: each model looks at the test rows once, after its last pass::

    python examples/paper_table.py            # 28 models, two hours on one core
    python examples/paper_table.py --table    # only print what is there

With these few passes and one seed, this is a comparison of beginnings; `--passes` and `--seed`
make more of it. Models that are in the record already are not trained again. The data are those
of mnist_study.py.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import mnist_study
import torch

from skrgvae import HierarchicalSparseEncoder

RESULTS = Path(__file__).parent / "results" / "paper_table.json"
SIZES = (300, 200, 100, 50, 25)
HIDDEN = (512, 256, 128, 64)
TRAINING = {
    "skip_connections": False,
    "firing_rate": None,
    "free_bits": 0.0,
    "kl_warmup": 0.2,
    "learning_rate": 1e-2,
    "batch_size": 100,
    "weight_decay": 0.0,
    "early_stopping": False,
    "likelihood": "bernoulli",
    "device": "cpu",
}

# Layers, hidden layers.
NETWORKS = [(SIZES[:depth], None) for depth in range(1, len(SIZES) + 1)]
NETWORKS += [((50,), 500), (SIZES[:4], HIDDEN)]


def configurations(arguments):
    """All models: parameters and what else decides the figures."""
    for layer_sizes, hidden_layer_sizes in NETWORKS:
        for latent in ("rectified_gaussian", "gaussian"):
            for posterior in ("structured", "mean_field"):
                parameters = {
                    "layer_sizes": layer_sizes,
                    "hidden_layer_sizes": hidden_layer_sizes,
                    "latent": latent,
                    "posterior": posterior,
                    "max_iter": arguments.passes,
                    "random_state": arguments.seed,
                    **TRAINING,
                }
                config = {"parameters": parameters, "k": arguments.k, "iw_rows": arguments.iw_rows}
                yield json.loads(json.dumps(config))  # as it will be read again


def key_of(config):
    """What tells the models apart, for people."""
    p = config["parameters"]
    hidden = "hidden" if p["hidden_layer_sizes"] else "plain"
    network = f"{'-'.join(map(str, p['layer_sizes']))} {hidden}"
    budget = f"{p['max_iter']} passes/seed {p['random_state']}"
    return f"{network}/{p['latent']}/{p['posterior']}/{budget}"


def run(config, splits, label):
    """Train on the training rows, look at the test rows."""
    train, _, test = splits
    encoder = HierarchicalSparseEncoder(**config["parameters"]).fit(train)
    some = test[:: max(1, len(test) // config["iw_rows"])]  # the fixed ones are sorted by class
    weighted = encoder.score_samples(some, n_importance_samples=config["k"])
    history = encoder.history_
    return {
        "configuration": config,
        "data": label,
        **mnist_study.bounds_of(encoder.score_samples(test), weighted),
        "train_elbo": history["elbo"][-1],
        "seconds": sum(history["seconds"]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": mnist_study.versions(),
        "machine": mnist_study.machine(torch.get_num_threads()),
    }


def line(key, record):
    """One model."""
    return (
        f"{key}: ELBO {record['test_elbo']:.2f} ± {record['test_elbo_error']:.2f}; "
        f"importance-weighted {record['test_iw']:.2f} ± {record['test_iw_error']:.2f}; "
        f"{record['seconds'] / 60:.1f} minutes"
    )


def main(argv=None):
    """Train the models that are missing, and print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--k", type=int, default=100, help="samples of the importance weights")
    parser.add_argument("--iw-rows", type=int, default=1000, help="test rows for that bound")
    parser.add_argument("--rows-limit", type=int, help="rows of each part, to try the script")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    splits = label = None
    for config in configurations(arguments):
        key = key_of(config)
        known = mnist_study.read_results(arguments.results).get(key)
        if known is None or known["configuration"] != config:
            if arguments.table:
                continue
            if splits is None:
                splits, label = mnist_study.load_study_data(arguments.rows_limit)
            known = run(config, splits, label)
            mnist_study.add_result(arguments.results, key, known)
        print(line(key, known), flush=True)


if __name__ == "__main__":
    main()
