"""What is drawn is what was computed: facts on the artists of every Display."""

import re
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.text import Text
from pictures import history, links, summary

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import layer_components, unit_links
from skrgvae.plotting import (
    DictionaryDisplay,
    HierarchyDisplay,
    ReconstructionDisplay,
    TopRowsDisplay,
    TrainingCurveDisplay,
    TraversalDisplay,
    UnitActivityDisplay,
)
from skrgvae.plotting._deviations import column_spread
from skrgvae.plotting._style import MISSING

# Between two dollar signs matplotlib reads a formula, and this one has an error.
NAMES = ["a$^{$", "b$_{$ in $", "c$", "_d"]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


class TestTrainingCurve:
    def test_curves_are_those_of_the_history(self, image_encoder, figure):
        display = TrainingCurveDisplay.from_estimator(image_encoder, ax=figure.subplots(1, 2))
        for name in ("elbo", "validation_elbo", "reconstruction"):
            line = display.lines_[name]
            np.testing.assert_array_equal(line.get_ydata(), image_encoder.history_[name])
            np.testing.assert_array_equal(line.get_xdata(), 1 + np.arange(image_encoder.n_iter_))
        drawn = np.stack([line.get_ydata() for line in display.kl_lines_], axis=1)
        np.testing.assert_array_equal(drawn, image_encoder.history_["kl"])
        assert [axes.get_xlabel() for axes in display.axes_] == ["epoch", "epoch"]
        assert all("nats" in axes.get_ylabel() for axes in display.axes_)
        marker = display.axes_[0].lines[-1]
        assert marker.get_xdata()[0] == image_encoder.best_iter_

    def test_without_held_out_rows(self, figure):
        without = {**history(), "validation_elbo": [np.nan] * 20}
        display = TrainingCurveDisplay.from_history(
            without, best_iter=20, ax=figure.subplots(1, 2)
        )
        assert set(display.lines_) == {"elbo", "reconstruction"}
        assert len(display.axes_[0].lines) == 2  # no mark of an epoch that was not chosen

    def test_a_low_start_leaves_the_rest_readable(self, figure):
        fallen = history()
        fallen["elbo"][0] = -1e6
        display = TrainingCurveDisplay.from_history(fallen, ax=figure.subplots(1, 2))
        low, high = display.axes_[0].get_ylim()
        assert high - low < 50

    @pytest.mark.parametrize("n_epochs", [1, 2])
    def test_short_training(self, n_epochs, figure):
        short = {name: values[:n_epochs] for name, values in history().items()}
        TrainingCurveDisplay.from_history(short, ax=figure.subplots(1, 2))
        figure.draw_without_rendering()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"kl": []}, "one entry per epoch"),
            ({"elbo": [1.0]}, "one entry per epoch"),
            ({"elbo": [np.inf] * 20}, "finite"),
        ],
    )
    def test_bad_history(self, change, message, figure):
        with pytest.raises(ValueError, match=message):
            TrainingCurveDisplay.from_history({**history(), **change})
        with pytest.raises(ValueError, match=r"Missing: \['kl'\]"):
            TrainingCurveDisplay({k: v for k, v in history().items() if k != "kl"}).plot()

    @pytest.mark.parametrize("best_iter", [0, 21, -1, 2.0, True, "5"])
    def test_no_epoch_is_marked_that_is_none(self, best_iter):
        expected = r"best_iter must be None or an epoch, an int in the range \[1, 20\]. Got "
        with pytest.raises(ValueError, match=expected + re.escape(repr(best_iter))):
            TrainingCurveDisplay.from_history(history(), best_iter=best_iter)


class TestUnitActivity:
    def test_sorted_numbers_of_the_summary(self, image_encoder, images, figure):
        display = UnitActivityDisplay.from_estimator(
            image_encoder, images, ax=figure.subplots(1, 2)
        )
        expected = image_encoder.unit_summary(images)
        for layer in range(3):
            own = np.asarray(expected["layer"]) == layer
            kl = np.sort(np.asarray(expected["kl"])[own])[::-1]
            zeros = np.sort(np.asarray(expected["zero_share"])[own])
            np.testing.assert_allclose(display.kl_lines_[layer].get_ydata(), kl)
            np.testing.assert_allclose(display.zero_lines_[layer].get_ydata(), 100 * zeros)
        assert display.threshold_.get_ydata()[0] == 0.01
        assert "nats" in display.axes_[0].get_ylabel()

    def test_units_not_used_are_marked(self, figure):
        made_up = summary()
        display = UnitActivityDisplay.from_summary(made_up, ax=figure.subplots(1, 2))
        marked = np.concatenate([marks.get_ydata() for marks in display.unused_marks_])
        np.testing.assert_allclose(np.sort(marked), np.sort(made_up["kl"][~made_up["used"]]))
        legend = [text.get_text() for text in display.axes_[1].get_legend().get_texts()]
        assert legend[0].startswith("layer 0: 10 of 12 used")

    def test_dead_units_stand_on_the_edge(self, figure):
        dead = {**summary(), "kl": np.zeros(18), "used": np.zeros(18, dtype=bool)}
        display = UnitActivityDisplay.from_summary(dead, ax=figure.subplots(1, 2))
        assert display.kl_lines_[0].get_ydata().min() == display.axes_[0].get_ylim()[0]

    def test_bad_summary(self):
        with pytest.raises(ValueError, match=r"Missing: \['used'\]"):
            UnitActivityDisplay.from_summary({k: v for k, v in summary().items() if k != "used"})
        with pytest.raises(ValueError, match="at least one unit"):
            UnitActivityDisplay.from_summary({k: v[:0] for k, v in summary().items()})


class TestDictionary:
    @pytest.mark.parametrize("layer", [0, 1])
    def test_bars_are_the_largest_effects(self, layer, table_encoder, table, figure):
        units = [3, 0]
        display = DictionaryDisplay.from_estimator(
            table_encoder, table, layer=layer, units=units, n_bars=4, ax=figure.subplots(1, 2)
        )
        effects = layer_components(table_encoder, layer) / table.std(ddof=0).to_numpy()
        for axes, bars, unit in zip(display.axes_, display.bars_, units, strict=True):
            order = np.argsort(-np.abs(effects[unit]), kind="stable")[:4]
            widths = [bar.get_width() for bar in bars]
            np.testing.assert_allclose(widths, effects[unit][order])
            assert tick_labels(axes.yaxis) == table.columns[order].tolist()
            assert axes.get_title() == f"unit {unit}"

    def test_deviations_are_those_of_what_is_known(self, table_encoder, holed, figure):
        display = DictionaryDisplay.from_estimator(
            table_encoder, holed, units=[1], ax=figure.subplots()
        )
        effects = layer_components(table_encoder)[1] / holed.std(ddof=0).to_numpy()
        np.testing.assert_allclose(display.effects, [effects])

    def test_changes_of_categories_are_no_deviations(self, figure):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.integers(0, 10, 200), rng.normal(0, 5, (200, 2))])
        encoder = HierarchicalSparseEncoder(
            (3,), categorical_features=[0], max_iter=5, random_state=0
        ).fit(X)
        display = DictionaryDisplay.from_estimator(encoder, X, ax=figure.subplots())
        effects = layer_components(encoder, 0) / [1.0, *X[:, 1:].std(axis=0)]
        order = [int(name) for name in display.unit_names]
        np.testing.assert_allclose(display.effects, effects[order])

    def test_units_with_the_largest_kl_come_first(self, image_encoder, images, figure):
        display = DictionaryDisplay.from_estimator(
            image_encoder, images, n_units=5, image_shape=(8, 8), ax=figure.subplots()
        )
        kl = np.asarray(image_encoder.unit_summary(images)["kl"])[:12]
        names = [str(unit) for unit in np.argsort(-kl, kind="stable")[:5]]
        assert list(display.unit_names) == names
        assert "5 of 12 units" in display.axes_[0].get_title()

    def test_images_have_their_own_scale_and_say_it(self, image_encoder, figure):
        components = image_encoder.components_
        display = DictionaryDisplay.from_components(
            components, image_shape=(8, 8), ax=figure.subplots()
        )
        texts = [text.get_text() for text in display.axes_[0].texts]
        for unit, (image, text) in enumerate(zip(display.images_, texts, strict=True)):
            largest = np.abs(components[unit]).max()
            drawn = np.asarray(image.get_array()) * largest
            np.testing.assert_allclose(drawn.ravel(), components[unit], atol=1e-12)
            assert text == f"{unit}: {largest:.2g}"
            assert image.get_clim() == (-1, 1)

    def test_a_unit_without_effect(self, figure):
        DictionaryDisplay(np.zeros((2, 4)), image_shape=(2, 2)).plot(figure.subplots())
        DictionaryDisplay(np.zeros((2, 4))).plot(figure.subplots(1, 2))
        figure.draw_without_rendering()

    def test_bad_input(self, image_encoder, images, figure):
        with pytest.raises(ValueError, match="Expected ax to have 3 axes, got 2"):
            DictionaryDisplay(np.ones((3, 4))).plot(figure.subplots(1, 2))
        with pytest.raises(ValueError, match=r"column_names must hold 4 names\. Got 3"):
            DictionaryDisplay(np.ones((3, 4)), column_names=["a", "b", "c"]).plot()
        with pytest.raises(ValueError, match="effects must be a 2-dimensional"):
            DictionaryDisplay(np.ones(4)).plot()
        with pytest.raises(ValueError, match=r"units must be .*\[0, 11\]. Got 12"):
            DictionaryDisplay.from_estimator(image_encoder, images, units=[12])
        with pytest.raises(ValueError, match="n_units must be an int"):
            DictionaryDisplay.from_estimator(image_encoder, images, n_units=0)


class TestTraversal:
    def test_lines_are_the_expected_change(self, table_encoder, table, figure):
        unit = int(table_encoder.transform(table)[:, :8].std(axis=0).argmax())
        display = TraversalDisplay.from_estimator(
            table_encoder, table, layer=0, unit=unit, n_steps=5, ax=figure.subplots()
        )
        of_rows = table_encoder.transform(table)[:, unit]
        Z = np.tile(np.concatenate(table_encoder._medians), (5, 1))
        Z[:, unit] = np.linspace(of_rows.min(), of_rows.max(), 5)
        expected = table_encoder.inverse_transform(Z)
        for column, name in enumerate(table.columns):
            change = (expected[:, column] - expected[0, column]) / table[name].std(ddof=0)
            np.testing.assert_allclose(display.lines_[name].get_ydata(), change, atol=1e-9)
            np.testing.assert_allclose(display.lines_[name].get_xdata(), Z[:, unit])

    def test_deviations_are_those_of_what_is_known(self, table_encoder, holed, figure):
        unit = int(table_encoder.transform(holed)[:, :8].std(axis=0).argmax())
        display = TraversalDisplay.from_estimator(
            table_encoder, holed, layer=0, unit=unit, ax=figure.subplots()
        )
        np.testing.assert_allclose(display.spread, holed.std(ddof=0))

    def test_columns_that_change_most_are_named(self, figure):
        columns = [f"c{i}" for i in range(9)]
        expected = np.linspace(0, 1, 4)[:, None] * np.array([1, -9, 2, 8, -3, 7, 4, -6, 5])
        display = TraversalDisplay(range(4), expected, column_names=columns)
        display.plot(figure.subplots())
        named = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert named == ["c3", "c5", "c8", "c6", "c7", "c1", "3 others"]  # as the lines end

    def test_image_strips(self, image_encoder, images, figure):
        features = image_encoder.transform(images)
        unit = int(features[:, :12].std(axis=0).argmax())
        display = TraversalDisplay.from_estimator(
            image_encoder,
            images,
            layer=0,
            unit=unit,
            n_steps=3,
            image_shape=(8, 8),
            ax=figure.subplots(),
        )
        strip = np.stack([np.asarray(image.get_array()) for image in display.images_])
        change = np.stack([np.asarray(image.get_array()) for image in display.change_images_])
        np.testing.assert_allclose(strip - strip[0], change)
        assert tick_labels(display.ax_.xaxis)[-1] == f"{features[:, unit].max():.2g}"
        assert display.ax_.get_xlabel() == f"value of unit {unit} of layer 0"

    @pytest.mark.parametrize("display", [TraversalDisplay, TopRowsDisplay])
    def test_a_silent_unit(self, display, image_encoder, images):
        silent = images[image_encoder.transform(images)[:, 0] == 0]
        with pytest.raises(ValueError, match=r"unit 0 of layer 0 .* Choose a used one"):
            display.from_estimator(image_encoder, silent, layer=0, unit=0)

    def test_bad_input(self, image_encoder, images):
        with pytest.raises(ValueError, match="n_steps must be an int in the range"):
            TraversalDisplay.from_estimator(image_encoder, images, layer=0, unit=0, n_steps=1)
        with pytest.raises(ValueError, match="values must hold 3 finite numbers"):
            TraversalDisplay([0, 1], np.ones((3, 4))).plot()
        with pytest.raises(ValueError, match="spread must hold numbers above 0"):
            TraversalDisplay([0, 1], np.ones((2, 2)), spread=[1, 0]).plot()


class TestReconstruction:
    def test_rows_and_their_expectations(self, image_encoder, images, figure):
        display = ReconstructionDisplay.from_estimator(
            image_encoder, images, n_rows=4, image_shape=(8, 8), ax=figure.subplots()
        )
        drawn = np.stack([np.asarray(image.get_array()).ravel() for image in display.images_])
        np.testing.assert_allclose(drawn[:4], images[:4])
        expected = image_encoder.inverse_transform(image_encoder.transform(images[:4]))
        np.testing.assert_allclose(drawn[4:8], expected, atol=1e-9)
        assert len(drawn) == 12

    def test_samples_follow_the_model(self, image_encoder, images, figure):
        # The mean over 300 samples of E[x | z] is that of 20,000 drawn rows, up to noise: in
        # every column 5 standard errors of both, a false alarm in 3e5 for 64 columns.
        display = ReconstructionDisplay.from_estimator(
            image_encoder, images, n_rows=300, ax=figure.subplots()
        )
        samples = np.asarray(display.samples)
        drawn = image_encoder.sample(20_000)
        error = np.hypot(samples.std(axis=0) / 300**0.5, drawn.std(axis=0) / 20_000**0.5)
        assert (np.abs(samples.mean(axis=0) - drawn.mean(axis=0)) <= 5 * error).all()

    def test_a_table_in_standard_deviations(self, table_encoder, table, figure):
        display = ReconstructionDisplay.from_estimator(
            table_encoder, table, n_rows=6, ax=figure.subplots()
        )
        rows = np.asarray(display.images_[0].get_array())
        expected = ((table - table.mean()) / table.std(ddof=0)).to_numpy()[:6]
        np.testing.assert_allclose(rows, expected, atol=1e-9)
        assert tick_labels(display.ax_.xaxis) == table.columns.tolist()

    def test_missing_cells_stay_blank(self, table_encoder, holed, figure):
        display = ReconstructionDisplay.from_estimator(
            table_encoder, holed, n_rows=6, ax=figure.subplots()
        )
        rows, reconstructions, _ = (image.get_array() for image in display.images_)
        expected = ((holed - holed.mean()) / holed.std(ddof=0)).to_numpy()[:6]
        np.testing.assert_allclose(np.ma.filled(rows, np.nan), expected, atol=1e-9)
        assert np.isfinite(np.ma.filled(reconstructions, np.nan)).all()
        figure.draw_without_rendering()

    def test_missing_pixels_are_orange(self, image_encoder, images, figure):
        holed = images[:3].copy()
        holed[0, :4] = np.nan
        display = ReconstructionDisplay.from_estimator(
            image_encoder, holed, image_shape=(8, 8), ax=figure.subplots()
        )
        first = display.images_[0]
        colors = first.cmap(first.norm(first.get_array()))[0]
        np.testing.assert_allclose(colors[:4], np.tile(to_rgba(MISSING), (4, 1)))
        np.testing.assert_array_equal(colors[4:, 0], colors[4:, 2])  # the others are gray

    def test_the_same_seed_gives_the_same_samples(self, image_encoder, images, figure):
        first, second = (
            ReconstructionDisplay.from_estimator(
                image_encoder, images, n_rows=2, ax=figure.subplots()
            ).samples
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"samples must have 2 rows\. Got 3"):
            ReconstructionDisplay(np.ones((2, 4)), np.ones((2, 4)), np.ones((3, 4))).plot()
        with pytest.raises(ValueError, match=r"reconstructions must have 4 columns\. Got 5"):
            ReconstructionDisplay(np.ones((2, 4)), np.ones((2, 5)), np.ones((2, 4))).plot()


class TestTopRows:
    def test_rows_with_the_largest_values(self, table_encoder, table, figure):
        values = table_encoder.transform(table)[:, :8]
        unit = int((values > 0).sum(axis=0).argmax())
        display = TopRowsDisplay.from_estimator(
            table_encoder, table, layer=0, unit=unit, n_rows=4, n_columns=3, ax=figure.subplots()
        )
        top = np.argsort(-values[:, unit], kind="stable")[:4]
        names = [label.split(": ")[0] for label in tick_labels(display.ax_.yaxis)]
        assert names == table.index[top].tolist()
        distance = ((table - table.mean()) / table.std(ddof=0)).iloc[top]
        columns = distance.mean().abs().sort_values(ascending=False).index[:3]
        assert tick_labels(display.ax_.xaxis) == columns.tolist()
        np.testing.assert_allclose(display.images_[0].get_array(), distance[columns])
        cells = [[text.get_text() for text in row] for row in display.texts_]
        shown = table.iloc[top][columns].to_numpy()
        assert cells == [[f"{value:.3g}" for value in row] for row in shown]

    def test_missing_cells_show_a_dash(self, table_encoder, holed, figure):
        values = table_encoder.transform(holed)[:, :8]
        unit = int((values > 0).sum(axis=0).argmax())
        display = TopRowsDisplay.from_estimator(
            table_encoder, holed, layer=0, unit=unit, n_rows=6, ax=figure.subplots()
        )
        names = tick_labels(display.ax_.xaxis)
        shown = holed[names].iloc[np.argsort(-values[:, unit], kind="stable")[:6]]
        assert shown.isna().to_numpy().any()
        cells = [[text.get_text() for text in row] for row in display.texts_]
        assert cells == [
            ["\N{EN DASH}" if np.isnan(value) else f"{value:.3g}" for value in row]
            for row in shown.to_numpy()
        ]
        figure.draw_without_rendering()

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("image_shape", [None, (2, 2)])
    def test_nothing_is_known_of_any_row(self, image_shape, figure):
        unknown = np.full((3, 4), np.nan)
        display = TopRowsDisplay(unknown, [3, 2, 1], image_shape=image_shape)
        display.plot(figure.subplots())
        figure.draw_without_rendering()
        assert all(np.ma.getmaskarray(image.get_array()).all() for image in display.images_)

    def test_only_rows_where_the_unit_is_on(self, image_encoder, images, figure):
        values = image_encoder.transform(images)[:, 0]
        few = np.concatenate([images[values == 0][:20], images[values > 0][:3]])
        display = TopRowsDisplay.from_estimator(
            image_encoder, few, layer=0, unit=0, image_shape=(8, 8), ax=figure.subplots()
        )
        assert len(display.images_) == 3
        assert (np.diff(display.values) <= 0).all()

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"index must hold 2 names\. Got 1"):
            TopRowsDisplay(np.ones((2, 3)), [1, 2], index=["a"]).plot()
        with pytest.raises(ValueError, match="values must hold 2 finite numbers"):
            TopRowsDisplay(np.ones((2, 3)), [1, np.nan]).plot()


class TestHierarchy:
    def test_strongest_links_are_shown(self, image_encoder, images, figure):
        display = HierarchyDisplay.from_estimator(
            image_encoder, images, n_units=3, n_links=5, ax=figure.subplots()
        )
        assert [len(units) for units in display.units_] == [3, 3, 3]
        assert len(display.links_) == 10
        table = unit_links(image_encoder, n_units=None)
        layer, lower = np.asarray(table["layer"]), np.asarray(table["lower_layer"])
        top = np.flatnonzero((layer == 2) & (lower == 1))
        strongest = top[np.abs(np.asarray(table["effect"])[top]).argmax()]
        assert np.asarray(table["unit"])[strongest] in display.units_[2]
        assert np.asarray(table["lower_unit"])[strongest] in display.units_[1]
        labels = tick_labels(display.ax_.yaxis)
        assert "layer 1\n3 of 6 units" in labels
        assert "5 of 72 links" in labels

    def test_widths_and_dashes(self, figure):
        made_up = {
            "layer": [1, 1, 1, 2],
            "unit": [0, 0, 1, 0],
            "lower_layer": [0, 0, 0, 0],
            "lower_unit": [0, 1, 2, 1],
            "effect": [2.0, -1.0, 0.5, 9.0],
        }
        with pytest.raises(ValueError, match="must not be all zero between two layers"):
            HierarchyDisplay.from_links(made_up, (3, 2, 1))  # the link past a layer counts not
        display = HierarchyDisplay.from_links(made_up, (3, 2), ax=figure.subplots())
        widths = [link.get_linewidth() for link in display.links_]
        np.testing.assert_allclose(np.array(widths) / widths[0], [1, 0.5, 0.25])
        dashed = [link.get_linestyle() not in ("-", "solid") for link in display.links_]
        assert dashed == [False, True, False]
        assert len(display.nodes_) == 5

    def test_units_without_a_link_are_left_out(self, figure):
        one = {name: values[:1] for name, values in links().items()}
        one["effect"] = [1.0]
        display = HierarchyDisplay.from_links(one, (6, 4), ax=figure.subplots())
        assert [units.tolist() for units in display.units_] == [[0], [0]]

    def test_bottom_units_are_named_after_columns(self, table_encoder, table, figure):
        display = HierarchyDisplay.from_estimator(table_encoder, table, ax=figure.subplots())
        effects = layer_components(table_encoder, 0) / table.std(ddof=0).to_numpy()
        for unit, label in zip(display.units_[0], tick_labels(display.ax_.xaxis), strict=True):
            column = np.abs(effects[unit]).argmax()
            sign = "+" if effects[unit, column] > 0 else "−"
            assert label == f"{table.columns[column]} {sign}"

    def test_links_cross_less_than_in_order_of_strength(self, figure):
        # Unit i drives unit 5 - i of the layer below, the later the stronger.
        made_up = {
            "layer": np.ones(6, dtype=int),
            "unit": np.arange(6),
            "lower_layer": np.zeros(6, dtype=int),
            "lower_unit": np.array([3, 0, 5, 1, 4, 2]),
            "effect": np.array([1.0, 6.0, 3.0, 2.0, 5.0, 4.0]),
        }
        display = HierarchyDisplay.from_links(made_up, (6, 6), ax=figure.subplots())
        lower, upper = display.units_
        np.testing.assert_array_equal(made_up["lower_unit"][upper], lower)

    def test_one_layer_has_no_map(self, images):
        encoder = HierarchicalSparseEncoder((4,), max_iter=1, random_state=0).fit(images)
        with pytest.raises(ValueError, match="two layers or more"):
            HierarchyDisplay.from_estimator(encoder, images)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"Missing: \['effect'\]"):
            HierarchyDisplay.from_links(
                {k: v for k, v in links().items() if k != "effect"}, (6, 4)
            )
        with pytest.raises(ValueError, match="Got units 0 to 5 in a layer of 5"):
            HierarchyDisplay.from_links(links(), (5, 4, 3))
        with pytest.raises(ValueError, match=r"effects must hold 3 layers\. Got 1"):
            HierarchyDisplay(links(), (6, 4, 3), effects=[np.ones((6, 2))]).plot()
        with pytest.raises(ValueError, match="image_shape must be None where"):
            HierarchyDisplay(links(), (6, 4, 3), image_shape=(2, 2)).plot()
        with pytest.raises(ValueError, match="n_links must be an int"):
            HierarchyDisplay.from_links(links(), (6, 4, 3), n_links=0)
        with pytest.raises(ValueError, match="links must hold finite effects"):
            HierarchyDisplay.from_links({**links(), "effect": np.full(36, np.nan)}, (6, 4, 3))

    def test_names_are_checked_before_a_figure_is_made(self, monkeypatch):
        monkeypatch.setattr("skrgvae.plotting.hierarchy.single_axes", None)
        effects = [np.ones((size, 2)) for size in (6, 4, 3)]
        display = HierarchyDisplay(links(), (6, 4, 3), effects=effects, column_names=["a"])
        with pytest.raises(ValueError, match=r"column_names must hold 2 names\. Got 1"):
            display.plot()


@pytest.mark.parametrize("size", [3, 7, 178])
def test_spread_of_constant_columns_is_one(size):
    rows = np.tile([0.1, 1e6 + 0.1, -3.3, 0.0, np.nan], (size, 1))
    np.testing.assert_array_equal(column_spread(rows), 1.0)
    rows[0] = [0.5, np.nan, 3.3, 1.0, 2.0]
    expected = np.nanstd(rows, axis=0) + [0, 1, 0, 0, 1]
    np.testing.assert_allclose(column_spread(rows), expected)
    np.testing.assert_allclose(column_spread(1e200 * rows[:, [0, 2]]), 1e200 * expected[[0, 2]])


class TestNames:
    """Names stand in pictures as they are in the table."""

    @pytest.mark.parametrize(
        "display",
        [
            DictionaryDisplay(np.eye(4), unit_names=NAMES, column_names=NAMES),
            DictionaryDisplay(np.eye(4), unit_names=NAMES, image_shape=(2, 2)),
            HierarchyDisplay(
                links(),
                (6, 4, 3),
                effects=[np.eye(size, 4) for size in (6, 4, 3)],
                column_names=NAMES,
            ),
            ReconstructionDisplay(np.eye(4), np.eye(4), np.eye(4), column_names=NAMES),
            TopRowsDisplay(np.eye(4), range(4), index=NAMES, column_names=NAMES),
            TopRowsDisplay(np.eye(4), range(4), index=NAMES, image_shape=(2, 2)),
            TraversalDisplay(range(2), np.arange(8).reshape(2, 4), column_names=NAMES),
        ],
    )
    def test_no_name_is_a_formula(self, display, figure):
        display.plot(figure.subplots())
        figure.savefig(BytesIO())  # draws
        assert any("$" in text.get_text() for text in figure.findobj(Text))

    def test_names_that_begin_with_an_underscore(self, figure):
        display = TraversalDisplay(range(2), np.arange(8).reshape(2, 4), column_names=NAMES)
        display.plot(figure.subplots())
        assert list(display.lines_) == NAMES
        named = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert " _d" in named and len(named) == 4
