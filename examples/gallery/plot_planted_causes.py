"""
Planted causes get units of their own
=====================================

**Claim: most sparse causes that were planted in a table have a unit whose activity follows
theirs.**

Fifteen causes raise four columns each; noise is added. Five causes at a time are mostly on in
the same rows. The encoder sees the table only. Each cause is matched with one unit at most, by
the correlation of their activities. ``examples/planted_structure.py`` does the same with more
tables, epochs and kinds of causes, and with a second layer of causes.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import unit_effects

rng = np.random.default_rng(0)
n_rows, n_causes, columns_each = 1500, 15, 4
upper = (rng.random((n_rows, 3)) < 0.25) * rng.exponential(size=(n_rows, 3))
driver = np.repeat(upper, 5, axis=1)
on = rng.random((n_rows, n_causes)) < np.where(driver > 0, 0.8, 0.05)
size = np.where(driver > 0, 0.5 + driver, 1.0) * rng.gamma(9, 1 / 9, (n_rows, n_causes))
causes = on * size
loadings = np.kron(np.eye(n_causes), np.ones((1, columns_each)))
X = causes @ loadings + 0.3 * rng.normal(size=(n_rows, n_causes * columns_each))

encoder = HierarchicalSparseEncoder((20, 6), random_state=0).fit(X)
features = encoder.transform(X)[:, encoder.layer_slices_[0]]
varies = np.flatnonzero(features.std(axis=0) > 0)

# %%
# Rows are causes, columns the units that were matched with them: the diagonal is what was
# found.

correlation = np.corrcoef(causes.T, features[:, varies].T)[:n_causes, n_causes:]
rows, units = linear_sum_assignment(correlation, maximize=True)

fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
image = ax.imshow(correlation[:, units], cmap="RdBu_r", vmin=-1, vmax=1)
ax.set_xticks(range(n_causes), varies[units])
ax.set(xlabel="unit of the bottom layer", ylabel="planted cause")
fig.colorbar(image, label="correlation of activity")

found = correlation[rows, units] > 0.8
print(f"{found.sum()} of {n_causes} causes have a unit that follows them (above 0.8)")
assert found.mean() >= 0.8

# %%
# The units know their columns as well: for each matched unit, the four columns with the
# largest effect.

effects = unit_effects(encoder, n_columns=columns_each)
right = 0
for cause in np.flatnonzero(found):
    of_unit = (effects["layer"] == 0) & (effects["unit"] == varies[units[cause]])
    columns = {int(name[1:]) for name in effects["column"][of_unit]}
    right += columns == set(range(cause * columns_each, (cause + 1) * columns_each))
print(f"{right} of these {found.sum()} units name exactly the cause's columns")
assert right >= 0.9 * found.sum()
