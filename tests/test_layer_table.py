"""scikit-learn's HTML display, and the layer table below it once the encoder is fitted."""

import re

import numpy as np
import pytest
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder

CAPTION = "Columns of the table by likelihood"


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(size=(60, 3)), rng.integers(0, 2, 60)])


def cells(html):
    """Text of the cells of the layer table, row by row."""
    table = html[html.rindex("<table") :]
    return [
        re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row)
        for row in re.findall(r"<tr>(.*?)</tr>", table)
    ]


def test_not_fitted():
    encoder = HierarchicalSparseEncoder()
    html = encoder._repr_html_()
    assert "HierarchicalSparseEncoder" in html and CAPTION not in html
    assert CAPTION not in encoder._repr_mimebundle_()["text/html"]


def test_fitted(X):
    encoder = HierarchicalSparseEncoder(
        (7, 4), hidden_layer_sizes=(6, 5), max_iter=3, random_state=0
    ).fit(X)
    html = encoder._repr_html_()
    assert html.count(CAPTION) == 1
    assert encoder._repr_mimebundle_()["text/html"].count(CAPTION) == 1
    bottom, top = (f"{nats:.2f}" for nats in encoder.history_["kl"][-1])
    assert cells(html) == [
        ["Layer", "Units", "Hidden width", "KL (nats)"],
        ["0", "7", "6", bottom],
        ["1", "4", "5", top],
    ]
    assert "1 bernoulli, 3 gaussian. Epochs: 3, weights of epoch 3 kept." in html


def test_the_epoch_that_was_kept(X):
    encoder = HierarchicalSparseEncoder((5,), max_iter=3, random_state=0).fit(X)
    encoder.best_iter_ = 2  # as after early stopping
    (_, row) = cells(encoder._repr_html_())
    assert row == ["0", "5", "none", f"{encoder.history_['kl'][1][0]:.2f}"]


def test_after_partial_fit_and_from_a_file(X, tmp_path):
    encoder = HierarchicalSparseEncoder((5, 3), random_state=0).partial_fit(X).partial_fit(X)
    encoder.save(tmp_path / "model")
    for one in (encoder, HierarchicalSparseEncoder.load(tmp_path / "model")):
        assert "Epochs: 2, weights of epoch 2 kept." in one._repr_html_()


def test_names_are_escaped(X):
    encoder = HierarchicalSparseEncoder((5,), max_iter=1, random_state=0).fit(X)
    encoder.likelihood_ = np.array(["<script>&"] * 4)
    html = encoder._repr_html_()
    assert "4 &lt;script&gt;&amp;." in html
    assert "<script>&" not in html[html.index(CAPTION) :]


def test_as_text_and_in_a_pipeline(X):
    pipeline = make_pipeline(
        StandardScaler(), HierarchicalSparseEncoder((5,), max_iter=1, random_state=0)
    ).fit(X)
    assert "HierarchicalSparseEncoder" in pipeline._repr_html_()
    with config_context(display="text"):
        assert not hasattr(pipeline[-1], "_repr_html_")
        assert "text/html" not in pipeline[-1]._repr_mimebundle_()


def test_layers_that_the_model_does_not_have(X):
    encoder = HierarchicalSparseEncoder((5,), max_iter=1, random_state=0).fit(X)
    encoder.set_params(layers=[3])
    assert CAPTION in encoder._repr_html_()
    assert not hasattr(encoder, "layer_slices_")
    with pytest.raises(ValueError, match=r"from 0 \(bottom\) to 0. Got \[3\]"):
        encoder.transform(X)
    with pytest.raises(ValueError, match=r"Got \[3\]"):
        encoder.get_feature_names_out()
