"""
Upper units gather lower ones
=============================

**Claim: where groups of causes go together, the upper units that the encoder learns raise the
units of one group each.**

Nine causes raise three columns each, and three of them at a time are driven by one cause
above, which is in no column. In the map, a bottom unit is named after the column that it
changes most: x0 to x8 are the columns of the first group, x9 to x17 of the second, x18 to x26
of the third.
"""

import matplotlib.pyplot as plt
import numpy as np

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import unit_effects, unit_links
from skrgvae.plotting import HierarchyDisplay

rng = np.random.default_rng(0)
n_rows = 1500
upper = (rng.random((n_rows, 3)) < 0.3) * rng.exponential(size=(n_rows, 3))
driver = np.repeat(upper, 3, axis=1)
on = rng.random((n_rows, 9)) < np.where(driver > 0, 0.9, 0.05)
causes = on * np.where(driver > 0, 0.5 + driver, 1.0) * rng.gamma(9, 1 / 9, (n_rows, 9))
X = np.repeat(causes, 3, axis=1) + 0.3 * rng.normal(size=(n_rows, 27))

encoder = HierarchicalSparseEncoder((12, 4), max_iter=150, random_state=0).fit(X)

fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
HierarchyDisplay.from_estimator(encoder, X, n_links=12, ax=ax)

# %%
# The group of a bottom unit is that of the column it changes most; the group of an upper unit
# that of its strongest link. Of what an upper unit raises, the share that goes to its own
# group:

largest = unit_effects(encoder, n_columns=1).query("layer == 0")
group = {
    unit: int(name[1:]) // 9 for unit, name in zip(largest["unit"], largest["column"], strict=True)
}
links = unit_links(encoder, n_units=None).query("effect > 0")
links = links.assign(group=links["lower_unit"].map(group))
for unit, of_unit in links.groupby("unit"):
    share = of_unit.groupby("group")["effect"].sum() / of_unit["effect"].sum()
    print(f"upper unit {unit}: {share.max():.0%} to group {int(share.idxmax())}")
    assert share.max() > 0.5
