"""
Tables with holes: a benchmark
==============================

Cells are removed from training and test rows of complete (or nearly complete) tables. Every method
is fitted on what is left of the training rows, fills the holes in, and hands features to a
LogisticRegression::

    python examples/benchmarks/missing.py                       # everything that is missing
    python examples/benchmarks/missing.py --sets digits --shares 0.3 --methods mean encoder
    python examples/benchmarks/missing.py --table               # only print what is there

Removed cells. "random": each cell with the probability that is the share. "high": cells of numeric
columns above their column's training median with twice that probability, at most 1, and no others
(at share 0.5 none of them is left); cells of categorical columns at random. What was missing to
begin with stays so and is no error of anybody.

Sets (feature_sets.py): digits scaled to [0, 1], SECOM, "adult_whole", and "adult", which is 3,000
rows each of its training and its test part, enough for the quick methods to be drawn again and for
the neighbours of all rows. `--seed` draws these rows, other than 0 also another split of digits
and SECOM, and the cells that are removed.

Methods. "mean": SimpleImputer. "knn": KNNImputer. "iterative": IterativeImputer with all other
columns as predictors; "iterative100": with 100 of them, drawn by their correlation;
"iterative_gram": with all, its regressions solved through the Gram matrix (gram_ridge.py), which
gives the same numbers in a fifth of the time. All with scikit-learn's defaults otherwise, on
numbers standardised by their known training entries (digits as they are) and one-hot categories,
whose likeliest is the filled-in one; then PCA, to 95 % of the variance.
"iterative_ordinal": the codes of the categories instead, rounded, and one-hot for the
PCA only. (The one-hot columns of a category add up to 1, so that IterativeImputer predicts each of
them from the first guess at the others, and stays at the most frequent category.)
"encoder": HierarchicalSparseEncoder with its defaults, the table as it is, `impute` and
`transform`. "encoder_mean": the same with feature="mean".

Figures, by part ("train", "test"): the root mean square of the errors over the removed numeric
cells, each in standard deviations of its column in all complete rows (columns without any
variation are left out), and the share of removed categorical cells that are filled in wrong.
Balanced accuracy on the test rows by probe.py, all training labels. Seconds of computing time
(`process_time`) to fit and fill in the training rows, and to fill in the test rows.

Each finished cell (a set, a mechanism, a share and a method) is written to a JSON file at once,
and skipped when it is asked for again, unless its configuration has changed since.
"""

import argparse
import json
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from feature_sets import SETS, FeatureSet, split
from features import add_result, machine, read_results, versions
from gram_ridge import GramRidge
from probe import probe
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from threadpoolctl import threadpool_limits

from skrgvae import HierarchicalSparseEncoder

RESULTS = Path(__file__).parents[1] / "results" / "missing.json"
SHARES = (0.1, 0.3, 0.5)
ADULT_ROWS = 3000


def load(name, seed):
    if name == "adult_whole":
        return SETS["adult"]()
    data = SETS[name]()
    if name != "adult":
        if seed == 0:
            return data
        X, y = np.vstack([data.X_train, data.X_test]), np.append(data.y_train, data.y_test)
        return split(X, y, seed)
    rng = np.random.default_rng(seed)
    train, test = (
        rng.choice(len(y), ADULT_ROWS, replace=False) for y in (data.y_train, data.y_test)
    )
    return FeatureSet(
        data.X_train.iloc[train].reset_index(drop=True),
        data.y_train[train],
        data.X_test.iloc[test].reset_index(drop=True),
        data.y_test[test],
    )


class Numbers:
    """A table as one matrix: numbers as they are, categories as codes; NaN is missing."""

    def __init__(self, table):
        self.frame = table if isinstance(table, pd.DataFrame) else None
        self.dtypes = [] if self.frame is None else list(table.dtypes)
        self.categories = np.array(
            [
                len(dtype.categories) if isinstance(dtype, pd.CategoricalDtype) else 0
                for dtype in self.dtypes
            ]
            or [0] * table.shape[1]
        )

    def to_matrix(self, table):
        if self.frame is None:
            return table.astype(np.float64)
        columns = [
            table[name].cat.codes.replace(-1, np.nan) if size else table[name]
            for name, size in zip(table, self.categories, strict=True)
        ]
        return np.column_stack([column.to_numpy(dtype=np.float64) for column in columns])

    def to_table(self, matrix):
        if self.frame is None:
            return matrix.astype(np.float32)
        columns = {}
        for j, (name, dtype) in enumerate(zip(self.frame, self.dtypes, strict=True)):
            column = matrix[:, j]
            if self.categories[j]:
                codes = np.where(np.isnan(column), -1, column).astype(int)
                column = pd.Categorical.from_codes(codes, dtype=dtype)
            columns[name] = column
        return pd.DataFrame(columns)


def remove(matrix, categories, median, mechanism, share, rng):
    """Which cells to remove, of those that are known."""
    draw = rng.random(matrix.shape)
    lost = draw < share
    if mechanism == "high":
        high = (matrix > median) & (draw < 2 * share)
        lost = np.where(categories > 0, lost, high)
    return lost & ~np.isnan(matrix)


class Columns:
    """Standardised numbers and one-hot categories, for methods that know nothing else."""

    def __init__(self, matrix, categories, standardise):
        self.categories = categories
        self.mean = np.nan_to_num(np.nanmean(matrix, axis=0))
        spread = np.nanstd(matrix, axis=0)
        self.spread = np.where(spread > 1e-6 * np.abs(self.mean), spread, 1)
        if not standardise:
            self.mean, self.spread = np.zeros_like(self.mean), np.ones_like(self.spread)

    def encode(self, matrix):
        blocks = []
        for j, size in enumerate(self.categories):
            column = matrix[:, j : j + 1]
            if size:
                block = np.where(np.isnan(column), np.nan, column == np.arange(size))
            else:
                block = (column - self.mean[j]) / self.spread[j]
            blocks.append(block)
        return np.hstack(blocks)

    def decode(self, encoded):
        out, start = np.empty((len(encoded), len(self.categories))), 0
        for j, size in enumerate(self.categories):
            block = encoded[:, start : start + max(size, 1)]
            out[:, j] = (
                block.argmax(axis=1) if size else self.mean[j] + self.spread[j] * block[:, 0]
            )
            start += max(size, 1)
        return out


class ByImputer:
    """One of scikit-learn's imputers, and PCA."""

    def __init__(self, imputer, numbers, standardise):
        self.imputer, self.numbers, self.standardise = imputer, numbers, standardise

    def fit_impute(self, matrix):
        self.columns = Columns(matrix, self.numbers.categories, self.standardise)
        return self.columns.decode(self._keep(self.imputer.fit_transform, matrix))

    def impute(self, matrix):
        return self.columns.decode(self._keep(self.imputer.transform, matrix))

    def features(self):
        train, test = self.filled
        pca = PCA(0.95, svd_solver="full").fit(train)
        return {"": (pca.transform(train), pca.transform(test))}

    def _keep(self, fill, matrix):
        filled = fill(self.columns.encode(matrix))
        self.filled = [*getattr(self, "filled", []), filled]
        return filled


class ByCodes(ByImputer):
    """The same with the codes of the categories as numbers."""

    def fit_impute(self, matrix):
        self.one_hot = Columns(matrix, self.numbers.categories, self.standardise)
        self.columns = Columns(matrix, np.zeros_like(self.numbers.categories), self.standardise)
        return self._rounded(self.columns.decode(self._keep(self.imputer.fit_transform, matrix)))

    def impute(self, matrix):
        return self._rounded(super().impute(matrix))

    def features(self):
        rounded = [self._rounded(self.columns.decode(part)) for part in self.filled]
        self.filled = [self.one_hot.encode(part) for part in rounded]
        return super().features()

    def _rounded(self, matrix):
        sizes = self.numbers.categories
        return np.where(sizes > 0, matrix.round().clip(0, np.maximum(sizes - 1, 0)), matrix)


class ByEncoder:
    """The encoder, on the table as it comes."""

    def __init__(self, numbers, seed, **parameters):
        self.numbers = numbers
        self.encoder = HierarchicalSparseEncoder(random_state=seed, **parameters)

    def fit_impute(self, matrix):
        self.encoder.fit(self.numbers.to_table(matrix))
        self.tables = []
        return self.impute(matrix)

    def impute(self, matrix):
        table = self.numbers.to_table(matrix)
        self.tables.append(table)
        return self.numbers.to_matrix(self.encoder.impute(table))

    def features(self):
        features = {}
        for name, feature in (("", "median"), ("_mean", "mean")):
            self.encoder.set_params(feature=feature)
            features[name] = tuple(self.encoder.transform(table) for table in self.tables)
        return features


def build(method, numbers, standardise, seed):
    if method == "encoder":
        return ByEncoder(numbers, seed)
    imputers = {
        "mean": lambda: SimpleImputer(keep_empty_features=True),
        "knn": lambda: KNNImputer(keep_empty_features=True),
        "iterative": lambda: IterativeImputer(random_state=seed, keep_empty_features=True),
        "iterative100": lambda: IterativeImputer(
            random_state=seed, keep_empty_features=True, n_nearest_features=100
        ),
        "iterative_gram": lambda: IterativeImputer(
            GramRidge(), random_state=seed, keep_empty_features=True
        ),
    }
    if method == "iterative_ordinal":
        return ByCodes(imputers["iterative"](), numbers, standardise)
    return ByImputer(imputers[method](), numbers, standardise)


METHODS = ("mean", "knn", "iterative100", "iterative", "iterative_ordinal", "encoder")


def errors(complete, filled, lost, numbers, spread):
    """Standardised RMSE over removed numbers, error rate over removed categories."""
    categorical = numbers.categories > 0
    counted = lost & ~categorical & (spread > 0)
    scaled = (filled - complete) / np.where(spread > 0, spread, 1)
    found = {"rmse": float(np.sqrt(np.mean(scaled[counted] ** 2)))}
    if categorical.any():
        found["error_rate"] = float((filled != complete)[lost & categorical].mean())
    return found


def run_cell(config):
    data = load(config["set"], config["seed"])
    numbers = Numbers(data.X_train)
    complete = [numbers.to_matrix(table) for table in (data.X_train, data.X_test)]
    mechanisms = ("random", "high")
    draw = [config["seed"], mechanisms.index(config["mechanism"]), int(100 * config["share"])]
    rng = np.random.default_rng(draw)
    median = np.nanmedian(complete[0], axis=0)
    lost = [
        remove(part, numbers.categories, median, config["mechanism"], config["share"], rng)
        for part in complete
    ]
    holes = [np.where(gone, np.nan, part) for gone, part in zip(lost, complete, strict=True)]
    everything = np.concatenate(complete)
    spread = np.nanstd(everything, axis=0)
    spread[spread <= 1e-6 * np.abs(np.nanmean(everything, axis=0))] = 0
    method = build(config["method"], numbers, config["set"] != "digits", config["seed"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # scikit-learn's default iterations
        started = time.process_time()
        filled = [method.fit_impute(holes[0])]
        fitted = time.process_time()
        filled.append(method.impute(holes[1]))
        imputed = time.process_time()
    parts = zip(("train", "test"), complete, filled, lost, strict=True)
    figures = {part: errors(*rest, numbers, spread) for part, *rest in parts}
    scores = {}
    for name, (Z_train, Z_test) in method.features().items():
        judged = probe(Z_train, data.y_train, Z_test, data.y_test, ("all",), 1, config["seed"])
        scores[config["method"] + name] = judged["all"]
    return {
        "configuration": config,
        "errors": figures,
        "scores": scores,
        "removed_share": [float(gone.mean()) for gone in lost],
        "n_train": len(data.y_train),
        "n_test": len(data.y_test),
        "fit_seconds": fitted - started,
        "impute_seconds": imputed - fitted,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": machine(),
    }


def configuration(set_name, mechanism, share, method, seed):
    parameters = HierarchicalSparseEncoder().get_params() if method == "encoder" else {}
    config = {
        "set": set_name,
        "mechanism": mechanism,
        "share": share,
        "method": method,
        "parameters": parameters,
        "seed": seed,
    }
    return json.loads(json.dumps(config))  # as it will be read again


def key_of(config):
    share = f"{config['share']:g}"
    parts = [config["set"], config["mechanism"], share, config["method"]]
    return "/".join([*parts, f"seed {config['seed']}"])


def line(key, record):
    """One cell in one line."""
    test, train = record["errors"]["test"], record["errors"]["train"]
    numbers = ", ".join(f"{name} {test[name]:.3f} (train {train[name]:.3f})" for name in test)
    scores = ", ".join(
        f"{name} {judged['scores'][0]:.3f} ± {judged['row_errors'][0]:.3f}"
        for name, judged in record["scores"].items()
    )
    return f"{key}: {numbers}; accuracy {scores}; {record['fit_seconds']:.1f} s"


def main(argv=None):
    """Run the cells that are missing, and print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = ("digits", "secom", "adult", "adult_whole")
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--mechanisms", nargs="+", default=["random", "high"])
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    choices = (*METHODS, "iterative_gram")
    parser.add_argument("--methods", nargs="+", choices=choices, default=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    cells = [
        configuration(set_name, mechanism, share, method, arguments.seed)
        for set_name in arguments.sets
        for mechanism in arguments.mechanisms
        for share in arguments.shares
        for method in arguments.methods
    ]
    for config in cells:
        key = key_of(config)
        known = read_results(arguments.results).get(key)
        if known is None or known["configuration"] != config:
            if arguments.table:
                continue
            with threadpool_limits(1):
                known = run_cell(config)
            add_result(arguments.results, key, known)
        print(line(key, known), flush=True)


if __name__ == "__main__":
    main()
