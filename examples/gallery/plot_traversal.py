"""
What one unit does to an image
==============================

**Claim: while one unit moves through its range, the expected image changes steadily in one
direction.**

The unit of the top layer with the largest divergence moves from its smallest to its largest
value over the digits; all other units of its layer stay at their medians, and the layer below
follows.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skrgvae import HierarchicalSparseEncoder
from skrgvae.plotting import TraversalDisplay

X = load_digits().data / 16
encoder = HierarchicalSparseEncoder((40, 12), max_iter=60, random_state=0).fit(X)
summary = encoder.unit_summary(X)
top = summary[summary["layer"] == 1]
unit = int(top["unit"][top["kl"].idxmax()])

fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
display = TraversalDisplay.from_estimator(
    encoder, X, layer=1, unit=unit, image_shape=(8, 8), ax=ax
)

# %%
# The distance from the first image rises with every step.

distance = np.linalg.norm(display.expected - display.expected[0], axis=1)
print("distance from the first image:", *(f"{value:.2f}" for value in distance))
assert (np.diff(distance) >= -1e-9).all()
assert distance[-1] > 0.5
