"""
How often the verdict of the pilot is right
===========================================

The pilot meets tables whose right verdict is known, of three kinds, and its verdicts are counted:

- "pays": six sparse causes of either sign, seen through forty noisy columns; the class is whether
  one of the first two is on. A few labels suffice once the causes are known, and no column tells.
- "does_not_pay": ten independent columns, of which two tell the class; there is nothing for an
  encoder to find, and it loses some of what the columns say.
- "cannot_tell": the class has nothing to do with the columns.

Every study is small (an encoder of 12 and 6 units, and as few labels as 60)::

    python examples/pilot_verdicts.py --seeds 100
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from skrgvae import HierarchicalSparseEncoder
from skrgvae.pilot import run_pilot


def hidden_causes(rng):
    """The class is whether one of the first two of six causes is on, whichever its sign."""
    on = rng.uniform(size=(2000, 6)) < 0.25
    causes = on * rng.uniform(2, 4, size=on.shape) * rng.choice([-1, 1], size=on.shape)
    # Orthogonal and of one size, so that principal components mix them.
    directions = np.linalg.qr(rng.normal(size=(40, 6)))[0].T * np.sqrt(40 / 6)
    return causes @ directions + rng.normal(size=(2000, 40)), on[:, :2].any(axis=1)


def plain_columns(rng):
    """The class is told by two of ten independent columns."""
    X = rng.normal(size=(600, 10))
    return X, X[:, 0] + X[:, 1] + 0.5 * rng.normal(size=600) > 0


def pure_noise(rng):
    """The class is drawn apart from the columns."""
    return rng.normal(size=(600, 10)), rng.uniform(size=600) < 0.3


TABLES = {"pays": hidden_causes, "does_not_pay": plain_columns, "cannot_tell": pure_noise}


def study(right, seed, max_iter):
    """The pilot's verdict and its reason on one table."""
    X, y = TABLES[right](np.random.default_rng(seed))
    result = run_pilot(
        X,
        y,
        quick=True,
        labels=(60,),
        n_repeats=2,
        encoder=HierarchicalSparseEncoder((12, 6), max_iter=max_iter, batch_size=200),
        random_state=seed,
    )
    named = [leak.column for leak in result.data.leaks]
    return {
        "decision": result.verdict.decision,
        "reason": result.verdict.reason,
        "leaks": named,
        "differences": [
            [budget.difference.low, budget.difference.mean, budget.difference.high]
            for budget in result.verdict.budgets
        ],
    }


def main(argv=None):
    """Study every kind of table for every seed, and record."""
    sys.path.insert(0, str(Path(__file__).parent / "robustness"))
    import report

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--max-iter", type=int, default=120)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    studies = {right: [] for right in TABLES}
    for seed in range(arguments.seeds):
        for right, done in studies.items():
            done.append(study(right, seed, arguments.max_iter))
            print(right, seed, done[-1]["decision"], done[-1]["reason"], flush=True)
    figures = {right: counted(right, done) for right, done in studies.items()}
    settings = {"seeds": arguments.seeds, "max_iter": arguments.max_iter}
    return report.write("pilot_verdicts", settings | figures, arguments.results)


def counted(right, studies):
    """How often each verdict was given where one is right."""
    decisions = [one["decision"] for one in studies]
    return {
        "decisions": {name: decisions.count(name) for name in TABLES},
        "right": decisions.count(right) / len(studies),
        "columns_named_as_leaks": sum(len(one["leaks"]) for one in studies),
        "studies": studies,
    }


if __name__ == "__main__":
    main()
