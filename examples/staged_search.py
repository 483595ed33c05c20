"""
From a quick small search to a full one, in three stages
========================================================

Claim: most of the choice of sizes can be made with few rows and few epochs. Every stage asks the
question that its cost allows, and hands on fewer candidates than it got:

1. Which sizes? Several depths and widths around what `suggest_layer_sizes` gives, with few epochs,
   on few rows at first (HalvingGridSearchCV with `n_samples` as the resource).
2. Which settings? The winner's sizes with other values of the parameters that steer the units, on
   all rows, with few epochs at first (`max_iter` as the resource).
3. The winner, with as many epochs as early stopping lets it have.

The criterion is the final task, here the accuracy of a logistic regression on the features. The
cost is told in row passes (rows x epochs, summed over all fits), which do not depend on the
machine, and in seconds, which do.
"""

import time

from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingGridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder, suggest_layer_sizes

N_FOLDS = 2
STEP = "hierarchicalsparseencoder__"
SETTINGS = {"free_bits": [0.01, 0.03, 0.1], "firing_rate": [0.2, 0.5]}


def candidate_sizes(X):
    """Three depths of the suggested sizes, each at a half, one and two times the width."""
    suggested = suggest_layer_sizes(X)
    depths = sorted({1, min(2, len(suggested)), len(suggested)})
    return [
        tuple(max(1, round(factor * size)) for size in suggested[:depth])
        for depth in depths
        for factor in (0.5, 1, 2)
    ]


def pipeline(**parameters):
    """Features, then the classifier that judges them."""
    encoder = HierarchicalSparseEncoder(random_state=0, **parameters)
    return make_pipeline(encoder, StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def halving(estimator, grid, resource, least, most, X, y):
    """Search, report, and return the best parameters and the row passes it took."""
    started = time.perf_counter()
    search = HalvingGridSearchCV(
        estimator,
        {STEP + name: values for name, values in grid.items()},
        resource=resource if resource == "n_samples" else STEP + resource,
        min_resources=least,
        max_resources=most,
        factor=3,
        cv=N_FOLDS,
        random_state=0,
    ).fit(X, y)
    for n_candidates, amount in zip(search.n_candidates_, search.n_resources_, strict=True):
        print(f"    {n_candidates} candidates with {resource} = {amount}")
    passes = 0
    for amount in search.cv_results_["n_resources"]:
        rows = amount if resource == "n_samples" else len(X)
        epochs = amount if resource == "max_iter" else estimator[0].max_iter
        passes += rows * (N_FOLDS - 1) * epochs  # all folds together
    best = {name: search.best_params_[STEP + name] for name in grid}
    print(f"    best: {best}, accuracy {search.best_score_:.3f}")
    print(f"    cost: {passes:,} row passes, {time.perf_counter() - started:.0f} s")
    return best, passes


def main(n_rows=1200, sizes=None, few_epochs=5, max_iter=18, last_iter=150):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X / 16, y, train_size=n_rows, stratify=y, random_state=0
    )
    sizes = candidate_sizes(X) if sizes is None else sizes

    print(f"1. {len(sizes)} choices of layer_sizes, {few_epochs} epochs")
    least = n_rows // 4
    best, first = halving(
        pipeline(max_iter=few_epochs), {"layer_sizes": sizes}, "n_samples", least, n_rows, X, y
    )
    print("2. settings of the units, on all rows")
    settings, second = halving(
        pipeline(**best), SETTINGS, "max_iter", max_iter // 3, max_iter, X, y
    )
    print("3. the winner, with early stopping")
    started = time.perf_counter()
    final = pipeline(
        **best, **settings, max_iter=last_iter, early_stopping=True, validation_fraction=0.15
    ).fit(X, y)
    encoder = final[0]
    third = round(0.85 * n_rows) * encoder.n_iter_
    print(f"    {encoder.n_iter_} epochs, the best of them {encoder.best_iter_}")
    print(f"    held-out ELBO {max(encoder.history_['validation_elbo']):.2f} nats")
    print(f"    accuracy on {len(X_test)} new rows: {final.score(X_test, y_test):.3f}")
    print(f"    cost: {third:,} row passes, {time.perf_counter() - started:.0f} s")

    n_settings = len(SETTINGS["free_bits"]) * len(SETTINGS["firing_rate"])
    grid = len(sizes) * n_settings * n_rows * (N_FOLDS - 1) * max_iter
    print(f"all stages: {first + second + third:,} row passes")
    print(f"the same grid in one search with {max_iter} epochs: {grid:,} (not run)")


if __name__ == "__main__":
    main()
