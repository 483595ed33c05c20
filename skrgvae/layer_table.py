"""What a fit resolved and learned, layer by layer, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

# No colours of its own: it is read on white and on dark pages.
CELL = 'style="padding: 0.2em 0.8em; text-align: right; border-bottom: 1px solid"'


def layer_table_html(encoder: Any) -> str:
    """Table of the layers of a fitted encoder, and what was resolved from the data.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.

    Returns
    -------
    str
        One row per layer, bottom first: units, width of the hidden layer, and the mean KL of the
        layer over the training rows in the epoch whose weights were kept (nats per row).
    """
    sizes = encoder.layer_sizes_
    widths = encoder.hidden_layer_sizes_ or ("none",) * len(sizes)
    kl = encoder.history_["kl"][encoder.best_iter_ - 1]
    rows = [
        (layer, size, width, f"{nats:.2f}")
        for layer, (size, width, nats) in enumerate(zip(sizes, widths, kl, strict=True))
    ]
    families, counts = np.unique(encoder.likelihood_, return_counts=True)
    columns = ", ".join(
        f"{count} {family}" for family, count in zip(families, counts, strict=True)
    )
    caption = (
        f"Columns of the table by likelihood: {columns}. Epochs: {encoder.n_iter_}, weights of "
        f"epoch {encoder.best_iter_} kept."
    )
    return (
        '<table style="border-collapse: collapse; margin-top: 0.5em">'
        '<caption style="caption-side: bottom; text-align: left; padding-top: 0.3em">'
        f"{escape(caption)}</caption>"
        f"<thead>{_row('th', ('Layer', 'Units', 'Hidden width', 'KL (nats)'))}</thead>"
        f"<tbody>{''.join(_row('td', row) for row in rows)}</tbody></table>"
    )


def _row(tag: str, cells: Sequence[Any]) -> str:
    return f"<tr>{''.join(f'<{tag} {CELL}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
