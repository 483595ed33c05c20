"""The training loop: steps, dropped steps, stopping, going on."""

import copy
import itertools
import math
import random

import numpy as np
import pytest
import torch
from toys import CPU, Toy, network_trainer, small_network, toy_rows, toy_trainer

from skrgvae.data.sources import ArrayRows
from skrgvae.likelihoods.bernoulli import Bernoulli
from skrgvae.training import Rows, Stopping, Validation, fit_epochs
from skrgvae.training.schedules import EARLY, LATE
from skrgvae.training.steps import MAX_DROPPED


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(module, other):
    torch.testing.assert_close(module.state_dict(), other.state_dict(), rtol=0, atol=0)


def assert_finite(module):
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_an_epoch_is_one_step_per_batch():
    trainer = toy_trainer(batch_size=5)
    trainer.epoch(toy_rows(12))
    assert trainer.step == trainer.module.calls == 3


def test_training_finds_the_best_weights():
    # loss = |rows - loc|^2 / 2 + |loc|^2 / 2 + a constant: least at half the rows' mean.
    trainer = toy_trainer(n_steps=300, learning_rate=0.05, fall=LATE, batch_size=100)
    rows = toy_rows(12)
    for _ in range(300):
        trainer.epoch(rows)
    # The noise of a step moves its gradient by 0.3; over the last steps, that averages out.
    np.testing.assert_allclose(
        trainer.module.loc.detach(), rows.source.table.mean(axis=0) / 2, atol=0.15
    )


def test_an_epoch_reports_means_over_rows_at_weight_1():
    trainer = toy_trainer(batch_size=5, learning_rate=1e-12, kl_weight=0.3)
    rows = toy_rows(12)
    shuffled = rows.shuffled(5, np.random.default_rng(0))
    generator = torch.Generator().manual_seed(0)
    loc = trainer.module.loc.detach().clone()
    total = 0.0
    for batch, _ in shuffled:
        noise = torch.randn(len(batch), 2, generator=generator)
        total += 0.5 * (batch - loc - noise).square().sum().item()
    epoch = trainer.epoch(rows)
    kl = 0.5 * loc.square().sum().item()
    assert epoch.reconstruction == pytest.approx(-total / 12, rel=1e-5)
    assert epoch.kl == pytest.approx((kl,), rel=1e-5)
    assert epoch.elbo == pytest.approx(-total / 12 - kl, rel=1e-5)
    assert math.isnan(epoch.validation_elbo)
    assert epoch.kl_weight == 0.3
    assert epoch.learning_rate == 1e-12


def test_an_epoch_reports_the_schedules_at_its_end():
    trainer = toy_trainer(batch_size=4, n_steps=12, kl_warmup=0.5, fall=LATE)
    epochs = [trainer.epoch(toy_rows(12)) for _ in range(4)]
    assert [epoch.kl_weight for epoch in epochs] == pytest.approx([0.5, 1, 1, 1])
    assert [epoch.learning_rate for epoch in epochs] == pytest.approx([0.1, 0.1, 0.05, 0.001])


def test_the_module_is_left_in_evaluation_mode():
    trainer = toy_trainer()
    trainer.epoch(toy_rows())
    assert not trainer.module.training


@pytest.mark.parametrize("n_rows", [1, 2, 9, 17])
def test_any_number_of_rows(n_rows):
    # One row, fewer rows than a batch, a remainder of one row.
    module = small_network()
    run = fit_epochs(network_trainer(module), toy_rows(n_rows, 4), 2)
    assert_finite(module)
    assert run.best == len(run.history.epochs) == 2
    assert all(math.isfinite(epoch.elbo) for epoch in run.history.epochs)


def test_training_raises_the_bound():
    rng = np.random.default_rng(0)
    table = np.outer(rng.normal(size=200), [1, -2, 0.5, 3]) + rng.normal(0, 0.1, (200, 4))
    module = small_network(table=table)
    trainer = network_trainer(module, learning_rate=0.03, batch_size=20)
    history = fit_epochs(trainer, Rows(ArrayRows(table), CPU), 20).history
    elbos = [epoch.elbo for epoch in history.epochs]
    # Measured: from -6.9 to -5.9; from epoch to epoch it moves by a tenth or two.
    assert np.mean(elbos[-3:]) > elbos[0] + 0.5


def test_same_seed_same_weights():
    one, same, other = (small_network() for _ in range(3))
    for module, seed in ((one, 5), (same, 5), (other, 6)):
        fit_epochs(network_trainer(module, seed), toy_rows(30, 4), 2)
    assert_same(one, same)
    assert (one.top_down.top.loc != other.top_down.top.loc).any()


def test_global_generators_are_left_alone():
    state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    fit_epochs(network_trainer(small_network()), toy_rows(30, 4), 2)
    assert (torch.get_rng_state() == state[0]).all()
    assert (np.random.get_state()[1] == state[1]).all()  # noqa: NPY002
    assert random.getstate() == state[2]


def test_noise_is_standard_normal_and_apart_for_every_layer():
    # 5,000 rows and five standard errors; the correlation of two columns has 1 / sqrt(n). 33
    # comparisons: a false alarm has probability 2e-5.
    trainer = network_trainer(small_network())
    noise = trainer.noise(5000)
    joined = noise.double()
    assert joined.shape == (5000, 4 + 3)
    assert (joined.mean(dim=0).abs() < 5 / math.sqrt(5000)).all()
    assert ((joined.var(dim=0) - 1).abs() < 5 * math.sqrt(2 / 5000)).all()
    apart = torch.corrcoef(joined.T) - torch.eye(7)
    assert (apart.abs() < 5 / math.sqrt(5000)).all()
    assert (trainer.noise(5) != noise[:5]).all()


# What is not finite.


def test_a_step_that_is_not_finite_is_dropped():
    trainer = toy_trainer(Toy(lambda call: call == 1), batch_size=100)
    rows = toy_rows()
    trainer.epoch(rows)
    before = weights(trainer.module)
    moments = {name: value.copy() for name, value in trainer.state()["optimizer"].items()}
    trainer.epoch(rows)
    assert trainer.step == 2
    assert trainer.steps.rate_factor == 0.5
    torch.testing.assert_close(weights(trainer.module), before, rtol=0, atol=0)
    after = trainer.state()["optimizer"]
    assert all((after[name] == moments[name]).all() for name in moments)
    # It goes on, at half the rate.
    epoch = trainer.epoch(rows)
    assert epoch.learning_rate == 0.05
    assert (trainer.module.loc != before["loc"]).all()
    assert_finite(trainer.module)


def test_recovery_from_a_few_bad_steps():
    # As if the first rates had been too high.
    trainer = toy_trainer(Toy(lambda call: call < 4), learning_rate=1.0, batch_size=100)
    rows = toy_rows()
    history = fit_epochs(trainer, rows, 200).history
    assert trainer.steps.rate_factor == 0.5**4
    assert_finite(trainer.module)
    np.testing.assert_allclose(
        trainer.module.loc.detach(), rows.source.table.mean(axis=0) / 2, atol=0.4
    )
    assert history.epochs[-1].elbo > history.epochs[5].elbo


def test_single_bad_steps_do_not_add_up():
    trainer = toy_trainer(Toy(lambda call: call % 2 == 0), batch_size=100)
    fit_epochs(trainer, toy_rows(), 3 * MAX_DROPPED)
    assert trainer.steps.rate_factor == 0.5 ** (1.5 * MAX_DROPPED)
    assert_finite(trainer.module)


@pytest.mark.parametrize("input_dropout", [0.0, 0.3])
def test_a_row_that_is_not_finite_leaves_no_trace(monkeypatch, input_dropout):
    # The normalisation's running moments see the batch before its loss is known.
    # (All families bound their values, which is taken from one here.)
    monkeypatch.setattr(Bernoulli, "observe", lambda _, columns: columns)
    table = (toy_rows(40, 4).source.table > 0).astype(np.float32)
    module = small_network(table=table, family="bernoulli")
    table[7, 2] = math.inf
    trainer = network_trainer(module, input_dropout=input_dropout)
    history = fit_epochs(trainer, Rows(ArrayRows(table), CPU), 3).history
    assert trainer.steps.rate_factor == 0.5**3
    assert_finite(module)
    assert all(math.isfinite(epoch.elbo) for epoch in history.epochs)
    norm = module.bottom_up.norms[0]
    assert (norm.running_mean != 0).all()


def test_a_gradient_that_is_not_finite_drops_the_step():
    class Steep(Toy):
        def forward(self, rows, noise, hidden):
            terms = super().forward(rows, noise, hidden)
            # sqrt has the value 0 and an infinite slope at 0.
            edge = torch.sqrt(self.loc.sum() - self.loc.sum().detach())
            return terms._replace(log_likelihood=terms.log_likelihood + edge)

    trainer = toy_trainer(Steep(), batch_size=100)
    before = weights(trainer.module)
    trainer.epoch(toy_rows())
    assert trainer.steps.rate_factor == 0.5
    torch.testing.assert_close(trainer.module.loc.detach(), before["loc"], rtol=0, atol=0)


def test_when_nothing_helps_the_error_says_what_to_change():
    trainer = toy_trainer(Toy(lambda call: call >= 3), batch_size=4)
    with pytest.raises(ValueError, match=r"learning_rate.*batch_norm.*scaled"):
        fit_epochs(trainer, toy_rows(), 100)
    assert trainer.module.calls == 3 + MAX_DROPPED + 1
    assert torch.isfinite(trainer.module.loc).all()


def test_a_short_training_without_a_single_step_is_an_error():
    # Fewer steps than may be dropped in a row: still no silent model of the first weights.
    with pytest.raises(ValueError, match="learning_rate"):
        fit_epochs(toy_trainer(Toy(lambda call: True), batch_size=100), toy_rows(), 5)


def test_an_epoch_without_a_step_has_no_bound():
    # Not 0, which would be better than every bound that follows.
    trainer = toy_trainer(Toy(lambda call: call == 0), batch_size=100)
    epoch = trainer.epoch(toy_rows())
    assert math.isnan(epoch.elbo)
    assert math.isnan(epoch.reconstruction)
    assert all(math.isnan(kl) for kl in epoch.kl)


def test_dropped_steps_are_counted_across_a_stop():
    # A stream of single batches: each call makes a trainer from the state of the last one.
    module, state = Toy(lambda call: True), None

    def stream():
        nonlocal state
        for _ in range(MAX_DROPPED + 1):
            trainer = toy_trainer(module, batch_size=100)
            if state is not None:
                trainer.load_state(state)
            trainer.epoch(toy_rows())
            state = trainer.state()

    with pytest.raises(ValueError, match="learning_rate"):
        stream()


# Stopping.


class Script:
    """A validation that answers what it was told to, and keeps the weights it saw."""

    def __init__(self, trainer, values):
        self.trainer = trainer
        self.values = iter(values)
        self.seen = []

    def __call__(self):
        self.seen.append(weights(self.trainer.module))
        value = next(self.values)
        return Validation(value - 7.0, value)  # the bound is reported, and chooses nothing


def run(values, n_iter_no_change=2, tol=0.01, max_iter=None, stops=True, **options):
    trainer = toy_trainer(**options)
    script = Script(trainer, values)
    stopping = Stopping(n_iter_no_change, tol) if stops else None
    run = fit_epochs(trainer, toy_rows(), max_iter or len(values), script, stopping)
    return trainer, script, run.history, run.best


def test_the_best_weights_are_restored():
    trainer, script, history, best = run([-5.0, -3.0, -4.0, -3.5, -9.0], stops=False)
    assert best == 2
    assert len(history.epochs) == 5
    torch.testing.assert_close(weights(trainer.module), script.seen[1], rtol=0, atol=0)
    found = [epoch.validation_elbo for epoch in history.epochs]
    assert found == [-12.0, -10.0, -11.0, -10.5, -16.0]


def test_the_buffers_parameters_are_the_restored_ones():
    trainer, script, _, _ = run([-3.0, -4.0], stops=False)
    torch.testing.assert_close(trainer.steps.flat.detach(), script.seen[0]["loc"], rtol=0, atol=0)


def test_without_validation_the_last_weights_are_kept():
    trainer = toy_trainer()
    run = fit_epochs(trainer, toy_rows(), 4)
    assert run.best == len(run.history.epochs) == 4
    assert all(math.isnan(epoch.validation_elbo) for epoch in run.history.epochs)


@pytest.mark.parametrize(
    ("values", "n_epochs", "best"),
    [
        # No progress at all: negative bounds that stay as they are are none.
        ([-100.0] * 9, 3, 1),
        # Less than the tolerance, which is in nats and not relative to 100.
        ([-100.0, -99.995, -99.992, -99.0], 3, 3),
        # Slow progress adds up: it is measured from the last epoch that counted.
        ([-100.0, -99.994, -99.988, -99.982, -99.976, -99.976, -99.976, -99], 7, 5),
        # Interrupted by one bad epoch.
        ([-10.0, -12.0, -9.0, -12.0, -12.0, -8.0], 5, 3),
        ([-5.0, -4.0, -3.0, -2.0], 4, 4),
        # What is no number is no progress.
        ([-5.0, math.nan, math.nan, -2.0], 3, 1),
    ],
)
def test_stopping_by_absolute_tolerance(values, n_epochs, best):
    _, _, history, kept = run(values)
    assert (len(history.epochs), kept) == (n_epochs, best)


@pytest.mark.parametrize("options", [{"kl_warmup": 0.5}, {"fall": EARLY}])
def test_counting_begins_when_the_bound_has_settled(options):
    # Three steps an epoch, 30 planned, the first half of them with a rising weight, or 13 of them
    # at more than half of the rate: the epochs up to the fifth don't count, and the fifth is the
    # first to compare with.
    values = [-1.0, -2.0, -3.0, -4.0, -5.0, -5.0, -5.0, -5.0, -5.0, -5.0]
    _, _, history, best = run(values, n_steps=30, **options)
    assert len(history.epochs) == 7
    # The weights are the best of all epochs nevertheless: the bound is at weight 1 throughout.
    assert best == 1


class Recorder:
    """Hooks that write down what happens, and stop after some epochs."""

    def __init__(self, stop_after=math.inf):
        self.stop_after = stop_after
        self.events = []

    def begin_epoch(self):
        self.events.append("begin")

    def end_epoch(self, history):
        self.events.append(len(history.epochs))
        return len(history.epochs) >= self.stop_after


def test_hooks_stand_around_every_epoch():
    hooks = Recorder()
    fit_epochs(toy_trainer(), toy_rows(), 3, hooks=hooks)
    assert hooks.events == ["begin", 1, "begin", 2, "begin", 3]


def test_hooks_can_stop():
    hooks = Recorder(stop_after=2)
    run = fit_epochs(toy_trainer(), toy_rows(), 9, hooks=hooks)
    assert len(run.history.epochs) == run.best == 2


def test_hooks_see_the_epoch_that_stops():
    hooks = Recorder()
    values = itertools.repeat(-1.0)
    trainer = toy_trainer()
    fit_epochs(trainer, toy_rows(), 9, Script(trainer, values), Stopping(1, 0.1), hooks)
    assert hooks.events == ["begin", 1, "begin", 2]


def test_best_weights_are_restored_when_hooks_stop():
    trainer = toy_trainer()
    script = Script(trainer, [-1.0, -2.0, -3.0])
    run = fit_epochs(trainer, toy_rows(), 9, script, hooks=Recorder(stop_after=3))
    assert run.best == 1
    torch.testing.assert_close(weights(trainer.module), script.seen[0], rtol=0, atol=0)


# Going on.


@pytest.mark.parametrize("optimizer", ["adamax", "adam"])
@pytest.mark.parametrize("n_before", [0, 1, 3])
def test_a_resumed_training_ends_with_the_same_weights(optimizer, n_before):
    options = {"optimizer": optimizer, "n_steps": 25, "kl_warmup": 0.3, "fall": LATE}
    rows = toy_rows(37, 4)
    whole = small_network()
    trainer = network_trainer(whole, seed=3, **options)
    for _ in range(5):
        trainer.epoch(rows)

    first = network_trainer(small_network(), seed=3, **options)
    for _ in range(n_before):
        first.epoch(rows)
    state = first.state()
    assert not any(isinstance(value, torch.Tensor) for value in state["optimizer"].values())
    module = small_network()
    module.load_state_dict(first.module.state_dict())
    resumed = network_trainer(module, seed=99, **options)  # the seed comes from the state
    resumed.load_state(state)
    for _ in range(5 - n_before):
        resumed.epoch(rows)
    assert_same(resumed.module, whole)
    assert resumed.step == trainer.step


def test_a_state_keeps_what_it_was():
    # A snapshot: the trainer goes on, and what was taken before stays as it was.
    rows = toy_rows(37, 4)
    trainer = network_trainer(small_network())
    trainer.epoch(rows)
    state, at = trainer.state(), weights(trainer.module)
    kept = copy.deepcopy(state["optimizer"])
    trainer.epoch(rows)
    assert all((state["optimizer"][name] == kept[name]).all() for name in kept)
    module = small_network()
    module.load_state_dict(at)
    resumed = network_trainer(module)
    resumed.load_state(state)
    resumed.epoch(rows)
    assert_same(module, trainer.module)


def test_a_rate_that_was_lowered_stays_low():
    trainer = toy_trainer(Toy(lambda call: call == 0), batch_size=100)
    trainer.epoch(toy_rows())
    resumed = toy_trainer()
    resumed.load_state(trainer.state())
    assert resumed.steps.rate_factor == 0.5
