"""
Choosing the layers' sizes without labels
=========================================

Claim: the ELBO of held-out rows ranks sizes without any label, by scikit-learn's own searches:
GridSearchCV needs no `scoring`, and HalvingGridSearchCV comes to a choice with a part of the
epochs, by giving many of them (`max_iter` as the resource) to the better candidates only.

The searches run two fits at a time; joblib then leaves each of them its share of the cores.
"""

import time

from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from skrgvae import HierarchicalSparseEncoder

SIZES = [(16,), (64,), (64, 32), (64, 32, 16)]


def main(sizes=SIZES, max_iter=18, n_rows=1000, n_jobs=2):
    """Print the held-out ELBO of every choice, and what each search took."""
    X = load_digits().data[:n_rows] / 16
    encoder = HierarchicalSparseEncoder(max_iter=max_iter, random_state=0)
    searches = {
        "grid": GridSearchCV(encoder, {"layer_sizes": sizes}, cv=2, n_jobs=n_jobs),
        "halving": HalvingGridSearchCV(
            encoder,
            {"layer_sizes": sizes},
            resource="max_iter",
            min_resources=max(1, max_iter // 9),
            max_resources=max_iter,
            factor=3,
            cv=2,
            n_jobs=n_jobs,
            random_state=0,
        ),
    }
    print(f"{'search':<10}{'layer_sizes':<16}{'epochs':>8}{'held-out ELBO':>16}{'rank':>6}")
    summary = []
    for name, search in searches.items():
        started = time.perf_counter()
        search.fit(X)
        seconds = time.perf_counter() - started
        results = search.cv_results_
        epochs = results.get("n_resources", [max_iter] * len(results["params"]))
        for i, params in enumerate(results["params"]):
            print(
                f"{name:<10}{params['layer_sizes']!s:<16}{epochs[i]:>8}"
                f"{results['mean_test_score'][i]:>16.2f}{results['rank_test_score'][i]:>6}"
            )
        best = search.best_params_["layer_sizes"]
        summary.append(f"{name}: {best} after {sum(epochs)} epochs per fold, {seconds:.0f} s")
    print("\n" + "\n".join(summary))


if __name__ == "__main__":
    main()
