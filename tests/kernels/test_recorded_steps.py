"""Steps that are recorded take the same way as those that look at each loss."""

import gc
import math
import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import summarise
from skrgvae.network import Architecture, Hierarchy
from skrgvae.training import Rows, Schedule, Settings, Trainer
from skrgvae.training.graphs import Recorded
from skrgvae.training.recorded import RecordedSteps
from skrgvae.training.schedules import LATE
from skrgvae.training.steps import MAX_DROPPED, Steps

SIZES = (6, 4)
N_COLUMNS = 5


def table_of(family, with_holes=False, n_rows=40):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(n_rows, N_COLUMNS))
    if family == "bernoulli":
        table = table > 0
    if family == "categorical":
        table = rng.integers(0, 3, size=table.shape)
    table = table.astype(np.float32)
    if family == "gaussian":
        table[:3, 0] = 1e4  # a column that is bent
    if with_holes:
        table[rng.random(table.shape) < 0.2] = np.nan
    return table


def trainer_on(device, table, family, make=RecordedSteps, **options):
    n_categories = (3,) * N_COLUMNS if family == "categorical" else None
    architecture = Architecture(
        SIZES, None, (family,) * N_COLUMNS, n_categories, firing_rate=0.3, **options
    )
    module = Hierarchy(architecture)
    module.likelihood.set_statistics(summarise([table]))
    module.draw(torch.Generator().manual_seed(0))
    settings = Settings("adamax", 20, (0.03,) * len(SIZES), 0.0, 0.1)
    schedule = Schedule(100, 0.01, 1.0, 0.1, LATE)
    trainer = Trainer(module.to(device), SIZES, schedule, settings, seed=0)
    trainer.steps = make(module, SIZES, settings)
    return trainer


def rows_on(device, table):
    return Rows(ArrayRows(table), device)


CASES = [
    ("bernoulli", False),
    ("bernoulli", True),
    ("gaussian", False),
    ("gaussian", True),
    ("student_t", True),
    ("categorical", True),
]


@pytest.mark.parametrize(("family", "with_holes"), CASES)
def test_the_same_epochs(family, with_holes, device):
    table = table_of(family, with_holes)
    trainers = [
        trainer_on(device, table, family, make, direct_inputs=family == "bernoulli")
        for make in (Steps, RecordedSteps)
    ]
    for _ in range(3):
        one, other = (trainer.epoch(rows_on(device, table)) for trainer in trainers)
        assert other.elbo == pytest.approx(one.elbo, rel=2e-3)  # products in TF32 on a device
        assert other.kl == pytest.approx(one.kl, rel=2e-2, abs=1e-2)
        assert other.learning_rate == one.learning_rate
    assert trainers[1].steps._recorded


class NothingWaits(TorchDispatchMode):
    """Refuses what would make the host wait for a device, or make shapes depend on values."""

    WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal", "item")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in self.WAITING, f"{name} waits"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("family", "with_holes"), CASES)
def test_nothing_waits(family, with_holes, device, monkeypatch):
    table = table_of(family, with_holes)
    trainer = trainer_on(device, table, family)
    trainer.epoch(rows_on(device, table))  # what is looked up once is there now
    take = trainer.steps._step.take

    def watched(*arguments):
        with NothingWaits():
            take(*arguments)

    monkeypatch.setattr(trainer.steps._step, "take", watched)
    trainer.steps._recorded.clear()
    trainer.epoch(rows_on(device, table))
    assert trainer.steps._recorded


MAKES = RecordedSteps, Steps


def spoilt(trainer, calls):
    """Let chosen steps have a loss that is not a number."""
    spoilt = Spoilt(trainer.steps.objective, calls)
    trainer.steps.objective = spoilt
    if isinstance(trainer.steps, RecordedSteps):
        trainer.steps._step.objective = spoilt


class Spoilt:
    def __init__(self, objective, calls):
        self.objective, self.calls, self.n = objective, calls, 0

    def __call__(self, terms, kl_weight):
        loss, summary, slopes = self.objective(terms, kl_weight)
        self.n += 1
        return (loss * math.nan if self.n - 1 in self.calls else loss), summary, slopes


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, which interprets kernels
@pytest.mark.skipif(torch.cuda.is_available(), reason="a recording has no calls to spoil")
def test_bad_steps_are_dropped(device):
    table = table_of("bernoulli", n_rows=60)
    for calls, factor, dropped in (({1, 2}, 0.25, 2), ({0, 1}, 0.25, 0)):
        trainer, other = (trainer_on(device, table, "bernoulli", make) for make in MAKES)
        for one in (trainer, other):
            spoilt(one, calls)
        epochs = [one.epoch(rows_on(device, table)) for one in (trainer, other)]
        assert trainer.steps.rate_factor == other.steps.rate_factor == factor
        assert trainer.steps.dropped == other.steps.dropped == dropped
        assert epochs[0].elbo == pytest.approx(epochs[1].elbo, rel=1e-5, nan_ok=True)
        # A step is 0.01 long; where gradients are next to nothing, rounding decides on its sign.
        torch.testing.assert_close(
            trainer.steps.flat.detach(), other.steps.flat.detach(), rtol=0, atol=5e-3
        )
        assert int(trainer.steps.optimizer.n_steps) == 3 - len(calls)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, which interprets kernels
@pytest.mark.skipif(torch.cuda.is_available(), reason="a recording has no calls to spoil")
def test_when_nothing_helps_the_epoch_ends_in_an_error(device):
    table = table_of("bernoulli", n_rows=20 * (MAX_DROPPED + 2))
    trainer = trainer_on(device, table, "bernoulli")
    spoilt(trainer, set(range(1000)))
    with pytest.raises(ValueError, match="no finite loss in 22 steps in a row"):
        trainer.epoch(rows_on(device, table))


def test_a_checkpoints_state_goes_on(device):
    table = table_of("bernoulli")
    whole, first, second = (trainer_on(device, table, "bernoulli") for _ in range(3))
    for _ in range(3):
        whole.epoch(rows_on(device, table))
    first.epoch(rows_on(device, table))
    second.load_state(first.state())
    second.module.load_state_dict(first.module.state_dict())
    for _ in range(2):
        second.epoch(rows_on(device, table))
    assert torch.equal(whole.steps.flat, second.steps.flat)


def test_recordings_go_with_their_steps(device):
    trainer = trainer_on(device, table_of("bernoulli"), "bernoulli")
    trainer.epoch(rows_on(device, table_of("bernoulli")))
    recorded = [weakref.ref(one) for one in trainer.steps._recorded.values()]
    gc.collect()
    gc.disable()
    try:
        del trainer
        assert [one() for one in recorded] == [None] * len(recorded)
    finally:
        gc.enable()


def test_calls_of_other_shapes_are_told_apart():
    one, other = torch.zeros(2, 3), torch.zeros(3, 2)
    assert Recorded.shapes((one, None)) == Recorded.shapes((one + 1, None))
    assert Recorded.shapes((one, None)) != Recorded.shapes((other, None))
    assert Recorded.shapes((one, None)) != Recorded.shapes((one, one))


def test_arguments_are_copied_before_each_run(device):
    total = torch.zeros(3, device=device)
    recorded = Recorded(lambda pair: total.add_(pair[0]), ((total.clone(), None),))
    for number in range(1, 5):
        recorded.run(((torch.full((3,), float(number), device=device), None),))
    assert total.tolist() == [10.0] * 3
