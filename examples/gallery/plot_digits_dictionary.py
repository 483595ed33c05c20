"""
A dictionary of the digits
==========================

**Claim: half of what a unit does to the image lies in a fifth of the pixels, and most units
are exactly zero for an image.**

Each tile is what a unit adds to the expected image, on its own scale: yellow adds ink, blue
takes it away.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skrgvae import HierarchicalSparseEncoder
from skrgvae.plotting import DictionaryDisplay

X = load_digits().data / 16
encoder = HierarchicalSparseEncoder((48, 16), max_iter=60, random_state=0).fit(X)

fig, ax = plt.subplots(figsize=(7, 7), layout="constrained")
DictionaryDisplay.from_estimator(encoder, X, n_units=24, image_shape=(8, 8), ax=ax)

# %%
# In numbers: the share of the pixels that hold half of a unit's effect, and the share of
# zeros.

size = np.sort(np.abs(encoder.components_), axis=1)[:, ::-1]
used = encoder.unit_summary(X).query("layer == 0")["used"].to_numpy()
share = np.cumsum(size, axis=1) / size.sum(axis=1, keepdims=True)
pixels = np.argmax(share >= 0.5, axis=1)[used] + 1
zeros = np.mean(encoder.transform(X) == 0)
print(f"half of a unit's effect lies in {np.median(pixels):.0f} of 64 pixels (median)")
print(f"{zeros:.0%} of all features are exactly zero")
assert np.median(pixels) <= 64 / 5
assert zeros > 0.5
