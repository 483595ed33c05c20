"""
Zeros that need not be stored
=============================

**Claim: as a CSR array, the features take less memory than as a dense one, and the saving
grows as fewer units are on.**

``firing_rate`` is the share of rows for which a unit is on when training starts.
``feature="mean"`` has no zeros and would take more memory than a dense array.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skrgvae import HierarchicalSparseEncoder

X = load_digits().data / 16
rates = [0.1, 0.3, 0.6]
megabytes, zeros = [], []
for rate in rates:
    encoder = HierarchicalSparseEncoder(
        (100, 50), firing_rate=rate, sparse_output=True, max_iter=20, random_state=0
    )
    Z = encoder.fit_transform(X)
    megabytes.append((Z.data.nbytes + Z.indices.nbytes + Z.indptr.nbytes) / 1e6)
    zeros.append(1 - Z.nnz / np.prod(Z.shape))
dense = encoder.set_params(sparse_output=False).transform(X).nbytes / 1e6

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
bars = ax.bar(range(len(rates)), megabytes, tick_label=rates, color="tab:blue", width=0.6)
ax.bar_label(bars, [f"{share:.0%} zeros" for share in zeros])
ax.axhline(dense, color="0.3", linestyle="--", label="dense")
ax.set(xlabel="firing_rate", ylabel="features of 1,797 images (MB)", ylim=(0, 1.15 * dense))
ax.legend()

print(f"dense {dense:.2f} MB, CSR", *(f"{size:.2f}" for size in megabytes))
assert max(megabytes) < dense
assert megabytes == sorted(megabytes)
