"""
Units that are used, and useful
===============================

What the units of an encoder with its defaults do on images it has not seen: how many are used and
dead (used: a mean KL above 0.01 nat, and values with a standard deviation above 0.01; dead: the
same value for every row), how many values are exactly zero, and what is lost without a unit. For
that, each layer is decoded together with those above it, while the layers below follow from the
generative model; the unit's column is set to zero, and the cross-entropy of the pixels is compared
with the one before. A unit is useful when what is lost is above zero by more than two standard
errors over the rows::

    python examples/used_units.py            # all data sets, about an hour
    python examples/used_units.py digits     # half a minute

`mnist`: grey values in [0, 1], 60,000 rows to train on, of which the encoder holds out a tenth,
and 10,000 to look at. `binarized`: the same of the fixed binarization of the literature, whose
validation rows are among the 60,000. Both lie in the folder named by SKRGVAE_DATA_HOME.
`digits`: those of scikit-learn, a third of them to look at.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from skrgvae import HierarchicalSparseEncoder

sys.path.append(str(Path(__file__).parent / "robustness"))
import report

# Rows (at most) that are decoded again without each unit.
N_DECODED = 1000
# Probabilities are kept this far from 0 and 1: a decoder in float32 can't be surer.
LEAST = 1e-6


def load(name):
    """Training and test rows with values in [0, 1]."""
    if name == "digits":
        return train_test_split(report.digits(), test_size=1 / 3, random_state=0)
    folder = Path(os.environ["SKRGVAE_DATA_HOME"])
    if name == "mnist":
        with np.load(folder / "mnist.npz", allow_pickle=False) as file:
            parts = (file["X_train"], file["X_test"])
            return [part.reshape(len(part), -1) / np.float32(255) for part in parts]
    with np.load(folder / "static_binarized_mnist.npz", allow_pickle=False) as file:
        train, valid, test = (
            np.unpackbits(file[part], axis=1) for part in ("train", "valid", "test")
        )
    return [part.astype(np.float32) for part in (np.concatenate([train, valid]), test)]


def cross_entropy(rows, probabilities):
    """Nats per row."""
    p = probabilities.clip(LEAST, 1 - LEAST)
    return -(rows * np.log(p) + (1 - rows) * np.log1p(-p)).sum(axis=1)


def losses(encoder, rows, layer):
    """What the absence of each unit of a layer adds to the cross-entropy of every row.

    Returns
    -------
    lost, on : ndarray of shape (n_units, n_rows)
        Nats, and whether the unit is on.
    """
    features = encoder.transform(rows)
    upper = [features[:, columns] for columns in encoder.layer_slices_[layer:]]

    def decoded():
        model = encoder._model  # the public `inverse_transform` asks for the bottom layer
        return cross_entropy(rows, model.decode(model.follow(upper)))

    whole, values = decoded(), upper[0]
    lost = []
    for unit in range(values.shape[1]):
        upper[0] = values.copy()
        upper[0][:, unit] = 0
        lost.append(decoded() - whole)
    return np.array(lost), values.T != 0


def study(name, max_iter):
    """Figures of one data set."""
    train, test = load(name)
    encoder = HierarchicalSparseEncoder(max_iter=max_iter, random_state=0)
    started = time.perf_counter()
    encoder.fit(train)
    seconds = time.perf_counter() - started
    scores = encoder.score_samples(test)
    summary = encoder.unit_summary(test)
    # Rows from all over: the test rows of the fixed binarization are sorted by class.
    decoded = test[:: max(1, len(test) // N_DECODED)][:N_DECODED]
    layers = []
    for layer, columns in enumerate(encoder.layer_slices_):
        used = np.asarray(summary["used"])[columns].astype(bool)
        lost, on = losses(encoder, decoded, layer)
        error = lost.std(axis=1, ddof=1) / np.sqrt(lost.shape[1])
        useful = lost.mean(axis=1) > 2 * error
        while_on = [
            nats[where].mean() for nats, where in zip(lost, on, strict=True) if where.any()
        ]
        layers.append(
            {
                "layer": layer,
                "units": len(used),
                "used": float(used.mean()),
                "dead": int((np.asarray(summary["std"])[columns] == 0).sum()),
                "zeros": float(np.asarray(summary["zero_share"])[columns].mean()),
                "useful_of_used": float(useful[used].sum() / max(used.sum(), 1)),
                "median_loss": float(np.median(lost.mean(axis=1))),
                "median_loss_while_on": float(np.median(while_on or [0.0])),
            }
        )
    return {
        "rows": [len(train), len(test)],
        "decoded_rows": len(decoded),
        "fit_seconds": seconds,
        "epochs": encoder.n_iter_,
        "elbo": float(scores.mean()),
        "elbo_standard_error": float(scores.std(ddof=1) / np.sqrt(len(scores))),
        "zeros": float(np.asarray(summary["zero_share"]).mean()),
        "layers": layers,
    }


def main(argv=None):
    """Run the data sets that are named, and record them beside what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = ("mnist", "binarized", "digits")
    parser.add_argument("sets", nargs="*", metavar="set", help=", ".join(sets))
    parser.add_argument("--max-iter", type=int, help="instead of the default number")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.sets) - set(sets):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    arguments.results.mkdir(parents=True, exist_ok=True)  # now, not after the first training
    path = arguments.results / "used_units.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in arguments.sets or sets:
        record[name] = report.described(study(name, arguments.max_iter or "auto"))
        path.write_text(json.dumps(record, indent=1, default=float) + "\n", encoding="utf-8")
        print(json.dumps({name: record[name]}, indent=1, default=float), flush=True)
    return record


if __name__ == "__main__":
    main()
