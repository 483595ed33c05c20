"""
Features for a classifier that has few labels
=============================================

Claim: on scikit-learn's digits, features that the encoder learned from all training images without
their labels let a linear classifier do better than the pixels themselves when only a few images
have a label, and no worse with all labels. Most of the features are exact zeros.

With fewer than a thousand rows an epoch has few steps, so there are more epochs of smaller batches
than by default. The encoder is fitted once on the training images; a LogisticRegression then sees
its features for the images that have a label. With all labels it is the ordinary pipeline of the
two.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skrgvae import HierarchicalSparseEncoder


def main(max_iter=60, n_repeats=5):
    """Print the accuracy by number of labels, for pixels and for features."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.5, stratify=y, random_state=0
    )
    # Intensities between 0 and 1 are Bernoulli columns for the encoder.
    features = make_pipeline(
        MinMaxScaler(clip=True),
        HierarchicalSparseEncoder(
            (200, 100, 50), batch_size=50, max_iter=max_iter, random_state=0
        ),
    ).fit(X_train)
    inputs = {
        "pixels": (X_train, X_test),
        "features": (features.transform(X_train), features.transform(X_test)),
    }

    print(f"{'labels':>8}{'pixels':>10}{'features':>10}   accuracy on {len(X_test)} images")
    for n_labels in (20, 50, 100, len(X_train)):
        accuracies = dict.fromkeys(inputs, 0.0)
        # Which images have a label matters a lot when there are few.
        repeats = n_repeats if n_labels < len(X_train) else 1
        for seed in range(repeats):
            labelled = np.arange(len(X_train))
            if n_labels < len(X_train):
                labelled, _ = train_test_split(
                    labelled, train_size=n_labels, stratify=y_train, random_state=seed
                )
            for name, (train, test) in inputs.items():
                classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
                classifier.fit(train[labelled], y_train[labelled])
                accuracies[name] += classifier.score(test, y_test) / repeats
        print(f"{n_labels:>8}{accuracies['pixels']:>10.3f}{accuracies['features']:>10.3f}")

    encoder, emitted = features[-1], inputs["features"][1]
    print(f"\n{'layer':>8}{'units':>10}{'zeros':>10}")
    for layer, part in enumerate(encoder.layer_slices_):
        print(f"{layer:>8}{part.stop - part.start:>10}{(emitted[:, part] == 0).mean():>10.0%}")


if __name__ == "__main__":
    main()
