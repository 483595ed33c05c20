"""
Speed, in units of matrix products
==================================

How long a training step and `transform` take, as multiples of the matrix products in them: the
same shapes through `torch.mm` alone, forward and backward, without a gradient for the data. What
is compared takes turns in one process, on one thread and by the processor's time, so that other
programs on the machine disturb both alike; the medians of the turns are compared. The network is
the default one on 784 columns::

    python examples/benchmarks/speed.py

It takes a few minutes.
"""

import argparse
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, MiniBatchNMF
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_limits

from skrgvae import HierarchicalSparseEncoder
from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import summarise
from skrgvae.fitting import Plan, initial_module, new_trainer
from skrgvae.network import Architecture
from skrgvae.training import Rows

sys.path.insert(0, str(Path(__file__).parents[1] / "robustness"))
import report

N_COLUMNS = 784
SIZES = (300, 200, 100, 50)
IMPORTS = {
    "PCA": "from sklearn.decomposition import PCA",
    "encoder": "from skrgvae import HierarchicalSparseEncoder",
}


def products():
    """Inputs and outputs of every matrix product, and whether the input needs a gradient."""
    up = [
        (below, 2 * size, below != N_COLUMNS)
        for below, size in zip((N_COLUMNS, *SIZES), SIZES, strict=False)
    ]
    down = [(sum(SIZES[layer + 1 :]), 2 * SIZES[layer], True) for layer in range(len(SIZES) - 1)]
    return up, down, [(sum(SIZES), N_COLUMNS, True)]


def product_step(shapes, n_rows, backward=True):
    """A function that computes the products once."""
    matrices = [
        (torch.randn(n_rows, a), torch.randn(b, a), torch.randn(n_rows, b), needed)
        for a, b, needed in shapes
    ]

    def run():
        for x, weight, _, _ in matrices:
            torch.mm(x, weight.t())
        for x, weight, gradient, needed in reversed(matrices) if backward else ():
            torch.mm(gradient.t(), x)
            if needed:
                torch.mm(gradient, weight)

    return run


def training_steps(n_rows, n_steps):
    """A function that takes some steps of the default network, and its batches' rows."""
    table = (np.random.default_rng(0).random((n_rows * n_steps, N_COLUMNS)) < 0.15) * np.float32(1)
    families = ("bernoulli",) * N_COLUMNS
    architecture = Architecture(SIZES, None, families, firing_rate=0.3, skip_connections=True)
    module = initial_module(summarise([table]), architecture, 0)
    floors = tuple(0.1 * 2.0 ** (layer + 1 - len(SIZES)) for layer in range(len(SIZES)))
    plan = Plan("adamax", 1e-2, n_rows, 20, 1.0, 0.1, floors, 0.0, None)
    trainer = new_trainer(module, plan, n_steps, 0, torch.device("cpu"))
    rows = Rows(ArrayRows(table), torch.device("cpu"))
    return lambda: trainer.epoch(rows)


def medians(turns, n_turns):
    """Seconds of processor time of each function, the median of its turns after a first one."""
    seconds = {name: [] for name in turns}
    for _ in range(n_turns + 1):
        for name, run in turns.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    return {name: float(np.median(seen[1:])) for name, seen in seconds.items()}


def step_over_products(n_rows, n_turns, n_steps=8):
    """Milliseconds of a step and of its products, and their ratio."""
    once = product_step([shape for part in products() for shape in part], n_rows)
    turns = {
        "products": lambda: [once() for _ in range(n_steps)],
        "step": training_steps(n_rows, n_steps),
    }
    found = {name: 1e3 * took / n_steps for name, took in medians(turns, n_turns).items()}
    return {**found, "ratio": found["step"] / found["products"]}


def transforms(n_rows, n_turns):
    """Seconds of transform for some rows, by the encoder, its products, and other methods."""
    X = report.mnist(n_rows)
    few, n_features = X[:1000], sum(SIZES)
    up, down, _ = products()
    encoder = HierarchicalSparseEncoder(SIZES, max_iter=1, random_state=0).fit(few)
    others = {
        "PCA": PCA(n_features, random_state=0),
        "BernoulliRBM": BernoulliRBM(n_features, n_iter=1, random_state=0),
        "MiniBatchNMF": MiniBatchNMF(
            n_features, max_iter=1, transform_max_iter=200, random_state=0
        ),
        "MiniBatchDictionaryLearning": MiniBatchDictionaryLearning(
            n_features, max_iter=1, random_state=0
        ),
    }
    turns = {
        "products": product_step(up + down, len(X), backward=False),
        "encoder": lambda: encoder.transform(X),
    }
    quick = medians(turns, n_turns)
    # The others take much longer per row: fewer rows, and the encoder on as many beside them.
    turns = {"encoder": lambda: encoder.transform(few)}
    for name, method in others.items():
        method.fit(few)
        turns[name] = lambda method=method: method.transform(few)
    slow = medians(turns, 3)
    return {
        "rows": len(X),
        **quick,
        "ratio": quick["encoder"] / quick["products"],
        "rows_beside_others": len(few),
        "beside_others": slow,
        "times_the_encoder": {name: slow[name] / slow["encoder"] for name in others},
    }


def import_seconds(n_turns):
    """Seconds of a fresh interpreter with nothing but one import in it."""
    seconds = {name: [] for name in IMPORTS}
    for _ in range(n_turns):
        for name, statement in IMPORTS.items():
            code = f"import time; a = time.process_time(); {statement}; "
            code += "print(time.process_time() - a)"
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            seconds[name].append(float(done.stdout))
    found = {name: float(np.median(seen)) for name, seen in seconds.items()}
    return {**found, "difference": found["encoder"] - found["PCA"]}


def digits_seconds():
    """Processor seconds of a fit to the embedded digits, everything at its default."""
    X = report.digits()
    started = time.process_time()
    HierarchicalSparseEncoder(random_state=0).fit(X)
    return time.process_time() - started


def main(argv=None):
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--rows", type=int, default=50_000, help="for transform")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other methods are stopped before they converge
        figures = {
            "products": [shape[:2] for part in products() for shape in part],
            "milliseconds_of_a_step": {
                f"batch {n_rows}": step_over_products(n_rows, arguments.turns)
                for n_rows in (100, 512)
            },
            "seconds_of_transform": transforms(arguments.rows, max(3, arguments.turns // 3)),
            "seconds_of_import": import_seconds(3),
            "seconds_of_a_fit_to_the_digits": digits_seconds(),
        }
    return report.write("speed", figures, arguments.results)


if __name__ == "__main__":
    main()
