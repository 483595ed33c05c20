"""sample_weight: a row of weight two is as good as two rows, a row of weight zero as none."""

import numpy as np
import pytest
from scipy import stats
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder

rng = np.random.default_rng(0)
# Two groups of rows that differ in where they are; the weights turn a rare one into a common one.
ROWS = np.concatenate(
    [rng.normal(0, 1, (90, 3)) + [0, 0, 3], rng.normal(0, 1, (30, 3)) + [4, -4, 0]]
)
WEIGHTS = np.concatenate([np.repeat([0, 1, 2], 30), np.full(30, 5)]).astype(float)
FRESH = np.concatenate(
    [rng.normal(0, 1, (90, 3)) + [0, 0, 3], rng.normal(0, 1, (150, 3)) + [4, -4, 0]]
)


def encoder(**parameters):
    settings = {"layer_sizes": (4, 2), "max_iter": 40, "batch_size": 20, "random_state": 0}
    return HierarchicalSparseEncoder(**{**settings, **parameters})


def test_weighted_rows_are_repeated_rows():
    # Held-out bounds over 12 seeds each by Welch's t-test at 1e-3. Weighted passes are shorter
    # (120 rows instead of 240), so they get twice as many. Without weights the bound is 0.6 nats
    # lower, 20 standard errors.
    repeated = np.repeat(ROWS, WEIGHTS.astype(int), axis=0)
    seeds = range(12)
    weighted = [
        encoder(max_iter=80, random_state=seed).fit(ROWS, sample_weight=WEIGHTS).score(FRESH)
        for seed in seeds
    ]
    plain = [encoder(random_state=seed).fit(repeated).score(FRESH) for seed in seeds]
    assert stats.ttest_ind(weighted, plain, equal_var=False).pvalue > 1e-3
    without = [encoder(max_iter=80, random_state=seed).fit(ROWS).score(FRESH) for seed in seeds]
    assert stats.ttest_ind(weighted, without, equal_var=False).pvalue < 1e-3


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_of_weight_zero_are_not_there(method):
    some = WEIGHTS > 0
    spoilt = np.where(some[:, None], ROWS, 1e6)
    one = getattr(encoder(max_iter=2), method)(spoilt, sample_weight=WEIGHTS)
    other = getattr(encoder(max_iter=2), method)(ROWS[some], sample_weight=WEIGHTS[some])
    np.testing.assert_array_equal(one.transform(FRESH), other.transform(FRESH))


def test_the_unit_of_the_weights_is_free():
    one = encoder(max_iter=2).fit(ROWS, sample_weight=WEIGHTS)
    other = encoder(max_iter=2).fit(ROWS, sample_weight=WEIGHTS / 1024)
    np.testing.assert_array_equal(one.transform(FRESH), other.transform(FRESH))


@pytest.mark.parametrize("weight", [1e308, 5e-324])
def test_the_largest_and_the_smallest_weights(weight):
    alike = np.full(len(ROWS), weight)
    fitted = encoder(max_iter=2).fit(ROWS, sample_weight=alike)
    ones = encoder(max_iter=2).fit(ROWS, sample_weight=np.ones(len(ROWS)))
    np.testing.assert_allclose(fitted.transform(FRESH), ones.transform(FRESH), atol=1e-9)
    assert fitted.score(ROWS, sample_weight=alike) == pytest.approx(ones.score(ROWS))


def test_score_is_the_weighted_mean():
    fitted = encoder(max_iter=2).fit(ROWS)
    expected = np.average(fitted.score_samples(ROWS), weights=WEIGHTS)
    assert fitted.score(ROWS, sample_weight=WEIGHTS) == pytest.approx(expected, rel=1e-12)


def test_held_out_rows_keep_their_weights():
    # All the weight of the held-out rows is on one kind of row: the bound is that of its rows.
    fitted = encoder(max_iter=3, early_stopping=True, validation_fraction=0.5)
    fitted.fit(ROWS, sample_weight=WEIGHTS)
    other = encoder(max_iter=3, early_stopping=True, validation_fraction=0.5).fit(
        ROWS[WEIGHTS > 0]
    )
    assert fitted.history_["validation_elbo"] != other.history_["validation_elbo"]


def test_through_metadata_routing():
    with config_context(enable_metadata_routing=True):
        step = encoder(max_iter=2).set_fit_request(sample_weight=True)
        step.set_score_request(sample_weight=True)
        assert not hasattr(step, "set_inverse_transform_request")  # Z is data
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), step)
        pipeline.fit(ROWS, sample_weight=WEIGHTS)
        search = GridSearchCV(step, {"layer_sizes": [(4,), (4, 2)]}, cv=2)
        search.fit(ROWS, sample_weight=WEIGHTS)
    scaled = StandardScaler().fit_transform(ROWS)
    alone = encoder(max_iter=2).fit(scaled, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(pipeline[-1].transform(scaled), alone.transform(scaled))
    assert np.isfinite(search.best_score_)


def test_usual_values_of_units_are_those_of_repeated_rows():
    # The same network, and the rows that the medians are taken from: a few rows of large weight,
    # and as many copies. Both draws hold each row in proportion, so medians differ by rounding.
    repeated = np.repeat(ROWS, WEIGHTS.astype(int), axis=0)
    fitted = encoder(max_iter=2).fit(ROWS, sample_weight=WEIGHTS)
    values = fitted.transform(repeated)
    plain = np.median(fitted.transform(ROWS[WEIGHTS > 0]), axis=0)
    medians, right = np.concatenate(fitted._medians), np.median(values, axis=0)
    assert np.abs(medians - right).max() < 0.3 * np.abs(plain - right).max()


def test_categories_start_at_their_weighted_frequency():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"kind": pd.Categorical(["a"] * 90 + ["b"] * 10)})
    weights = np.repeat([1.0, 81.0], [90, 10])
    fitted = encoder(max_iter=1, learning_rate=1e-9).fit(table, sample_weight=weights)
    frequency = fitted._model.arrays["likelihood.families.0.frequency"]
    np.testing.assert_allclose(frequency, [0.1, 0.9], atol=0.02)
