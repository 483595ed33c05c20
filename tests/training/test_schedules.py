"""Warm-up and decay."""

import pytest
from toys import schedule

from skrgvae.training.schedules import EARLY, LATE, fall_for


def test_kl_weight_rises_linearly_and_stays():
    plan = schedule(n_steps=100, kl_weight=0.5, kl_warmup=0.2)
    weights = [plan.kl_weight_at(step) for step in range(150)]
    assert weights[:20] == pytest.approx([0.5 * (step + 1) / 20 for step in range(20)])
    assert set(weights[19:]) == {0.5}


@pytest.mark.parametrize(("kl_warmup", "n_steps"), [(0.0, 100), (0.1, 1), (0.1, 10)])
def test_kl_weight_without_warm_up(kl_warmup, n_steps):
    plan = schedule(n_steps=n_steps, kl_warmup=kl_warmup)
    assert plan.kl_weight_at(0) == 1.0


def test_kl_weight_of_a_warm_up_over_everything():
    plan = schedule(n_steps=10, kl_warmup=1.0)
    assert plan.kl_weight_at(0) == pytest.approx(0.1)
    assert plan.kl_weight_at(9) == 1.0


def test_kl_weight_of_zero_stays_zero():
    assert {schedule(kl_weight=0.0, kl_warmup=0.3).kl_weight_at(step) for step in range(99)} == {0}


@pytest.mark.parametrize("kl_warmup", [0.0, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("fall", [None, LATE])
def test_settled_is_when_the_weight_is_full(kl_warmup, fall):
    plan = schedule(n_steps=40, kl_warmup=kl_warmup, fall=fall)
    # settled(n): after n steps, the last of which had number n - 1.
    for done in range(1, 60):
        assert plan.settled(done) == (plan.kl_weight_at(done - 1) == 1.0)


def test_weights_that_wander_settle_when_the_rate_has_halved():
    plan = schedule(n_steps=100, learning_rate=0.2, kl_warmup=0.1, fall=EARLY)
    # (99 - step) / 80 <= 0.5^0.5 from step 43 on
    assert [plan.settled(done) for done in range(120)] == [False] * 43 + [True] * 77


def test_learning_rate_is_constant_then_falls_linearly():
    plan = schedule(n_steps=100, learning_rate=0.2, fall=LATE)
    rates = [plan.learning_rate_at(step) for step in range(130)]
    assert rates[:50] == pytest.approx([0.2] * 50)
    assert rates[50:99] == pytest.approx([0.2 * (99 - step) / 50 for step in range(50, 99)])
    assert rates[99:] == pytest.approx([0.2 * LATE.last] * 31)
    assert all(rate > 0 for rate in rates)


def test_learning_rate_that_falls_early_and_ever_more_slowly():
    plan = schedule(n_steps=100, learning_rate=0.2, fall=EARLY)
    rates = [plan.learning_rate_at(step) for step in range(130)]
    assert rates[:20] == pytest.approx([0.2] * 20)
    left = [(99 - step) / 80 for step in range(20, 97)]
    assert rates[20:97] == pytest.approx([0.2 * share**2 for share in left])
    assert rates[97:] == pytest.approx([0.2 * EARLY.last] * 33)


def test_long_trainings_of_weights_that_decay_fall_early():
    assert fall_for(20_000, 0.01, 0.2) == EARLY
    assert fall_for(1_000, 0.01, 0.2) == fall_for(10**9, 0.01, 0.0) == LATE


def test_learning_rate_that_does_not_fall():
    plan = schedule(n_steps=10, learning_rate=0.2, fall=None)
    assert {plan.learning_rate_at(step) for step in range(50)} == {0.2}


def test_a_single_planned_step():
    plan = schedule(n_steps=1, fall=LATE)
    assert 0 < plan.learning_rate_at(0) <= plan.learning_rate
    assert plan.kl_weight_at(0) == 1.0
