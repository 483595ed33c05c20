"""Figures of the page, as SVG that is part of it.

Colours and letters come from the page's style sheet, so that they follow a dark screen. Every set
of features has a mark of its own beside its colour. What is plotted carries the record's number in
`data-value`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 40
_ROW = 46  # height of a row of intervals


def lines(
    x_labels: Sequence[str],
    x_title: str,
    series: Mapping[str, Sequence[float]],
    spreads: Mapping[str, Sequence[float]],
    title: str,
) -> str:
    """One line per set of features, with marks; where its spread is given, bars of that.

    Parameters
    ----------
    x_labels : sequence of str
        Equally spaced.
    x_title : str
    series : mapping of str to sequence of float
        By set of features.
    spreads : mapping of str to sequence of float
        Half lengths of the bars.
    title : str
        What the figure shows, for those who can't see it.
    """
    low = min(y - e for name in series for y, e in zip(series[name], spreads[name], strict=True))
    high = max(y + e for name in series for y, e in zip(series[name], spreads[name], strict=True))
    low, high = _apart(low, high)
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    plot = HEIGHT - _TOP - _BOTTOM

    def place_y(value: float) -> float:
        return _TOP + plot * (high - value) / (high - low)

    inner = WIDTH - _LEFT - _RIGHT
    step = inner / len(x_labels)
    parts = [_grid(tick, place_y(tick)) for tick in ticks]
    for i, label in enumerate(x_labels):
        x = _LEFT + (i + 0.5) * step
        parts.append(_text(x, HEIGHT - _BOTTOM + 16, label, "tick", "middle"))
    parts.append(_text(_LEFT + inner / 2, HEIGHT - 5, x_title, "axis", "middle"))
    for j, (name, values) in enumerate(series.items()):
        # Side by side, so that the bars can be told apart.
        xs = [_LEFT + (i + 0.5) * step + (j - 1) * 7 for i in range(len(values))]
        points = " ".join(f"{x:.1f},{place_y(y):.1f}" for x, y in zip(xs, values, strict=True))
        parts.append(f'<polyline class="line {name}" points="{points}"/>')
        for x, y, spread in zip(xs, values, spreads[name], strict=True):
            if spread:
                top, end = place_y(y + spread), place_y(y - spread)
                parts.append(
                    f'<line class="bar {name}" x1="{x:.1f}" x2="{x:.1f}" '
                    f'y1="{top:.1f}" y2="{end:.1f}"/>'
                )
            parts.append(_mark(name, x, place_y(y), y))
    return _svg(HEIGHT, title, parts)


def intervals(
    rows: Sequence[tuple[str, Mapping[str, float], str]],
    smallest: float,
    no_gain: str,
    title: str,
) -> str:
    """A row per interval, against zero and the smallest gain worth having.

    Parameters
    ----------
    rows : sequence of (label, interval, decision)
    smallest : float
        Where the shaded region begins.
    no_gain : str
        What the line at zero is called.
    title : str
        What the figure shows, for those who can't see it.
    """
    low = min(0.0, *(interval["low"] for _, interval, _ in rows))
    high = max(smallest, *(interval["high"] for _, interval, _ in rows))
    low, high = _apart(low, high)
    margin = 0.08 * (high - low)
    low, high = low - margin, high + margin
    height = len(rows) * _ROW + 46
    left, inner = 10, WIDTH - 20

    def place_x(value: float) -> float:
        return left + inner * (value - low) / (high - low)

    bottom = height - 30
    start = place_x(smallest)
    parts = [
        f'<rect class="worth" x="{start:.1f}" y="4" width="{left + inner - start:.1f}" '
        f'height="{bottom - 4}"/>',
        f'<line class="zero" x1="{place_x(0):.1f}" x2="{place_x(0):.1f}" y1="4" y2="{bottom}"/>',
    ]
    for tick in _ticks(low + margin / 2, high - margin / 2, most=5):
        if low < tick < high:
            text = f"{tick:+g}".replace("-", "\N{MINUS SIGN}") if tick else "0"
            parts.append(_text(place_x(tick), bottom + 14, text, "tick", "middle"))
    parts.append(_text(place_x(0), bottom + 27, no_gain, "axis", "middle"))
    for i, (label, interval, decision) in enumerate(rows):
        y = 4 + i * _ROW + 31
        parts.append(_text(left + 2, y - 15, label, "row", "start"))
        parts.append(
            f'<line class="bar {decision}" x1="{place_x(interval["low"]):.1f}" '
            f'x2="{place_x(interval["high"]):.1f}" y1="{y}" y2="{y}" '
            f'data-value="{interval["low"]!r} {interval["high"]!r}"/>'
        )
        parts.append(
            f'<circle class="mark {decision}" cx="{place_x(interval["mean"]):.1f}" cy="{y}" '
            f'r="5" data-value="{interval["mean"]!r}"/>'
        )
    return _svg(height, title, parts)


def key_mark(name: str) -> str:
    """The mark of a set of features, for a legend."""
    return (
        f'<svg class="key" viewBox="0 0 24 12" aria-hidden="true"><line class="line {name}" '
        f'x1="0" x2="24" y1="6" y2="6"/>{_mark(name, 12, 6, None)}</svg>'
    )


def _svg(height, title, parts):
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x, y, text, kind, anchor):
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _grid(tick, y):
    label = _text(_LEFT - 6, y + 4, f"{tick:g}", "tick", "end")
    line = f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + label


def _mark(name, x, y, value):
    data = "" if value is None else f' data-value="{value!r}"'
    if name == "raw":
        return (
            f'<rect class="mark {name}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"'
            f"{data}/>"
        )
    if name == "pca":
        corners = f"{x:.1f},{y - 5:.1f} {x + 5:.1f},{y + 4:.1f} {x - 5:.1f},{y + 4:.1f}"
        return f'<polygon class="mark {name}" points="{corners}"{data}/>'
    return f'<circle class="mark {name}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"{data}/>'


def _apart(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis, also where all values are equal."""
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def _ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from about `low` to about `high`."""
    span = max(high - low, 1e-6)
    size = 10.0 ** np.floor(np.log10(span / (most - 1)))
    step = next(size * m for m in (1, 2, 5, 10) if span / (size * m) <= most - 1)
    first, last = np.floor(low / step), np.ceil(high / step)
    return [round(float(i * step), 10) for i in np.arange(first, last + 1)]
