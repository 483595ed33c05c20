"""Every picture looks as it did, within a tolerance that is much smaller than any artist."""

import numpy as np
import pytest
from pictures import BASELINE, IMAGES, LINES, PICTURES, difference, rendered

pytest.importorskip("matplotlib")


def baseline(name):
    from PIL import Image

    return np.asarray(Image.open(BASELINE / f"{name}.png"))


@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_before(name):
    draw, tolerance = PICTURES[name]
    assert difference(rendered(draw), baseline(name)) <= tolerance


def test_no_picture_is_left_over():
    assert {path.stem for path in BASELINE.glob("*")} == set(PICTURES)


@pytest.mark.parametrize("draw", [*LINES, *IMAGES], ids=lambda draw: draw.__name__)
def test_one_artist_less_is_seen(draw):
    # Of lines and patches the last that has an extent, of images the last.
    def draw_less(figure):
        draw(figure)
        axes = figure.axes[0]
        lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
        (axes.images if draw in IMAGES else [*lines, *axes.patches])[-1].remove()

    tolerance = PICTURES[draw.__name__][1]
    assert difference(rendered(draw_less), baseline(draw.__name__)) > tolerance


def test_pictures_leave_the_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    for draw in LINES:
        rendered(draw)
    assert dict(matplotlib.rcParams) == before
