"""
A planted hierarchy of sparse causes, found again
=================================================

Claim: in tables made from a known hierarchy of sparse causes, at least 80 % of the causes get a
unit of their own whose activity correlates above 0.8 with theirs, and inspection names the right
columns for at least 90 % of these units. What is missed are upper causes more than lower ones.

Three upper causes each drive five lower causes, and each lower cause raises four of the 60 columns
by amounts of its own; noise with a standard deviation of 0.3 is added to every column. All
activities are zero or positive. Three ways to draw them:

- `gates`: an upper cause is on in a quarter of the rows, with an exponential size. A lower cause
  is on with probability 0.8 where its upper cause is, and then larger the larger that is, else
  with probability 0.05;
- `rectified`: the upper cause is a rectified Gaussian, and a lower cause too, with a mean that
  rises with its upper cause: the encoder's own family;
- `equal sizes`: as `gates`, but the sizes hardly differ, so that a correlation rests on telling
  on from off.

The encoder has 20 units below and 6 above, a third more than there are lower causes and twice as
many as there are upper ones, as nobody knows these numbers; everything else is its default. Lower
causes are matched with units of the bottom layer and upper causes with units of the top layer,
each unit with one cause at most (the assignment with the largest sum of correlations). The right
columns of an upper cause are those of all its lower ones. A function of inspection names the right
columns of a unit when at least 90 % of the k columns with the largest positive weights are the
cause's, for a cause with k columns: all four of a lower cause, 18 of the 20 of an upper one. What
a unit stands for is said by `unit_effects`; `unit_inputs`, which says what it reads, is recorded
beside it::

    python examples/planted_structure.py --seeds 5
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import unit_effects, unit_inputs

sys.path.append(str(Path(__file__).parent / "robustness"))
import report

N_UPPER = 3
LOWER_PER_UPPER = 5
COLUMNS_PER_LOWER = 4
N_LOWER = N_UPPER * LOWER_PER_UPPER
N_COLUMNS = N_LOWER * COLUMNS_PER_LOWER
PARENT = np.repeat(np.arange(N_UPPER), LOWER_PER_UPPER)
NOISE = 0.3
LAYER_SIZES = (20, 6)
FOUND_ABOVE = 0.8
RIGHT_SHARE = 0.9


def gates(rng, n_rows, upper_sizes, add=0.0):
    """Upper causes that open lower ones, which are larger by as much as these are."""
    upper = (rng.random((n_rows, N_UPPER)) < 0.25) * upper_sizes
    driven = upper[:, PARENT] > 0
    on = rng.random((n_rows, N_LOWER)) < np.where(driven, 0.8, 0.05)
    sizes = np.where(driven, add + upper[:, PARENT], 1.0)
    return upper, on * sizes * rng.gamma(9, 1 / 9, (n_rows, N_LOWER))


def exponential_gates(rng, n_rows):
    return gates(rng, n_rows, rng.exponential(1.0, (n_rows, N_UPPER)), add=0.5)


def equal_gates(rng, n_rows):
    return gates(rng, n_rows, rng.gamma(9, 1 / 9, (n_rows, N_UPPER)))


def rectified(rng, n_rows):
    upper = np.maximum(rng.normal(-0.5, 1, (n_rows, N_UPPER)), 0)
    lower = rng.normal(1.5 * upper[:, PARENT] - 0.5, 0.5)
    return upper, np.maximum(lower, 0)


PLANTED = {"gates": exponential_gates, "rectified": rectified, "equal sizes": equal_gates}


def draw(planted, n_rows, seed):
    """Table of shape (n_rows, N_COLUMNS), and activities of lower and upper causes."""
    rng = np.random.default_rng(seed)
    upper, lower = PLANTED[planted](rng, n_rows)
    loadings = np.zeros((N_LOWER, N_COLUMNS))
    for cause in range(N_LOWER):
        loadings[cause, columns_of(0, cause)] = rng.uniform(0.7, 1.3, COLUMNS_PER_LOWER)
    return lower @ loadings + NOISE * rng.normal(size=(n_rows, N_COLUMNS)), lower, upper


def columns_of(layer, cause):
    """Positions of the columns that a cause raises."""
    width = COLUMNS_PER_LOWER * (1 if layer == 0 else LOWER_PER_UPPER)
    return np.arange(cause * width, (cause + 1) * width)


def match(causes, features):
    """Unit and correlation of every cause."""
    n_causes = causes.shape[1]
    varies = np.flatnonzero(np.ptp(features, axis=0) > 0)
    correlation = np.corrcoef(causes.T, features[:, varies].T)[:n_causes, n_causes:]
    rows, units = linear_sum_assignment(correlation, maximize=True)
    assert len(rows) == n_causes  # as many units that change as causes
    return varies[units], correlation[rows, units]


def names_columns(table, layer, unit, right):
    """Whether the columns with the largest positive weights are the right ones."""
    mine = (table["layer"] == layer) & (table["unit"] == unit) & (table["weight"] > 0)
    named = table["column"][mine][: len(right)]
    n_right = sum(int(name[1:]) in right for name in named)
    return n_right >= RIGHT_SHARE * len(right)


def run(planted, seed, n_rows, max_iter):
    """Plant, fit, match and ask; figures of one table."""
    X, *causes = draw(planted, n_rows, seed)
    started = time.perf_counter()
    encoder = HierarchicalSparseEncoder(LAYER_SIZES, max_iter=max_iter, random_state=seed).fit(X)
    seconds = time.perf_counter() - started
    features = encoder.transform(X)
    tables = {
        "unit_effects": unit_effects(encoder, None),
        "unit_inputs": unit_inputs(encoder, X, None),
    }
    figures = {"seed": seed, "seconds_of_training": seconds}
    for layer, name in enumerate(("lower", "upper")):
        units, correlation = match(causes[layer], features[:, encoder.layer_slices_[layer]])
        found = np.flatnonzero(correlation > FOUND_ABOVE)
        figures[name] = {
            "causes": len(units),
            "found": len(found),
            "correlations": np.sort(correlation).round(3).tolist(),
            "found_and_right_columns": {
                by: sum(
                    names_columns(table, layer, units[cause], columns_of(layer, cause))
                    for cause in found
                )
                for by, table in tables.items()
            },
        }
    return figures


def summary(runs):
    """Shares over all tables of one kind, and in the worst of them."""
    causes = {"lower": N_LOWER, "upper": N_UPPER, "all": N_LOWER + N_UPPER}

    def counts(key):
        """One number per table for lower causes, upper causes and all."""
        lower, upper = ([key(run[name]) for run in runs] for name in ("lower", "upper"))
        return {"lower": lower, "upper": upper, "all": np.add(lower, upper).tolist()}

    found = counts(lambda figures: figures["found"])
    right = {
        by: counts(lambda figures, by=by: figures["found_and_right_columns"][by])
        for by in ("unit_effects", "unit_inputs")
    }
    return {
        "share_found": {name: np.mean(found[name]) / n for name, n in causes.items()},
        "share_found_in_the_worst_table": min(found["all"]) / causes["all"],
        "share_of_found_with_right_columns": {
            by: {
                name: sum(numbers[name]) / sum(found[name]) if sum(found[name]) else None
                for name in causes
            }
            for by, numbers in right.items()
        },
    }


def main(argv=None):
    """Run all tables and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="tables of each kind")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=200, help="passes over the rows")
    parser.add_argument("--planted", nargs="+", choices=PLANTED, default=list(PLANTED))
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    figures = {}
    for planted in arguments.planted:
        runs = [
            run(planted, seed, arguments.rows, arguments.epochs) for seed in range(arguments.seeds)
        ]
        figures[planted] = {**summary(runs), "runs": runs}
    return report.write(
        "planted_structure",
        {
            "rows": arguments.rows,
            "columns": N_COLUMNS,
            "lower_causes": N_LOWER,
            "upper_causes": N_UPPER,
            "noise": NOISE,
            "layer_sizes": LAYER_SIZES,
            "epochs": arguments.epochs,
            **figures,
        },
        arguments.results,
    )


if __name__ == "__main__":
    main()
