"""Colours that stay apart for colour-blind eyes, and in gray through lightness and dashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

# M. Okabe, K. Ito (2008), Color Universal Design.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, PURPLE, SKY = "#E69F00", "#CC79A7", "#56B4E9"
GRAY = "0.55"
# Lightness rises from end to end, so that low and high stay apart in gray: zero is its middle
# where values have a sign.
COLORS = "cividis"
SMALL = 8  # points, for what explains a picture
MISSING = ORANGE  # pixels among shades of gray; in heat maps, missing cells are left white

_DASHES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))


# For lines without an order; as many as there are colours.
DISTINCT = tuple(
    {"color": color, "linestyle": dashes, "linewidth": 1.8}
    for color, dashes in zip((BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY), _DASHES, strict=True)
)


def as_it_stands(name: str) -> str:
    """A name for matplotlib to draw, which would read a formula between two dollar signs."""
    return name.replace("$", r"\$")


def with_values(names: Sequence[str], values: Iterable[float]) -> list[str]:
    """Names to draw, each with a value."""
    pairs = zip(names, values, strict=True)
    return [f"{as_it_stands(name)}: {value:.2g}" for name, value in pairs]


def line_styles(n_lines: int) -> list[dict[str, Any]]:
    """Colour and dashes for lines that have an order, dark to light."""
    from matplotlib import colormaps

    shades = colormaps[COLORS]([0.75 * line / max(n_lines - 1, 1) for line in range(n_lines)])
    return [
        {"color": tuple(shade), "linestyle": _DASHES[line % len(_DASHES)], "linewidth": 1.8}
        for line, shade in enumerate(shades)
    ]


def symmetric_norm(largest: float) -> Any:
    """Colours for values with a sign: zero in the middle."""
    from matplotlib.colors import Normalize

    bound = largest if largest > 0 else 1.0
    return Normalize(-bound, bound)
