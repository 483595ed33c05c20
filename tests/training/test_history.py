"""The record of a run."""

import json
import math

from skrgvae.training import Epoch, History

EPOCHS = [
    Epoch(-10.0, -11.0, -8.0, (1.5, 0.5), 0.5, 0.01, 0.2),
    Epoch(-9.0, math.nan, -7.0, (1.0, 1.0), 1.0, 0.005, 0.1),
]


def test_columns():
    columns = History(EPOCHS).as_dict()
    assert list(columns) == [
        "elbo",
        "validation_elbo",
        "reconstruction",
        "kl",
        "kl_weight",
        "learning_rate",
        "seconds",
    ]
    assert columns["elbo"] == [-10.0, -9.0]
    assert columns["kl"] == [(1.5, 0.5), (1.0, 1.0)]


def test_round_trip():
    for epochs in ([], EPOCHS[:1], EPOCHS):
        assert History.from_dict(History(epochs).as_dict()) == History(epochs)


def test_data_is_json():
    columns = History(EPOCHS[:1]).as_dict()
    assert json.loads(json.dumps(columns))["kl"] == [[1.5, 0.5]]


def test_the_dict_is_not_the_history():
    history = History(list(EPOCHS))
    history.as_dict()["elbo"].append(0.0)
    assert history == History(EPOCHS)
