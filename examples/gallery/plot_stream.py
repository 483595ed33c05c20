"""
Learning from a stream
======================

**Claim: chunk by chunk, the bound of held-out rows rises towards that of a fit on all rows.**

The digits arrive in chunks of 200 rows, again and again, each as a call of ``partial_fit``.
The dashed line is a ``fit`` with as many passes over the same rows.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skrgvae import HierarchicalSparseEncoder

train, held_out = train_test_split(load_digits().data / 16, random_state=0)
n_passes = 30
fitted = HierarchicalSparseEncoder((48, 16), max_iter=n_passes, random_state=0).fit(train)

stream = HierarchicalSparseEncoder((48, 16), random_state=0)
rng = np.random.default_rng(0)
rows_seen, bounds = [], []
for _ in range(n_passes):
    order = rng.permutation(len(train))
    for chunk in np.array_split(order, len(train) // 200):
        stream.partial_fit(train[chunk])
    rows_seen.append(len(train) * (len(rows_seen) + 1))
    bounds.append(stream.score(held_out))
bound_of_fit = fitted.score(held_out)

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(rows_seen, bounds, marker=".", label="partial_fit")
ax.axhline(bound_of_fit, color="0.3", linestyle="--", label=f"fit, {n_passes} passes")
ax.set(xlabel="rows seen", ylabel="ELBO of held-out rows (nats)")
ax.legend(loc="lower right")

print(
    f"fit {bound_of_fit:.2f}, stream {bounds[0]:.2f} after one pass, {bounds[-1]:.2f} at the end"
)
assert bounds[-1] > bounds[0]
assert abs(bounds[-1] - bound_of_fit) < 0.1 * abs(bound_of_fit)
