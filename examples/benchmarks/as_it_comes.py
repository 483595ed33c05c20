"""
Tables as they come
===================

Four tables go into ``make_pipeline(HierarchicalSparseEncoder(), LogisticRegression())`` as they
are read: census records with words and holes, sensors with holes, machines with a letter for
their type, and word counts in a sparse matrix. Beside it stand the usual preparation in front of
the same classifier (median and most frequent value for holes, one column per category, scaled
numbers; for counts, weights by document frequency), and the same with PCA.

All defaults, one seed; 30 % of the rows are the test rows, stratified, where the set has no
split of its own. Identifiers, and columns that give the target away, are left out for everyone.
Sets that are not named keep the figures of an earlier run::

    python examples/benchmarks/as_it_comes.py [--sets secom ai4i ...]
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from feature_sets import data_file, load_newsgroups, split
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrgvae import HierarchicalSparseEncoder

sys.path.append(str(Path(__file__).parents[1] / "robustness"))
import report

COMPONENTS = 0.95  # share of the variance that PCA keeps
TOPICS = 100  # components of sparse counts


def adult():
    frame = pd.read_csv(data_file("adult.csv.gz"))
    train = (frame.pop("split") == "train").to_numpy()
    y = (frame.pop("income") == ">50K").to_numpy()
    return frame[train], y[train], frame[~train], y[~train]


def adult_polars():
    import polars as pl

    X_train, y_train, X_test, y_test = adult()
    return pl.from_pandas(X_train), y_train, pl.from_pandas(X_test), y_test


def secom():
    with np.load(data_file("secom.npz"), allow_pickle=False) as file:
        parts = split(file["X"], file["y"])
    return parts.X_train, parts.y_train, parts.X_test, parts.y_test


def ai4i():
    frame = pd.read_csv(data_file("ai4i2020.csv.gz"))
    y = frame.pop("Machine failure").to_numpy()
    identifiers, failure_modes = ["UDI", "Product ID"], ["TWF", "HDF", "PWF", "OSF", "RNF"]
    parts = split(frame.drop(columns=identifiers + failure_modes), y)
    return parts.X_train, parts.y_train, parts.X_test, parts.y_test


def newsgroups():
    parts = load_newsgroups()
    return parts.X_train, parts.y_train, parts.X_test, parts.y_test


SETS = {
    "adult": adult,
    "adult (polars)": adult_polars,
    "secom": secom,
    "ai4i": ai4i,
    "newsgroups": newsgroups,
}


def classifier():
    return LogisticRegression(class_weight="balanced", max_iter=1000)


def usual_preparation(X):
    if isinstance(X, np.ndarray):
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    if not hasattr(X, "columns"):
        return TfidfTransformer(sublinear_tf=True)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    select = make_column_selector
    return make_column_transformer(
        (numbers, select(dtype_include="number")), (words, select(dtype_exclude="number"))
    )


def pipelines(X):
    few = TruncatedSVD(TOPICS, random_state=0) if is_counts(X) else PCA(COMPONENTS)
    yield "usual preparation", make_pipeline(usual_preparation(X), classifier())
    yield "usual preparation, PCA", make_pipeline(usual_preparation(X), few, classifier())
    yield "encoder", make_pipeline(HierarchicalSparseEncoder(random_state=0), classifier())


def is_counts(X):
    return not isinstance(X, np.ndarray) and not hasattr(X, "columns")


def measure(pipeline, X_train, y_train, X_test, y_test):
    started = perf_counter()
    pipeline.fit(X_train, y_train)
    fitted = perf_counter()
    predicted = pipeline.predict(X_test)
    figures = {
        "balanced_accuracy": balanced_accuracy_score(y_test, predicted),
        "f1": f1_score(y_test, predicted, average="macro"),
        "auc": auc(y_test, pipeline.predict_proba(X_test)),
        "fit_seconds": fitted - started,
        "predict_seconds": perf_counter() - fitted,
        "n_features": int(pipeline[-1].n_features_in_),
    }
    encoder = pipeline[0]
    if isinstance(encoder, HierarchicalSparseEncoder):
        families, counts = np.unique(encoder.likelihood_, return_counts=True)
        Z = encoder.transform(X_test)
        figures |= {
            "likelihood": dict(zip(families.tolist(), counts.tolist(), strict=True)),
            "epochs": encoder.n_iter_,
            "test_elbo": encoder.score(X_test),
            "zeros": float(np.mean(Z == 0)),
        }
    return figures


def auc(y, probability):
    if probability.shape[1] == 2:
        return roc_auc_score(y, probability[:, 1])
    return roc_auc_score(y, probability, multi_class="ovr")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args()
    record = arguments.results / "as_it_comes.json"
    figures = json.loads(record.read_text(encoding="utf-8"))["sets"] if record.is_file() else {}
    for name in arguments.sets:
        parts = SETS[name]()
        arms = pipelines(parts[0])
        if name == "adult (polars)":  # the same rows: the encoder alone, to be compared
            arms = [arm for arm in arms if arm[0] == "encoder"]
        figures[name] = {method: measure(pipeline, *parts) for method, pipeline in arms}
        for method, row in figures[name].items():
            print(f"{name:15s} {method:25s} {row['balanced_accuracy']:.3f}", flush=True)
        report.write("as_it_comes", {"sets": figures}, arguments.results)


if __name__ == "__main__":
    main()
