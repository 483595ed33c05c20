"""
Few labels, many rows
=====================

**Claim: with few labels on digits, a linear classifier gets more right on the encoder's
features than on pixels or principal components.**

The encoder and PCA see all training images without labels; the classifier sees 50 to 1,000 of
the labels. Points are means over five draws of the labels, bars their standard deviations.
With more labels the differences get smaller. On small tables of measurements it is often the
other way round: see :doc:`/benchmarks`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)
encoder = HierarchicalSparseEncoder((100, 50), max_iter=120, random_state=0)
features = {
    "pixels": "passthrough",
    "PCA (95 % of variance)": PCA(0.95),
    "encoder": encoder,
}
budgets = [50, 100, 300, 1000]
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
mean = {}
for (name, step), marker in zip(features.items(), "sov", strict=True):
    prepare = make_pipeline(step, StandardScaler()).fit(X_train)
    train, test = prepare.transform(X_train), prepare.transform(X_test)
    accuracy = np.empty((len(budgets), 5))
    for row, n_labels in enumerate(budgets):
        for draw in range(5):
            some, _ = train_test_split(
                np.arange(len(y_train)), train_size=n_labels, random_state=draw, stratify=y_train
            )
            classifier = LogisticRegression(C=0.1, max_iter=500).fit(train[some], y_train[some])
            accuracy[row, draw] = classifier.score(test, y_test)
    mean[name] = accuracy.mean(axis=1)
    ax.errorbar(budgets, mean[name], accuracy.std(axis=1), marker=marker, capsize=3, label=name)
ax.set(xscale="log", xlabel="labels", ylabel="accuracy on test rows")
ax.set_xticks(budgets, [str(n_labels) for n_labels in budgets])
ax.minorticks_off()
ax.legend(loc="lower right")

for name, values in mean.items():
    print(f"{name:24s}", *(f"{value:.3f}" for value in values))
assert mean["encoder"][1] > max(mean["pixels"][1], mean["PCA (95 % of variance)"][1])
