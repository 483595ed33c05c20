"""Whole fits, transforms, searches and imports."""

import os
import subprocess
import sys
import time
from unittest.mock import patch

import numpy as np
import report
import torch
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, MiniBatchNMF
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from speed_steps import (
    CPU,
    SIZES,
    medians,
    on_threads,
    product_step,
    products,
    pythae_vae,
    trainer_for,
)

from skrgvae import HierarchicalSparseEncoder
from skrgvae.data.sources import ArrayRows
from skrgvae.model import score_rows
from skrgvae.network import Hierarchy
from skrgvae.recipe import SEARCHING
from skrgvae.training import Rows

N_TRANSFORMED = 50_000
WRITES_NO_CODE = "PYTHONDONTWRITEBYTECODE"
IMPORTS = {
    "PCA": "from sklearn.decomposition import PCA",
    "encoder": "from skrgvae import HierarchicalSparseEncoder",
}


def transforms(n_turns):
    """Seconds of transform for some rows, by the encoder, its products, and other methods."""
    X = report.mnist(N_TRANSFORMED)
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
    quick = medians(turns, max(3, n_turns // 3))
    # The others take much longer per row: fewer rows, and the encoder on as many beside them.
    turns = {"encoder": lambda: encoder.transform(few)}
    for name, method in others.items():
        method.fit(few)
        turns[name] = lambda method=method: method.transform(few)
    slow = medians(turns, min(3, n_turns))
    return {
        "rows": len(X),
        **quick,
        "ratio": quick["encoder"] / quick["products"],
        "rows_beside_others": len(few),
        "beside_others": slow,
        "times_the_encoder": {name: slow[name] / slow["encoder"] for name in others},
    }


def binary_mnist(n_train, n_held_out):
    """Pixels of MNIST at 0 or 1, rows to train on and others."""
    X = (report.mnist(n_train + n_held_out) > 0.5).astype(np.float32)
    which = np.random.default_rng(0).permutation(len(X))
    return X[which[:n_train]], X[which[n_train:]]


def held_out_bound(trainer, rows):
    trainer.module.eval()
    return float(np.mean(score_rows(trainer.module, ArrayRows(rows), 0), dtype=np.float64))


def readable():
    """Training by the formulas in `Hierarchy` and autograd."""
    return patch.object(Hierarchy, "fused_pass", lambda self, n_rows, recurrent: None)


def bounds(n_turns, n_train=1000, n_epochs=20):
    """Held-out bound after the same epochs by the fused and the readable path, over five seeds."""
    train, held_out = binary_mnist(n_train, n_train // 2)

    def bound(seed):
        trainer = trainer_for(train, 100, n_epochs * -(-len(train) // 100))
        trainer.rng = np.random.default_rng(seed)
        trainer.generator.manual_seed(seed)
        for _ in range(n_epochs):
            trainer.epoch(Rows(ArrayRows(train), CPU))
        return held_out_bound(trainer, held_out)

    fused = [bound(seed) for seed in range(5)]
    again = bound(0)
    with readable():
        plain = [bound(seed) for seed in range(5)]
    difference = np.subtract(fused, plain)
    return {
        "epochs": n_epochs,
        "rows": len(train),
        "fused": fused,
        "readable": plain,
        "mean_difference": difference.mean(),
        "standard_error": difference.std(ddof=1) / np.sqrt(5),
        "spread_over_seeds": np.std(plain, ddof=1),
        "same_seed_same_bits": again == fused[0],
    }


def time_to_bound(n_turns, n_train=2000, target=-150.0, most=60):
    """Seconds of processor time until held-out rows have a bound, bounds not timed."""
    train, held_out = binary_mnist(n_train, n_train // 5)
    rows = Rows(ArrayRows(train), CPU)

    def encoder():
        trainer = trainer_for(train, 100, most * -(-len(train) // 100))
        return lambda: trainer.epoch(rows), lambda: held_out_bound(trainer, held_out)

    def pythae():
        model = pythae_vae()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        rng = np.random.default_rng(0)

        def epoch():
            model.train()
            for batch, _ in rows.shuffled(100, rng):
                optimizer.zero_grad()
                model({"data": batch}).loss.backward()
                optimizer.step()

        def bound():
            model.eval()
            with torch.no_grad():
                return -float(model({"data": torch.from_numpy(held_out)}).loss)

        return epoch, bound

    found = {"target": target, "rows": len(train)}
    with readable():
        found["readable"] = seconds_until(target, most, *encoder())
    for name, parts in (("encoder", encoder()), ("pythae", pythae())):
        found[name] = seconds_until(target, most, *parts)
    return found


def seconds_until(target, most, epoch, bound):
    seconds, number, reached = 0.0, 0, -np.inf
    while number < most and reached < target:
        number += 1
        started = time.process_time()
        epoch()
        seconds += time.process_time() - started
        reached = bound()
    return {"epochs": number, "seconds": seconds, "bound": reached}


def digits(n_turns):
    """Wall time of a fit to the embedded digits, everything at its default."""
    X, encoder = report.digits(), HierarchicalSparseEncoder(random_state=0)
    turns = {f"{n} threads": on_threads(n, lambda: encoder.fit(X)) for n in (1, 2)}
    seconds = medians(turns, min(3, n_turns), time.perf_counter)
    n_steps = encoder.n_iter_ * -(-len(X) // SEARCHING.batch_size)
    return {"wall_seconds": seconds, "steps": n_steps}


def search(n_turns):
    """Wall seconds of a small search with one and with two processes."""
    X, grid = report.digits()[:1000], {"layer_sizes": [(100, 50), (50, 25)]}
    found = {}
    for n_jobs in (1, 2):
        estimator = HierarchicalSparseEncoder(max_iter=20, random_state=0)
        started = time.perf_counter()
        GridSearchCV(estimator, grid, cv=3, n_jobs=n_jobs).fit(X)
        found[f"{n_jobs} jobs"] = time.perf_counter() - started
    return {"fits": 7, "wall_seconds": found}


MEMORY = """
import sys, threading, time
sys.path[:0] = {path!r}
import numpy as np, torch
torch.set_num_threads(1)
from large_inputs import anonymous_bytes
from skrgvae import HierarchicalSparseEncoder
import skrgvae.fitting
few = np.zeros((200, {n_columns}), np.float32)
few[::2] = 1
HierarchicalSparseEncoder((4, 2), max_iter=1).fit(few)  # all that is imported late
before = anonymous_bytes()
X = np.random.default_rng(0).random(({n_rows}, {n_columns}), dtype=np.float32)
peak, done = [0], threading.Event()
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], anonymous_bytes())
thread = threading.Thread(target=watch)
thread.start()
HierarchicalSparseEncoder({sizes!r}, max_iter=1, batch_size=500, random_state=0).fit(X)
done.set()
thread.join()
print(peak[0] - before - X.nbytes)
"""


def memory(n_turns, rows=(10_000, 40_000, 160_000), n_columns=784):
    """Bytes at the peak of a fit of one epoch above the imports and the table itself."""
    found = {}
    for n_rows in rows:
        code = MEMORY.format(path=sys.path, n_rows=n_rows, n_columns=n_columns, sizes=SIZES)
        found[f"{n_rows} rows"] = int(fresh(code))
    return {"columns": n_columns, "bytes_above_the_table": found}


def imports(n_turns):
    """Seconds of processor time of a fresh interpreter with nothing but one import in it."""
    seconds = {name: [] for name in IMPORTS}
    for _ in range(max(3, n_turns // 3)):
        for name, statement in IMPORTS.items():
            code = f"import time; a = time.process_time(); {statement}; "
            seconds[name].append(float(fresh(code + "print(time.process_time() - a)")))
    found = {name: float(np.median(seen[1:])) for name, seen in seconds.items()}
    return {**found, "difference": found["encoder"] - found["PCA"]}


def fresh(code):
    """What a new interpreter prints."""
    command = [sys.executable, "-c", code]
    # Modules are compiled once, as where a package is installed.
    environment = {name: os.environ[name] for name in os.environ if name != WRITES_NO_CODE}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout
