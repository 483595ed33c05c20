"""Figures and tables of the feature benchmark, from its records."""

import numpy as np
from feature_methods import METHODS
from feature_sets import SETS
from probe import BUDGETS

WIDTH = 22


def label_of(config):
    """Name of the method in tables."""
    chosen = ", ".join(f"{key}={value}" for key, value in config["chosen"].items())
    return f"{config['method']}[{chosen}]" if chosen else config["method"]


def summary(cell, budget):
    """Mean over the draws, their spread, and the mean's standard error; None without the budget.

    The standard error holds both the draw of the labels and that the test rows are a sample.
    """
    if budget not in cell["scores"]:
        return None
    scores = cell["scores"][budget]["scores"]
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    row_error = float(np.mean(cell["scores"][budget]["row_errors"]))
    return float(np.mean(scores)), spread, float(np.hypot(spread / len(scores) ** 0.5, row_error))


def mean_over_sets(cells, names, budget):
    """Mean over the sets named and its standard error; None where one of them is missing."""
    found = [summary(cells[name], budget) if name in cells else None for name in names]
    if not found or None in found:
        return None
    means, _, errors = zip(*found, strict=True)
    return float(np.mean(means)), float(np.linalg.norm(errors) / len(errors))


def tables(results):
    """Results as text: a table for each protocol, damage, seed and number of labels."""
    groups = grouped(results)
    lines = []
    for (protocol, corruption, seed), methods in groups.items():
        title = "test rows" if protocol == "test" else "held-out training rows (no test rows)"
        if corruption:
            title += f", cells damaged by {corruption}"
        title += f", seed {seed}"
        clean = groups.get((protocol, None, seed), {}) if corruption else None
        for budget in map(str, BUDGETS):
            lines += score_table(methods, clean, budget, title)
        lines += cost_table(methods, title)
    return "\n".join(lines) if lines else "No results yet."


def grouped(results):
    """Cells by (protocol, corruption, seed), then by method, then by set; in a fixed order."""
    order = list(METHODS)
    groups = {}
    for cell in sorted(
        results.values(), key=lambda cell: order.index(cell["configuration"]["method"])
    ):
        config = cell["configuration"]
        group = config["protocol"], config["corruption"], config["seed"]
        groups.setdefault(group, {}).setdefault(label_of(config), {})[config["set"]] = cell
    return dict(sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))))


def score_table(methods, clean, budget, title):
    """Lines of one table; `clean` holds the undamaged cells where there are drops to be shown."""
    names = [
        name
        for name in SETS
        if any(name in cells and budget in cells[name]["scores"] for cells in methods.values())
    ]
    if not names:
        return []
    width = max(map(len, methods))
    lines = [
        "",
        f"Balanced accuracy on {title}; {budget} labels.",
        "Mean over the draws ± its standard error (spread of the draws); * not converged.",
        f"{'method':<{width}}"
        + "".join(f"{name:>{WIDTH}}" for name in names)
        + f"{'mean over sets':>18}"
        + (f"{'drop':>9}" if clean is not None else ""),
    ]
    for method, cells in methods.items():
        shown = [entry(cells[name], budget) if name in cells else "-" for name in names]
        line = f"{method:<{width}}" + "".join(f"{text:>{WIDTH}}" for text in shown)
        mean = mean_over_sets(cells, names, budget)
        line += f"{'-' if mean is None else f'{mean[0]:.4f} ±{mean[1]:.4f}':>18}"
        if clean is not None:
            before = mean_over_sets(clean.get(method, {}), names, budget)
            drop = "-" if mean is None or before is None else f"{before[0] - mean[0]:.4f}"
            line += f"{drop:>9}"
        lines.append(line)
    return lines


def cost_table(methods, title):
    width = max(map(len, methods))
    lines = [
        "",
        f"Outputs, share of exact zeros on {title}; seconds to fit.",
        f"{'method':<{width}}" + "".join(f"{name:>{WIDTH}}" for name in SETS),
    ]
    for method, cells in methods.items():
        shown = [cost(cells[name]) if name in cells else "-" for name in SETS]
        lines.append(f"{method:<{width}}" + "".join(f"{text:>{WIDTH}}" for text in shown))
    return lines


def entry(cell, budget):
    """'0.823 ±0.006 (0.012)'."""
    found = summary(cell, budget)
    if found is None:
        return "-"
    mean, spread, error = found
    mark = "" if all(cell["scores"][budget]["converged"]) else "*"
    several = len(cell["scores"][budget]["scores"]) > 1
    return f"{mean:.3f}{mark} ±{error:.3f}" + (f" ({spread:.3f})" if several else "")


def cost(cell):
    """'650, 0.85, 12 s'."""
    return f"{cell['n_outputs']}, {cell['zero_share']:.2f}, {cell['fit_seconds']:.0f} s"
