"""What all Displays have in common."""

import builtins
import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrgvae import HierarchicalSparseEncoder, plotting
from skrgvae.plotting import (
    DictionaryDisplay,
    HierarchyDisplay,
    ReconstructionDisplay,
    TopRowsDisplay,
    TrainingCurveDisplay,
    TraversalDisplay,
    UnitActivityDisplay,
)

SHAPE = (8, 8)
# How to draw each from an encoder of images and rows; on a single Axes where `ax` is one.
FROM_ESTIMATOR = {
    TrainingCurveDisplay: lambda encoder, X, **ax: TrainingCurveDisplay.from_estimator(
        encoder, **ax
    ),
    UnitActivityDisplay: UnitActivityDisplay.from_estimator,
    DictionaryDisplay: lambda encoder, X, **ax: DictionaryDisplay.from_estimator(
        encoder, X, image_shape=SHAPE, **ax
    ),
    TraversalDisplay: lambda encoder, X, **ax: TraversalDisplay.from_estimator(
        encoder, X, layer=0, unit=used_unit(encoder, X), image_shape=SHAPE, **ax
    ),
    ReconstructionDisplay: lambda encoder, X, **ax: ReconstructionDisplay.from_estimator(
        encoder, X, image_shape=SHAPE, **ax
    ),
    TopRowsDisplay: lambda encoder, X, **ax: TopRowsDisplay.from_estimator(
        encoder, X, layer=0, unit=used_unit(encoder, X), image_shape=SHAPE, **ax
    ),
    HierarchyDisplay: lambda encoder, X, **ax: HierarchyDisplay.from_estimator(
        encoder, X, image_shape=SHAPE, **ax
    ),
}
every_display = pytest.mark.parametrize(
    "display", FROM_ESTIMATOR, ids=lambda display: display.__name__
)


def used_unit(encoder, X):
    if not hasattr(encoder, "history_"):
        return 0
    whole = copy.copy(encoder).set_params(layers="all", feature="median")
    return int(whole.transform(X)[:, : encoder.layer_sizes_[0]].std(axis=0).argmax())


def test_every_display_is_here():
    assert {display.__name__ for display in FROM_ESTIMATOR} == set(plotting.__all__)


@every_display
def test_given_axes_are_drawn_on(display, image_encoder, images, figure):
    import matplotlib.pyplot as plt

    ax = figure.subplots(1, 2)[0]
    shown = FROM_ESTIMATOR[display](image_encoder, images, ax=ax)
    assert isinstance(shown, display)
    assert shown.figure_ is figure
    assert not plt.get_fignums()  # no figure of pyplot, which would have to be closed
    drawn_on = list(shown.axes_) if hasattr(shown, "axes_") else [shown.ax_]
    assert all(axes.figure is figure for axes in drawn_on)
    assert all(axes.has_data() for axes in drawn_on)
    figure.draw_without_rendering()


@every_display
def test_a_new_figure_can_be_closed(display, image_encoder, images):
    import matplotlib
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    before = dict(matplotlib.rcParams)
    shown = FROM_ESTIMATOR[display](image_encoder, images)
    try:
        shown.figure_.draw_without_rendering()
        assert plt.get_fignums() == [shown.figure_.number]
        assert dict(matplotlib.rcParams) == before
    finally:
        plt.close(shown.figure_)
    assert not plt.get_fignums()


@every_display
def test_plot_draws_the_same_again(display, image_encoder, images, figure):
    from matplotlib.figure import Figure

    shown = FROM_ESTIMATOR[display](image_encoder, images, ax=figure.subplots())
    stored = {name: value for name, value in vars(shown).items() if not name.endswith("_")}
    first = [len(axes.get_children()) for axes in figure.axes]
    another = Figure()
    assert shown.plot(another.subplots()) is shown
    assert shown.figure_ is another
    assert [len(axes.get_children()) for axes in another.axes] == first
    assert all(vars(shown)[name] is value for name, value in stored.items())


@every_display
def test_the_encoder_is_left_as_it_was(display, image_encoder, images, figure):
    encoder = copy.deepcopy(image_encoder).set_params(layers=[0], feature="active")
    before = encoder.get_params()
    FROM_ESTIMATOR[display](encoder, images, ax=figure.subplots())
    assert encoder.get_params() == before
    assert encoder.history_ == image_encoder.history_
    encoder.set_params(layers="all", feature="median")
    np.testing.assert_array_equal(encoder.transform(images), image_encoder.transform(images))


@every_display
def test_only_a_fitted_encoder_is_drawn(display, images):
    with pytest.raises(NotFittedError):
        FROM_ESTIMATOR[display](HierarchicalSparseEncoder((4, 3)), images)
    with pytest.raises(TypeError, match="must be a fitted HierarchicalSparseEncoder"):
        FROM_ESTIMATOR[display](object(), images)


@every_display
def test_axes_of_another_kind(display, image_encoder, images, figure):
    with pytest.raises(TypeError, match="ax must be"):
        FROM_ESTIMATOR[display](image_encoder, images, ax=figure)


@every_display
def test_matplotlib_is_missing(display, image_encoder, images, monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    needed = rf'{display.__name__}.from_estimator needs .*pip install "skrgvae\[plot\]"'
    with pytest.raises(ImportError, match=needed):
        FROM_ESTIMATOR[display](image_encoder, images)


@pytest.mark.parametrize("display", [TrainingCurveDisplay, UnitActivityDisplay])
def test_another_number_of_axes(display, image_encoder, images, figure):
    with pytest.raises(ValueError, match="Expected ax to have 2 axes, got 3"):
        FROM_ESTIMATOR[display](image_encoder, images, ax=figure.subplots(1, 3))


def test_axes_by_hand_cant_be_divided(image_encoder, figure):
    with pytest.raises(ValueError, match="give an array of 2 axes"):
        TrainingCurveDisplay.from_estimator(image_encoder, ax=figure.add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("shape", [(8, 7), (64,), (8, 8, 1), 64, "8x8", (-8, -8), (8.0, 8.0)])
@pytest.mark.parametrize(
    "display",
    [
        DictionaryDisplay,
        TraversalDisplay,
        ReconstructionDisplay,
        TopRowsDisplay,
        HierarchyDisplay,
    ],
    ids=lambda display: display.__name__,
)
def test_image_shape_must_give_the_columns(display, shape, image_encoder, images):
    more = {"layer": 0, "unit": 0} if display in (TraversalDisplay, TopRowsDisplay) else {}
    with pytest.raises(ValueError, match=r"image_shape must be .* = 64, the number of columns"):
        display.from_estimator(image_encoder, images, image_shape=shape, **more)


@pytest.mark.parametrize("display", [TraversalDisplay, TopRowsDisplay])
@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"layer": 3, "unit": 0}, r"layer must be an int in the range \[0, 2\]. Got 3"),
        ({"layer": -1, "unit": 0}, r"layer must be an int in the range \[0, 2\]. Got -1"),
        ({"layer": 1, "unit": 6}, r"unit must be an int in the range \[0, 5\]. Got 6"),
        ({"layer": 1, "unit": "1"}, r"unit must be an int in the range \[0, 5\]. Got '1'"),
    ],
)
def test_unknown_layer_or_unit(display, where, message, image_encoder, images):
    with pytest.raises(ValueError, match=message):
        display.from_estimator(image_encoder, images, **where)
