"""What raises a unit and what it raises, against what the encoder does with moved values."""

import numpy as np
import pytest
import torch

from skrgvae import HierarchicalSparseEncoder
from skrgvae.data.summary import some_rows
from skrgvae.inspection import explain, layer_components, unit_effects, unit_inputs, unit_links

pd = pytest.importorskip("pandas")
NAMES = [f"<{name}>" for name in "abcdef"] + ["constant"]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    causes = np.maximum(rng.normal(size=(300, 3)), 0)
    columns = causes[:, [0, 0, 1, 1, 2, 2]] * [1, 20, 1, 300, 1, 1]
    columns += 0.2 * columns.std(axis=0) * rng.normal(size=columns.shape)
    return pd.DataFrame(np.column_stack([columns, np.full(300, 3.0)]), columns=NAMES)


@pytest.fixture(scope="module")
def encoder(X):
    return HierarchicalSparseEncoder((6, 3), max_iter=30, random_state=0).fit(X)


def mean_rise(encoder, X, name):
    """What a column adds to the posterior means of all units."""
    encoder.set_params(feature="mean")
    half = np.zeros(7)
    half[NAMES.index(name)] = X[name].std(ddof=0) / 2
    rise = encoder.transform(X + half) - encoder.transform(X - half)
    encoder.set_params(feature="median")
    return rise.mean(axis=0)


def test_unit_inputs(X, encoder):
    table = unit_inputs(encoder, X, n_columns=None)
    assert list(table.columns) == ["layer", "unit", "rank", "column", "weight"]
    assert set(table["column"]) == set(NAMES) - {"constant"}
    start = np.array([0, 6])
    for name in NAMES[:-1]:
        mine = table[table["column"] == name]
        at = start[mine["layer"]] + mine["unit"]
        assert len(at) == 9  # those that are off have a mean that moves
        expected = mean_rise(encoder, X, name)
        np.testing.assert_allclose(mine["weight"], expected[at], rtol=1e-9)
    for _, unit in table.groupby(["layer", "unit"]):
        assert unit["rank"].tolist() == [1, 2, 3, 4, 5, 6]
        assert (np.diff(unit["weight"].abs()) <= 0).all()
    two = unit_inputs(encoder, X, n_columns=2)
    pd.testing.assert_frame_equal(two, table[table["rank"] <= 2].reset_index(drop=True))


def test_unit_inputs_of_many_rows(X, encoder, monkeypatch):
    drawn = unit_inputs(encoder, X.iloc[some_rows(np.arange(len(X)), 100)], n_columns=None)
    monkeypatch.setattr("skrgvae.inspection.inputs.MAX_ROWS", 100)
    pd.testing.assert_frame_equal(unit_inputs(encoder, X, n_columns=None), drawn)


def test_unit_inputs_of_binary_columns():
    # Where no value can rise beyond 1 or fall below 0, a weight still is that of a whole standard
    # deviation: the mean is nearly linear over the quarters of one that rows are moved by.
    rng = np.random.default_rng(0)
    cause = rng.random((300, 1)) < 0.5
    X = ((rng.random((300, 4)) < 0.1) ^ cause).astype(float)
    encoder = HierarchicalSparseEncoder((3,), feature="mean", max_iter=30, random_state=0).fit(X)
    assert set(encoder.likelihood_) == {"bernoulli"}
    table = unit_inputs(encoder, X, n_columns=None)
    for j in range(4):
        quarter = np.zeros(4)
        quarter[j] = 0.25
        inside = 0.25 + X / 2  # so that both steps are possible
        moved = np.where(np.arange(4) == j, inside, X)
        rise = encoder.transform(moved + quarter) - encoder.transform(moved - quarter)
        mine = table[table["column"] == f"x{j}"]
        expected = 2 * X[:, j].std() * rise.mean(axis=0)[mine["unit"]]
        np.testing.assert_allclose(mine["weight"], expected, rtol=0.2, atol=0.01)


def test_unit_inputs_of_one_row(X, encoder):
    assert len(unit_inputs(encoder, X[:1])) == 0  # no spread to move a column by


def test_components_of_the_bottom_layer(encoder):
    np.testing.assert_array_equal(layer_components(encoder), encoder.components_)


@torch.no_grad()
def prior_draws(encoder, top):
    """Draws of the bottom layer given the top one, and their expected rows, in float64."""
    module = encoder._model.module(torch.float64)
    above = torch.from_numpy(np.tile(top, (100_000, 1)))
    loc, scale = module.top_down.prior(0, [above], (len(above),))
    noise = torch.randn(loc.shape, dtype=loc.dtype, generator=torch.Generator().manual_seed(0))
    bottom = module.law.sample(loc, scale, noise)
    return bottom.numpy(), encoder._model.decode([bottom.numpy(), above.numpy()])


def assert_mean_difference(on, off, expected):
    """Within five standard errors: 3 x 13 comparisons fail by chance with probability 2e-5."""
    error = np.sqrt((on.var(axis=0) + off.var(axis=0)) / len(on))
    assert (np.abs(on.mean(axis=0) - off.mean(axis=0) - expected) <= 5 * error + 1e-9).all()


def test_components_of_an_upper_layer_are_expectations(encoder):
    """All of the model's draws below the unit, on average: the decoder is linear here."""
    components = layer_components(encoder, 1)
    links = unit_links(encoder, n_units=None)
    medians = encoder._medians[1].astype(float)
    assert components.shape == (3, 7)
    assert (links["layer"] == 1).all() and (links["lower_layer"] == 0).all()
    rows = pd.DataFrame(encoder._model.sample(2000, 0), columns=NAMES)
    drawn = encoder.transform(rows)[:, 6:]
    for unit in range(3):
        on, off = medians.copy(), medians.copy()
        on[unit], off[unit] = drawn[drawn[:, unit] > 0, unit].mean(), 0
        (lower_on, rows_on), (lower_off, rows_off) = (
            prior_draws(encoder, top) for top in (on, off)
        )
        assert_mean_difference(rows_on, rows_off, components[unit])
        mine = links[links["unit"] == unit].set_index("lower_unit")["effect"]
        assert_mean_difference(lower_on, lower_off, mine.reindex(range(6), fill_value=0))


def test_unit_links(encoder):
    links = unit_links(encoder, n_units=None)
    typical = encoder._active_means[links["lower_unit"]]
    np.testing.assert_allclose(links["weight"], links["effect"] / typical)
    for _, unit in links.groupby("unit"):
        assert (np.diff(unit["weight"].abs()) <= 0).all()
        assert unit["rank"].tolist() == list(range(1, len(unit) + 1))
    two = unit_links(encoder, n_units=2)
    pd.testing.assert_frame_equal(two, links[links["rank"] <= 2].reset_index(drop=True))


def test_links_over_two_layers(X):
    encoder = HierarchicalSparseEncoder((4, 3, 2), max_iter=2, random_state=0).fit(X)
    links = unit_links(encoder, n_units=None)
    pairs = set(zip(links["layer"], links["lower_layer"], strict=True))
    assert pairs == {(1, 0), (2, 0), (2, 1)}
    assert (links["lower_unit"] < np.array([4, 3])[links["lower_layer"]]).all()
    assert links.groupby(["layer", "unit"]).size().max() <= 7
    one = HierarchicalSparseEncoder((4,), max_iter=2, random_state=0).fit(X)
    assert len(unit_links(one)) == 0


def test_unit_effects(X, encoder):
    effects = unit_effects(encoder, n_columns=None)
    assert list(effects.columns) == ["layer", "unit", "rank", "column", "effect", "weight"]
    assert "constant" not in set(effects["column"])
    position = [NAMES.index(name) for name in effects["column"]]
    components = np.concatenate([layer_components(encoder, layer) for layer in (0, 1)])
    start = np.array([0, 6])
    at = start[effects["layer"]] + effects["unit"]
    np.testing.assert_array_equal(effects["effect"], components[at, position])
    # The model's own spread of a column is near that of the data, and the same for all units.
    spread = (effects["effect"] / effects["weight"]).groupby(effects["column"])
    np.testing.assert_allclose(spread.max(), spread.min())
    np.testing.assert_allclose(spread.mean()[NAMES[:-1]], X[NAMES[:-1]].std(), rtol=0.3)
    for _, unit in effects.groupby(["layer", "unit"]):
        assert (np.diff(unit["weight"].abs()) <= 0).all()
    two = unit_effects(encoder, n_columns=2)
    pd.testing.assert_frame_equal(two, effects[effects["rank"] <= 2].reset_index(drop=True))


def test_names_of_columns_without_names(X, encoder):
    nameless = HierarchicalSparseEncoder((6, 3), max_iter=30, random_state=0).fit(X.to_numpy())
    table = unit_effects(nameless)
    expected = unit_effects(encoder)["column"].map({n: f"x{j}" for j, n in enumerate(NAMES)})
    assert table["column"].tolist() == expected.tolist()


def test_explain(X, encoder):
    rows = X[:40]
    table = explain(encoder, rows, n_units=None, n_columns=None)
    features = encoder.transform(rows)
    for row in range(40):
        mine = table[table["row"] == row]
        units = mine.drop_duplicates(["layer", "unit"])
        at = (np.array([0, 6])[units["layer"]] + units["unit"]).to_numpy()
        assert set(at) == set(np.flatnonzero(features[row]))
        np.testing.assert_allclose(units["value"], features[row, at])
        kl = encoder.unit_summary(rows[row : row + 1])["kl"]
        np.testing.assert_allclose(units["kl"], kl[at])
        assert (np.diff(units["kl"]) <= 0).all()
        for unit in units["unit"][units["layer"] == 0]:
            without = features[row : row + 1].copy()
            without[0, unit] = 0
            effect = encoder.inverse_transform(features[row : row + 1])
            effect = (effect - encoder.inverse_transform(without))[0]
            shown = mine[(mine["layer"] == 0) & (mine["unit"] == unit)]
            columns = [NAMES.index(name) for name in shown["column"]]
            np.testing.assert_allclose(shown["effect"], effect[columns], atol=1e-9)
            assert (np.diff(shown["weight"].abs()) <= 0).all()
    assert (table["layer"] == 1).any()
    short = explain(encoder, rows, n_units=1, n_columns=2)
    assert short["rank"].max() == 2
    assert (short.groupby("row")[["layer", "unit"]].nunique() == 1).all(axis=None)


def test_explain_a_row_with_an_upper_unit_on(X, encoder):
    """The unit as it is against 0, all else of its layer as in the row, the bottom expected."""
    features = encoder.transform(X)
    row, unit = np.unravel_index(np.argmax(features[:, 6:]), (len(X), 3))
    table = explain(encoder, X[row : row + 1], n_units=None, n_columns=None)
    mine = table[(table["layer"] == 1) & (table["unit"] == unit)].set_index("column")["effect"]
    on, off = features[row, 6:].copy(), features[row, 6:].copy()
    off[unit] = 0
    rows_on, rows_off = (prior_draws(encoder, top)[1] for top in (on, off))
    assert_mean_difference(rows_on, rows_off, mine.reindex(NAMES, fill_value=0))


def test_explain_units_without_zeros(X):
    encoder = HierarchicalSparseEncoder((5, 2), latent="gaussian", max_iter=2, random_state=0).fit(
        X
    )
    table = explain(encoder, X[:3], n_columns=1)
    assert table.groupby("row").size().tolist() == [7, 7, 7]  # every unit is on


def test_weights_do_not_depend_on_units_of_measurement(X, encoder):
    factors = np.array([1000.0, 1, 1, 1, 1, 1e-3, 1])
    scaled = HierarchicalSparseEncoder((6, 3), max_iter=30, random_state=0).fit(X * factors)
    here, there = unit_effects(encoder, None), unit_effects(scaled, None)
    key = ["layer", "unit", "column"]
    both = here.merge(there, on=key, suffixes=("", "_scaled"))
    assert len(both) == len(here)
    np.testing.assert_allclose(both["weight"], both["weight_scaled"], rtol=0.02, atol=0.02)
    by_name = dict(zip(NAMES, factors, strict=True))
    np.testing.assert_allclose(
        both["effect"] * both["column"].map(by_name), both["effect_scaled"], rtol=0.02, atol=0.02
    )


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_weights_of_columns_of_any_magnitude(X, factor):
    found = []
    for unit in (1.0, factor):
        rows = X.to_numpy() * unit
        fitted = HierarchicalSparseEncoder((3,), max_iter=5, random_state=0).fit(rows)
        found.append([unit_effects(fitted, None), unit_inputs(fitted, rows, None)])
    for one, other in zip(*found, strict=True):
        both = one.merge(other, on=["layer", "unit", "column"], suffixes=("", "_scaled"))
        assert len(both) == len(one) == len(other) > 0
        np.testing.assert_allclose(both["weight"], both["weight_scaled"], rtol=0.02, atol=0.02)


@pytest.fixture(scope="module")
def mixed():
    """A cause behind a category, a count and a number with holes, and a category of its own."""
    rng = np.random.default_rng(0)
    cause = rng.random(400) < 0.4
    number = np.where(cause, 3.0, 0.0) + rng.normal(size=400)
    number[rng.random(400) < 0.2] = np.nan
    return pd.DataFrame(
        {
            "colour": np.where(rng.random(400) < 0.9, np.where(cause, "red", "blue"), "green"),
            "count": rng.poisson(np.where(cause, 8, 1)),
            "number": number,
            "missing": np.full(400, np.nan),
            "shape": rng.choice(["round", "flat"], 400),
        }
    )


@pytest.fixture(scope="module")
def mixed_encoder(mixed):
    return HierarchicalSparseEncoder(
        (4, 2), likelihood={"count": "poisson"}, max_iter=60, random_state=0
    ).fit(mixed)


def test_inputs_of_categories_and_counts(mixed, mixed_encoder):
    table = unit_inputs(mixed_encoder, mixed, n_columns=None)
    assert set(table["column"]) == {
        *("colour=blue", "colour=green", "colour=red"),
        *("count", "number", "shape=flat", "shape=round"),
    }
    assert np.isfinite(table["weight"]).all()
    mixed_encoder.set_params(feature="mean")
    red = mixed_encoder.transform(mixed.assign(colour="red"))
    rise = (red - mixed_encoder.transform(mixed)).mean(axis=0)
    mixed_encoder.set_params(feature="median")
    mine = table[table["column"] == "colour=red"]
    at = np.array([0, 4])[mine["layer"]] + mine["unit"]
    np.testing.assert_allclose(mine["weight"], rise[at], rtol=1e-9)


def test_effects_on_categories_and_counts(mixed, mixed_encoder):
    effects = unit_effects(mixed_encoder, n_columns=None)
    assert "missing" not in set(effects["column"])
    categorical = effects["column"].isin(["colour", "shape"])
    np.testing.assert_array_equal(effects["effect"][categorical], effects["weight"][categorical])
    assert effects["effect"][categorical].between(0, 1).all()
    assert effects[["effect", "weight"]].notna().all(axis=None)


def test_explain_a_row_with_holes(mixed, mixed_encoder):
    table = explain(mixed_encoder, mixed[:20], n_columns=None)
    assert set(table["column"]) <= set(mixed.columns) - {"missing"}
    assert table[["value", "kl", "effect", "weight"]].notna().all(axis=None)


def test_rows_are_drawn_for_categories_as_for_columns(mixed, mixed_encoder, monkeypatch):
    drawn = mixed.iloc[some_rows(np.arange(len(mixed)), 60)]
    expected = unit_inputs(mixed_encoder, drawn, n_columns=None)
    # Three numbers, two shapes and three colours are moved.
    monkeypatch.setattr("skrgvae.inspection.inputs.MAX_MOVED_ROWS", 8 * 60)
    pd.testing.assert_frame_equal(unit_inputs(mixed_encoder, mixed, n_columns=None), expected)
