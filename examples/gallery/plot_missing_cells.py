"""
Missing cells need no preparation
=================================

**Claim: tables with holes go into the encoder as they are, and filling a hole from the rest of
its row beats the column's mean.**

A share of the cells of the breast cancer table is removed at random. ``impute`` fills them in;
the error is that of the removed cells, in standard deviations of their columns. ``KNNImputer``
stands for methods made for this.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder, HierarchicalSparseImputer

complete = StandardScaler().fit_transform(load_breast_cancer().data)
shares = [0.05, 0.2, 0.4]
methods = {
    "column's mean": SimpleImputer(),
    "5 nearest neighbours": KNNImputer(),
    "encoder": HierarchicalSparseImputer(
        HierarchicalSparseEncoder((40, 20), max_iter=80, random_state=0)
    ),
}
errors = {name: [] for name in methods}
for share in shares:
    holes = np.random.default_rng(0).random(complete.shape) < share
    X = np.where(holes, np.nan, complete)
    for name, method in methods.items():
        filled = make_pipeline(method).fit_transform(X)
        errors[name].append(np.sqrt(np.mean((filled - complete)[holes] ** 2)))

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, values), marker in zip(errors.items(), "sov", strict=True):
    ax.plot([100 * share for share in shares], values, marker=marker, label=name)
ax.set(
    xlabel="cells removed (%)",
    ylabel="root mean square error of removed cells\n(standard deviations)",
    ylim=(0, None),
)
ax.legend()

for name, values in errors.items():
    print(f"{name:22s}", *(f"{value:.3f}" for value in values))
assert all(np.less(errors["encoder"], errors["column's mean"]))

# %%
# Features need no filling in at all.

Z = methods["encoder"].encoder.fit(X).transform(X)
assert np.isfinite(Z).all()
print(f"{np.isnan(X).mean():.0%} of the cells are missing, no feature is")
