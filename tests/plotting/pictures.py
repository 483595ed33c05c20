"""Pictures of made-up numbers, and how to compare them with what they were.

`python tests/plotting/pictures.py` draws
the baseline anew, after a change that is meant to be seen: look at the files before they are
committed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skrgvae.plotting import (
    DictionaryDisplay,
    HierarchyDisplay,
    ReconstructionDisplay,
    TopRowsDisplay,
    TrainingCurveDisplay,
    TraversalDisplay,
    UnitActivityDisplay,
)

BASELINE = Path(__file__).parent / "baseline"
SIZE = (4.0, 2.4)  # inches
DPI = 50
# Pixels drawn for one that is compared, each way: where versions put an edge one pixel further,
# the mean over them hardly changes.
OVERSAMPLING = 6
# Root mean square difference allowed, in levels from 0 to 255. Between matplotlib 3.9.0, 3.10.9
# and 3.11.2, lines, bars and curves don't differ at all, and images by 4.9 at most: the versions
# put the edges of pixels in other places. One artist less makes at least 1.6 and 12.
TOLERANCE = 1.0
IMAGE_TOLERANCE = 8.0


def waves(n_rows: int, n_columns: int) -> np.ndarray:
    """Smooth numbers in [-1, 1] without a random generator, every row another."""
    row, column = np.mgrid[:n_rows, :n_columns]
    return np.sin(1.3 * row + 0.7 * column * (1 + row % 3))


def history() -> dict[str, list]:
    epochs = np.arange(1, 21)
    kl = np.stack([3 - 2 / epochs, 2 - 1 / epochs, 1 + 0 * epochs], axis=1)
    reconstruction = -20 - 30 / epochs
    return {
        "elbo": (reconstruction - kl.sum(axis=1)).tolist(),
        "validation_elbo": (reconstruction - kl.sum(axis=1) - 1 - 0.01 * epochs).tolist(),
        "reconstruction": reconstruction.tolist(),
        "kl": kl.tolist(),
    }


def summary() -> dict[str, np.ndarray]:
    kl = np.concatenate([0.3 * 0.7 ** np.arange(12), 0.2 * 0.4 ** np.arange(6)])
    return {
        "layer": np.repeat([0, 1], [12, 6]),
        "kl": kl,
        "zero_share": 0.9 - kl,
        "used": kl > 0.01,
    }


def links() -> dict[str, np.ndarray]:
    layer, unit, lower = (
        np.concatenate([np.repeat(1, 24), np.repeat(2, 12)]),
        np.concatenate([np.repeat(np.arange(4), 6), np.repeat(np.arange(3), 4)]),
        np.concatenate([np.tile(np.arange(6), 4), np.tile(np.arange(4), 3)]),
    )
    return {
        "layer": layer,
        "unit": unit,
        "lower_layer": layer - 1,
        "lower_unit": lower,
        "effect": np.sin(2.1 * np.arange(36)),
    }


def training_curve(figure: Any) -> None:
    TrainingCurveDisplay(history(), best_iter=12).plot(figure.subplots(1, 2))


def unit_activity(figure: Any) -> None:
    UnitActivityDisplay(summary()).plot(figure.subplots(1, 2))


def dictionary_images(figure: Any) -> None:
    DictionaryDisplay(waves(14, 12), image_shape=(4, 3)).plot(figure.subplots())


def dictionary_bars(figure: Any) -> None:
    DictionaryDisplay(waves(4, 9)).plot(figure.subplots(2, 2), n_bars=5)


def traversal_images(figure: Any) -> None:
    values = np.linspace(0, 2, 5)
    expected = 0.5 + 0.2 * values[:, None] * waves(1, 12)
    TraversalDisplay(values, expected, image_shape=(3, 4)).plot(figure.subplots())


def traversal_lines(figure: Any) -> None:
    values = np.linspace(0, 2, 9)
    expected = np.tanh(values[:, None] * waves(1, 10))
    TraversalDisplay(values, expected, spread=np.linspace(0.5, 2, 10)).plot(figure.subplots())


def reconstruction_images(figure: Any) -> None:
    rows = waves(4, 12)
    display = ReconstructionDisplay(rows, 0.8 * rows, waves(8, 12)[4:], image_shape=(3, 4))
    display.plot(figure.subplots())


def reconstruction_table(figure: Any) -> None:
    rows = waves(4, 9)
    ReconstructionDisplay(rows, 0.8 * rows, waves(8, 9)[4:]).plot(figure.subplots())


def top_rows_images(figure: Any) -> None:
    values = [3.0, 2.0, 1.5, 1.0]
    TopRowsDisplay(waves(4, 12), values, image_shape=(3, 4)).plot(figure.subplots())


def top_rows_table(figure: Any) -> None:
    display = TopRowsDisplay(waves(4, 9), [3.0, 2.0, 1.5, 1.0], mean=np.full(9, -0.5))
    display.plot(figure.subplots(), n_columns=5)


def hierarchy(figure: Any) -> None:
    effects = [waves(6, 5), waves(4, 5), waves(3, 5)]
    HierarchyDisplay(links(), (6, 4, 3), effects=effects).plot(
        figure.subplots(), n_units=4, n_links=7
    )


def hierarchy_images(figure: Any) -> None:
    effects = [waves(6, 12), waves(4, 12), waves(3, 12)]
    display = HierarchyDisplay(links(), (6, 4, 3), effects=effects, image_shape=(4, 3))
    display.plot(figure.subplots(), n_units=4, n_links=7)


LINES = (
    training_curve,
    unit_activity,
    dictionary_bars,
    traversal_lines,
    hierarchy,
)
IMAGES = (
    dictionary_images,
    traversal_images,
    reconstruction_images,
    reconstruction_table,
    top_rows_images,
    top_rows_table,
    hierarchy_images,
)
# How to draw every picture, and how far it may be from the baseline.
PICTURES: dict[str, tuple[Callable[[Any], None], float]] = {
    **{draw.__name__: (draw, TOLERANCE) for draw in LINES},
    **{draw.__name__: (draw, IMAGE_TOLERANCE) for draw in IMAGES},
}


def rendered(draw: Callable[[Any], None]) -> np.ndarray:
    """Pixels of a picture without text and legends, (height, width, 3), in levels 0 to 255."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"backend": "agg"}):
        figure = Figure(figsize=SIZE, dpi=DPI * OVERSAMPLING)
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        for axes in figure.axes:
            if (legend := axes.get_legend()) is not None:
                legend.remove()
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_tick_params(which="both", label1On=False, label2On=False)
        for text in figure.findobj(Text):
            text.set_visible(False)
        canvas.draw()
        fine = np.asarray(canvas.buffer_rgba())[..., :3].astype(np.float64)
    height, width = (int(side * DPI) for side in reversed(SIZE))
    blocks = fine.reshape(height, OVERSAMPLING, width, OVERSAMPLING, 3)
    return blocks.mean(axis=(1, 3)).round().astype(np.uint8)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square difference of two pictures of the same size."""
    assert one.shape == other.shape
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


if __name__ == "__main__":
    from PIL import Image

    BASELINE.mkdir(exist_ok=True)
    for name, (draw, _) in PICTURES.items():
        Image.fromarray(rendered(draw)).save(BASELINE / f"{name}.png", optimize=True)
