"""
Random configurations on random data: finite numbers, or an error that says what to change
==========================================================================================

Claim: whatever the scales of the columns (1e-30 to 1e30, in float64 1e-200 to 1e200 as well),
constant and almost constant columns, outliers, one-hot columns never on, integers and half
precision, a single row, batches of one, learning rates from 1e-12 to 1e12, and any law, posterior
and architecture: a `fit` ends with finite weights, features, scores and samples, or with a
ValueError that names what to change. No warning, no other error, no silent NaN.

Case number i is drawn from seed i alone, so that one that fails can be run by itself::

    python examples/robustness/random_configurations.py --cases 500
    python examples/robustness/random_configurations.py --first 123 --cases 1 --results /tmp
"""

import argparse
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import report
import torch

from skrgvae import HierarchicalSparseEncoder

# What a ValueError must name at least one of, to say what to change.
ADVICE = ("learning_rate", "batch_norm", "scale", "likelihood", "samples", "early_stopping")


def scaled(rng, n_rows):
    return rng.normal(rng.normal() * 10, 1, n_rows) * 10.0 ** rng.uniform(-30, 30)


def extreme(rng, n_rows):
    """Beyond what float32 holds."""
    return rng.normal(size=n_rows) * 10.0 ** rng.choice([-200, -100, -45, 45, 100, 200])


def constant(rng, n_rows):
    return np.full(n_rows, rng.choice([0.0, 1.0, -3.5, 1e-30, 1e30]))


def almost_constant(rng, n_rows):
    """One row differs by a rounding error, or by little."""
    column = np.full(n_rows, rng.choice([0.0, 1.0, 1e9, 1e-30]))
    column[rng.integers(n_rows)] += rng.choice([1e-300, 1e-38, 1e-16, 1e-7, 1e-3])
    return column


def outlier(rng, n_rows):
    column = rng.normal(size=n_rows)
    column[rng.integers(n_rows)] *= 10.0 ** rng.uniform(2, 35)
    return column


def rare(rng, n_rows):
    """A one-hot column that is on once or never."""
    column = np.zeros(n_rows)
    column[rng.integers(n_rows)] = rng.integers(2)
    return column


def binary(rng, n_rows):
    return rng.integers(0, 2, n_rows).astype(float)


def intensity(rng, n_rows):
    return rng.random(n_rows)


def count(rng, n_rows):
    return rng.poisson(rng.uniform(0.1, 50), n_rows).astype(float)


COLUMNS = [scaled, extreme, constant, almost_constant, outlier, rare, binary, intensity, count]


def table(rng):
    """Rows of up to seven kinds of columns in one of the types that users have."""
    n_rows = int(rng.choice([1, 2, 3, 7, 40, 90]))
    n_columns = int(rng.integers(1, 8))
    kinds = [str(rng.choice([kind.__name__ for kind in COLUMNS])) for _ in range(n_columns)]
    if rng.random() < 0.3:
        kinds = [kinds[0]] * n_columns
    makers = {kind.__name__: kind for kind in COLUMNS}
    X = np.column_stack([makers[kind](rng, n_rows) for kind in kinds])
    dtype = np.dtype(str(rng.choice(["f8", "f8", "f4", "f2", "i8", "i4", "u1", "?"])))
    if dtype.kind == "f" and dtype.itemsize < 8:
        # Well inside as well: scikit-learn's check for infinities adds up the whole table.
        X = X.clip(np.finfo(dtype).min / 1e4, np.finfo(dtype).max / 1e4)
    elif dtype.kind in "iu":
        # Integers this large are not exact in float64: well inside, so that the cast is defined.
        X = X.clip(np.iinfo(dtype).min / 2, np.iinfo(dtype).max / 2)
    return X.astype(dtype), kinds


def parameters(rng, seed):
    """Parameters of an encoder, extreme ones now and then."""
    n_layers = int(rng.integers(1, 4))

    def pick(*values):
        return values[int(rng.integers(len(values)))]

    return {
        "layer_sizes": tuple(int(size) for size in rng.integers(1, 9, n_layers)),
        "hidden_layer_sizes": pick(None, None, 5, "auto"),
        "latent": pick("rectified_gaussian", "rectified_gaussian", "gaussian"),
        "posterior": pick("structured", "structured", "mean_field"),
        "likelihood": pick("auto", "auto", "auto", "gaussian"),
        "batch_norm": pick(True, True, False),
        "optimizer": pick("adamax", "adam"),
        "learning_rate": pick(1e-2, 1e-2, 1e-2, float(10.0 ** rng.uniform(-12, 12))),
        "batch_size": pick(1, 2, 16, 1000, "auto"),
        "max_iter": pick(1, 3, 6),
        "kl_weight": pick(1.0, 1.0, 0.0, 1e6),
        "kl_warmup": pick(0.0, 0.1, 1.0),
        "free_bits": pick(0.03, 0.0, 100.0),
        "firing_rate": pick("auto", 0.5, None, 1e-6, 1 - 1e-6),
        "skip_connections": pick(True, False),
        "sparsity_penalty": pick(0.0, 0.0, 1e3),
        "weight_decay": pick("auto", 0.0, 1.0),
        "input_dropout": pick("auto", 0.3, 0.999),
        "early_stopping": pick("auto", False, True),
        "n_iter_no_change": 1,
        "random_state": seed,
    }


def outcome(seed):
    """What became of a case: "finite", "ValueError", or what is wrong."""
    rng = np.random.default_rng(seed)
    X, kinds = table(rng)
    chosen = parameters(rng, seed)
    case = {"seed": seed, "columns": kinds, "dtype": X.dtype.name, "rows": len(X), **chosen}
    encoder = HierarchicalSparseEncoder(**chosen)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            encoder.fit(X)
            numbers = {
                "weights": np.concatenate(
                    [array.ravel().astype(float) for array in encoder._model.arrays.values()]
                ),
                "components_": encoder.components_,
                "score": encoder.score_samples(X),
                "importance-weighted score": encoder.score_samples(X, 3),
                "samples": encoder.sample(3),
            }
            for feature in ("median", "mean", "active"):
                numbers[feature] = encoder.set_params(feature=feature).transform(X)
    except ValueError as error:
        if any(word in str(error) for word in ADVICE):
            return "ValueError", {**case, "why": str(error)}
        return "wrong", {**case, "why": f"no advice: {error}"}
    except Exception:
        return "wrong", {**case, "why": traceback.format_exc(limit=-3)}
    bad = [name for name, values in numbers.items() if not np.isfinite(values).all()]
    return ("wrong", {**case, "why": f"not finite: {bad}"}) if bad else ("finite", case)


def main(argv=None):
    """Run the cases, count what became of them, and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    started = time.perf_counter()
    counts, errors, wrong = Counter(), Counter(), []
    for seed in range(arguments.first, arguments.first + arguments.cases):
        what, case = outcome(seed)
        counts[what] += 1
        if what == "ValueError":
            errors[case["why"].split(".")[0][:60]] += 1
        elif what == "wrong":
            wrong.append(case)
    figures = {
        "cases": arguments.cases,
        "first_seed": arguments.first,
        "outcomes": dict(counts),
        "errors": dict(errors),
        "wrong": wrong,
        "seconds": time.perf_counter() - started,
    }
    record = report.write("random_configurations", figures, arguments.results)
    if wrong:
        raise SystemExit(f"{len(wrong)} cases went wrong: see the record")
    return record


if __name__ == "__main__":
    main()
