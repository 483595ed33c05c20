"""
How far the figures of a fitted encoder can be trusted
======================================================

What the ELBO of held-out digits is worth: its standard errors, the importance-weighted bound for
growing k beside it, and how well q covers the posterior. Coverage is reported here and asserted
nowhere: q is an approximation, and how good a one is for the data to say.

Coverage of a layer: rows x and units z are drawn together from the model itself, so that z is a
draw from the true posterior p(z_l | layers above, x). A central interval of
q(z_l | layers above, x) that should hold a share of them then holds the share below. At the mass
at zero, the place of a value within it is drawn::

    python examples/robustness/trusted_figures.py
"""

import argparse
from pathlib import Path

import numpy as np
import report
import torch

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import elbo_estimate

LEVELS = (0.5, 0.9, 0.99)


@torch.no_grad()
def coverage(encoder, n_rows, seed=0):
    """Share of drawn units inside the central intervals of q, per layer and level."""
    module = encoder._model.module(torch.float64)
    generator = torch.Generator().manual_seed(seed)
    sizes = encoder.layer_sizes_
    noise = torch.randn(n_rows, sum(sizes), generator=generator, dtype=torch.float64)
    values = module.generate(noise.split(sizes, dim=1))
    rows = module.likelihood.sample(module.top_down.decode(values), generator)
    messages = module.messages(rows)
    shares = []
    for layer, value in enumerate(values):
        prior = module.top_down.prior(layer, values[layer + 1 :], (n_rows,))
        q = module.law.distribution(*module.merge(*prior, messages[layer]))
        upper = q.cdf(value)
        below = torch.zeros_like(upper) if module.law.has_atom else upper
        lower = torch.where(value == 0, below, upper)
        place = torch.rand(upper.shape, generator=generator, dtype=torch.float64)
        rank = lower + place * (upper - lower)
        shares.append({f"{p}": ((rank - 0.5).abs() < p / 2).double().mean() for p in LEVELS})
    return shares


def main(argv=None):
    """Train on digits, look at the rest, and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--k", type=int, nargs="+", default=[2, 8, 32, 128, 512])
    parser.add_argument("--rows", type=int, default=2000, help="drawn for the coverage")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    X = report.digits()
    order = np.random.default_rng(0).permutation(len(X))
    train, test = X[order[:1347]], X[order[1347:]]
    figures = {}
    for posterior in ("structured", "mean_field"):
        encoder = HierarchicalSparseEncoder(
            (32, 16), posterior=posterior, max_iter=arguments.epochs, random_state=0
        ).fit(train)
        bounds = {}
        for k in arguments.k:
            values = encoder.score_samples(test.astype(np.float64), n_importance_samples=k)
            bounds[f"{k}"] = float(values.mean())
        figures[posterior] = {
            "rows": len(test),
            "elbo": elbo_estimate(encoder, test, arguments.draws)._asdict(),
            "importance_weighted_bound": bounds,
            "coverage_of_q_by_layer": coverage(encoder, arguments.rows),
        }
    return report.write("trusted_figures", figures, arguments.results)


if __name__ == "__main__":
    main()
