"""Tables with categorical columns: every category is seen as what it is, never as a code."""

import numpy as np
import pytest

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import layer_components, unit_inputs
from skrgvae.plotting import (
    DictionaryDisplay,
    HierarchyDisplay,
    ReconstructionDisplay,
    TopRowsDisplay,
    TraversalDisplay,
)
from skrgvae.plotting._categories import shown_columns, shown_rows
from skrgvae.plotting._reading import table_of

SHOWN = ["size", "colour=blue", "colour=green", "colour=red", "door=closed", "door=open", "empty"]
COLOURS, DOORS = slice(1, 4), slice(4, 6)


@pytest.fixture(scope="module")
def mixed():
    """Numbers and categories that go together, some of both missing."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    cause = rng.random(120) < 0.5
    colour = np.where(rng.random(120) < 0.8, np.where(cause, "red", "blue"), "green")
    size = np.where(cause, 5.0, 0.0) + rng.normal(size=120)
    size[::7] = np.nan
    return pd.DataFrame(
        {
            "size": size,
            "colour": pd.Categorical(np.where(np.arange(120) % 5 == 0, None, colour)),
            "door": rng.choice(["open", "closed"], 120),
            "empty": pd.Series([None] * 120, dtype=object),
        }
    )


@pytest.fixture(scope="module")
def encoder(mixed):
    return HierarchicalSparseEncoder((4, 2), max_iter=60, batch_size=20, random_state=0).fit(mixed)


@pytest.fixture(scope="module")
def indicators(mixed):
    """The table with a column of zeros and ones for each category, written out."""
    columns = [mixed["size"].to_numpy()]
    for name, categories in {
        "colour": ("blue", "green", "red"),
        "door": ("closed", "open"),
    }.items():
        for category in categories:
            columns.append(np.where(mixed[name].isna(), np.nan, mixed[name] == category))
    return np.column_stack([*columns, np.full(len(mixed), np.nan)])


@pytest.fixture(scope="module")
def deviations(indicators):
    """The same in standard deviations: of categories in that of their column."""
    known = indicators[:, :-1]
    variance = np.nanvar(known, axis=0)
    for column in (COLOURS, DOORS):
        variance[column] = variance[column].sum()
    distance = (known - np.nanmean(known, axis=0)) / np.sqrt(variance)
    return np.column_stack([distance, indicators[:, -1]])


def used_unit(encoder, X):
    return int(encoder.transform(X)[:, :4].std(axis=0).argmax())


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def filled(image):
    return np.ma.filled(image.get_array(), np.nan)


def test_top_rows_tell_their_categories(encoder, mixed, indicators, deviations, figure):
    unit = used_unit(encoder, mixed)
    display = TopRowsDisplay.from_estimator(
        encoder, mixed, layer=0, unit=unit, n_rows=20, ax=figure.subplots()
    )
    top = np.argsort(-encoder.transform(mixed)[:, unit], kind="stable")[:20]
    names = tick_labels(display.ax_.xaxis)
    assert sorted(names) == sorted(SHOWN)
    order = [SHOWN.index(name) for name in names]
    cells = [[text.get_text() for text in row] for row in display.texts_]
    assert cells == [
        ["\N{EN DASH}" if np.isnan(value) else f"{value:.3g}" for value in row]
        for row in indicators[top][:, order]
    ]
    # As the data frame has it, too.
    for row, (colour, texts) in enumerate(zip(mixed["colour"].iloc[top], cells, strict=True)):
        seen = {name: texts[names.index(f"colour={name}")] for name in ("blue", "green", "red")}
        if isinstance(colour, str):
            assert seen == {name: "1" if name == colour else "0" for name in seen}, row
        else:
            assert set(seen.values()) == {"\N{EN DASH}"}
    np.testing.assert_allclose(filled(display.images_[0]), deviations[top][:, order])


def test_categories_of_single_rows_do_not_come_first(figure):
    # Every row shown has a badge that one other row in 400 has, and all are red, as one in five
    # is: that is what they share.
    pd = pytest.importorskip("pandas")
    number = np.arange(400)
    table = pd.DataFrame(
        {
            "badge": [f"b{badge:03}" for badge in number % 200],
            "colour": np.where(number % 200 < 40, "red", "blue"),
        }
    )
    encoder = HierarchicalSparseEncoder((2,), max_iter=1, random_state=0).fit(table)
    rows = table_of(encoder, table)
    columns = shown_columns(encoder, rows, by_category=True)
    display = TopRowsDisplay(
        shown_rows(encoder, rows[:5], by_category=True),
        np.ones(5),
        mean=columns.mean,
        spread=columns.spread,
        column_names=columns.names,
    ).plot(figure.subplots(), n_columns=3)
    assert set(tick_labels(display.ax_.xaxis)[:2]) == {"colour=red", "colour=blue"}


def test_categories_not_seen_in_training_are_missing(encoder, mixed, figure):
    unit = used_unit(encoder, mixed)
    top = np.argsort(-encoder.transform(mixed)[:, unit], kind="stable")[:5]
    other = mixed.iloc[top].assign(door="ajar")
    display = ReconstructionDisplay.from_estimator(encoder, other, ax=figure.subplots())
    rows, reconstructions, _ = map(filled, display.images_)
    assert np.isnan(rows[:, DOORS]).all()
    assert np.isfinite(reconstructions[:, DOORS]).all()


def test_reconstructions_are_probabilities(encoder, mixed, indicators, deviations, figure):
    display = ReconstructionDisplay.from_estimator(encoder, mixed, n_rows=12, ax=figure.subplots())
    assert tick_labels(display.ax_.xaxis) == SHOWN
    np.testing.assert_array_equal(display.rows, indicators[:12])
    np.testing.assert_allclose(filled(display.images_[0]), deviations[:12], atol=1e-12)
    decoded = encoder.inverse_transform(encoder.transform(mixed[:12]))
    for part in (display.reconstructions, display.samples):
        for column in (COLOURS, DOORS):
            assert (part[:, column] >= 0).all()
            np.testing.assert_allclose(part[:, column].sum(axis=1), 1.0)
    np.testing.assert_allclose(
        display.reconstructions[:, 0], decoded[:, 0].astype(float), rtol=1e-6
    )
    likeliest = np.array(["blue", "green", "red"])[display.reconstructions[:, COLOURS].argmax(1)]
    np.testing.assert_array_equal(likeliest, decoded[:, 1])


def test_traversals_move_probabilities(encoder, mixed, indicators, figure):
    unit = used_unit(encoder, mixed)
    display = TraversalDisplay.from_estimator(
        encoder, mixed, layer=0, unit=unit, n_steps=5, ax=figure.subplots()
    )
    assert set(display.lines_) == set(SHOWN)
    for column in (COLOURS, DOORS):
        np.testing.assert_allclose(display.expected[:, column].sum(axis=1), 1.0)
        drawn = sum(display.lines_[name].get_ydata() for name in SHOWN[column])
        np.testing.assert_allclose(drawn, 0.0, atol=1e-12)
    scale = np.sqrt(np.nanvar(indicators[:, COLOURS], axis=0).sum())
    red = display.expected[:, SHOWN.index("colour=red")]
    np.testing.assert_allclose(
        display.lines_["colour=red"].get_ydata(), (red - red[0]) / scale, atol=1e-12
    )
    assert np.ptp(red) > 0.01  # there is something to see


def test_units_are_named_after_categories_that_they_raise_or_lower(encoder, mixed, figure):
    display = HierarchyDisplay.from_estimator(encoder, mixed, ax=figure.subplots())
    assert list(display.column_names) == SHOWN
    bottom = np.asarray(display.effects[0])
    total_variation = layer_components(encoder, 0)
    for column, categories in ((1, COLOURS), (2, DOORS)):
        np.testing.assert_allclose(bottom[:, categories].sum(axis=1), 0.0, atol=1e-12)
        np.testing.assert_allclose(
            np.abs(bottom[:, categories]).sum(axis=1) / 2, total_variation[:, column]
        )
    for unit, label in zip(display.units_[0], tick_labels(display.ax_.xaxis), strict=True):
        column = np.abs(bottom[unit]).argmax()
        assert label == f"{SHOWN[column]} {'+' if bottom[unit, column] > 0 else '−'}"


def test_bars_of_categorical_columns_are_no_deviations(encoder, mixed, figure):
    display = DictionaryDisplay.from_estimator(encoder, mixed, units=[0], ax=figure.subplots())
    label = "change of E[x] (std. dev.) or of probabilities"
    assert display.axes_[0].get_xlabel() == label
    assert list(display.column_names) == mixed.columns.tolist()


def test_names_are_those_of_inspection(encoder, mixed):
    assert set(unit_inputs(encoder, mixed, n_columns=None)["column"]) <= set(SHOWN)


def test_pixels_of_categories_hold_their_positions(figure):
    # Gray levels are categories in order, which an image can show.
    rng = np.random.default_rng(0)
    levels = rng.choice([10, 20, 40], (60, 4))
    encoder = HierarchicalSparseEncoder(
        (3,), categorical_features=[0, 1, 2, 3], max_iter=2, random_state=0
    ).fit(levels)
    display = ReconstructionDisplay.from_estimator(
        encoder, levels, n_rows=3, image_shape=(2, 2), ax=figure.subplots()
    )
    drawn = np.stack([np.asarray(image.get_array()).ravel() for image in display.images_])
    np.testing.assert_array_equal(drawn[:3], np.searchsorted([10, 20, 40], levels[:3]))
    assert set(np.unique(drawn[3:])) <= {0, 1, 2}
