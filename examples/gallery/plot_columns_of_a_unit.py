"""
Which columns a unit stands for
===============================

**Claim: units of a table of measurements stand for groups of related columns, and some of them
tell malignant from benign tumours although training saw no diagnosis.**

The four units of the breast cancer table that go best with the diagnosis, and the columns that
each one changes most. The table has ten quantities of cell nuclei, each as mean, standard
error and worst value.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import associations, unit_effects
from skrgvae.plotting import DictionaryDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
encoder = HierarchicalSparseEncoder((24, 12), max_iter=100, random_state=0).fit(X)

table = associations(encoder, X, y)
bottom = table[table["layer"] == 0]
strongest = bottom.loc[bottom["effect"].abs().sort_values(ascending=False).index[:4]]

fig, axes = plt.subplots(2, 2, figsize=(9, 5), layout="constrained")
DictionaryDisplay.from_estimator(
    encoder, X, layer=0, units=strongest["unit"].tolist(), n_bars=5, ax=axes.ravel()
)

# %%
# The effect is 2 AUC - 1 of the unit alone; 1 is benign. The p-value is adjusted for all
# units.

print(strongest[["unit", "effect", "p_adjusted"]].to_string(index=False))
assert strongest["effect"].abs().max() > 0.5
assert (strongest["p_adjusted"] < 0.05).all()

# %%
# Columns of one unit are more closely correlated than columns are in general.

correlation = X.corr().abs()
effects = unit_effects(encoder, n_columns=5).query("layer == 0")
within = [
    correlation.loc[columns, columns].to_numpy()[np.triu_indices(5, 1)].mean()
    for _, columns in effects.groupby("unit")["column"]
]
overall = correlation.to_numpy()[np.triu_indices(len(correlation), 1)].mean()
print(f"mean absolute correlation: {np.mean(within):.2f} in a unit, {overall:.2f} overall")
assert np.mean(within) > overall
