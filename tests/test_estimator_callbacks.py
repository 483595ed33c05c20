"""scikit-learn's callbacks on a fit: they see every epoch, and leave nothing behind."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae import HierarchicalSparseEncoder

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has no callbacks")


class Recorder:
    """Writes down what it is told, and may stop the fit or break it."""

    def __init__(self, stop_after=None, break_at=None):
        self.stop_after = stop_after
        self.break_at = break_at
        self.log = []

    def tell(self, event, context):
        self.log.append((event, context.task_name, context.task_id))
        if self.break_at == (event, context.task_name, context.task_id):
            raise RuntimeError("broken on purpose")

    def setup(self, estimator, context):
        self.log.append("setup")

    def teardown(self, estimator, context):
        self.log.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tell("begin", context)

    def on_fit_task_end(self, estimator, context):
        self.tell("end", context)
        if context.task_name == "epoch" and self.stop_after is not None:
            return context.task_id + 1 >= self.stop_after
        return False


class Inspector(Recorder):
    """Asks for a fitted encoder after each epoch."""

    def __init__(self, X):
        super().__init__()
        self.X = X
        self.seen = []

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        assert X is self.X
        self.seen.append(
            (
                context.task_name,
                fitted_estimator.n_iter_,
                len(fitted_estimator.history_["elbo"]),
                fitted_estimator.transform(X),
                fitted_estimator.score(X),
            )
        )


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 3))


def encoder(**parameters):
    defaults = {"layer_sizes": (4, 3), "max_iter": 4, "batch_size": 20, "random_state": 0}
    return HierarchicalSparseEncoder(**{**defaults, **parameters})


def attributes(estimator):
    return set(vars(estimator)) - {"_skl_callbacks"}


def test_every_epoch_is_told(X):
    recorder = Recorder()
    fitted = encoder(max_iter=3).set_callbacks(recorder).fit(X)
    epochs = [(event, "epoch", number) for number in range(3) for event in ("begin", "end")]
    assert recorder.log == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    plain = encoder(max_iter=3).fit(X)
    assert attributes(fitted) == attributes(plain)
    np.testing.assert_array_equal(fitted.transform(X), plain.transform(X))


def test_a_callback_can_stop_the_fit(X):
    recorder = Recorder(stop_after=2)
    fitted = encoder().set_callbacks(recorder).fit(X)
    assert fitted.n_iter_ == fitted.best_iter_ == 2
    assert len(fitted.history_["elbo"]) == 2
    assert recorder.log[-2:] == [("end", "fit", 0), "teardown"]


def test_a_fit_that_a_callback_stopped_has_ended(X, tmp_path):
    for _ in range(2):
        fitted = encoder(checkpoint=tmp_path).set_callbacks(Recorder(stop_after=2)).fit(X)
        assert fitted.n_iter_ == 2
    assert encoder(checkpoint=tmp_path).fit(X).n_iter_ == 2  # also without the callback


def test_a_callback_can_stop_a_fit_with_held_out_rows(X):
    fitted = encoder().set_callbacks(Recorder(stop_after=3)).fit(X[:40], X_val=X[40:])
    assert fitted.n_iter_ == 3
    assert fitted.best_iter_ == np.argmax(fitted.history_["validation_elbo"]) + 1


def test_early_stopping_is_told_to_callbacks(X):
    recorder = Recorder()
    estimator = encoder(max_iter=30, kl_warmup=0.0, n_iter_no_change=1, tol=1e6)
    estimator.set_callbacks(recorder).fit(X[:40], X_val=X[40:])
    assert estimator.n_iter_ == 2
    assert recorder.log[-3:] == [("end", "epoch", 1), ("end", "fit", 0), "teardown"]


def test_a_callback_can_ask_for_the_fitted_encoder(X):
    inspector = Inspector(X)
    fitted = encoder().set_callbacks(inspector).fit(X)
    assert [seen[:3] for seen in inspector.seen] == [
        *[("epoch", number, number) for number in (1, 2, 3, 4)],
        ("fit", 4, 4),
    ]
    features = [seen[3] for seen in inspector.seen]
    assert not any(np.array_equal(a, b) for a, b in pairwise(features[:4]))
    np.testing.assert_array_equal(features[-1], fitted.transform(X))
    # As if training had ended there: an epoch's encoder is the one that stops after it.
    stopped = encoder().set_callbacks(Recorder(stop_after=2)).fit(X)
    np.testing.assert_array_equal(features[1], stopped.transform(X))
    # Looking changes nothing.
    np.testing.assert_array_equal(fitted.transform(X), encoder().fit(X).transform(X))
    assert attributes(fitted) == attributes(encoder().fit(X))


@pytest.mark.parametrize(
    "break_at",
    [("begin", "fit", 0), ("begin", "epoch", 1), ("end", "epoch", 1), ("end", "fit", 0)],
)
@pytest.mark.parametrize("fitted_before", [False, True])
def test_a_callback_that_breaks_the_fit_leaves_the_encoder_as_it_was(X, break_at, fitted_before):
    estimator = encoder()
    if fitted_before:
        estimator.fit(X[:, :2]).partial_fit(X[:, :2])
    recorder = Recorder(break_at=break_at)
    estimator.set_callbacks(recorder)
    before = dict(vars(estimator))
    with pytest.raises(RuntimeError, match="broken on purpose"):
        estimator.fit(X)
    after = vars(estimator)
    assert set(after) == set(before)
    assert all(after[name] is before[name] for name in before)
    assert recorder.log[-1] == "teardown"


def test_progress_bar(X, capsys):
    pytest.importorskip("rich")
    fitted = encoder().set_callbacks(callback.ProgressBar()).fit(X)
    assert "HierarchicalSparseEncoder" in capsys.readouterr().out
    assert attributes(fitted) == attributes(encoder().fit(X))
    np.testing.assert_array_equal(fitted.transform(X), encoder().fit(X).transform(X))


def test_progress_bar_of_a_pipeline(X, capsys):
    pytest.importorskip("rich")
    pipeline = make_pipeline(StandardScaler(), encoder()).set_callbacks(callback.ProgressBar())
    if not hasattr(pipeline, "set_callbacks"):
        pytest.skip("pipelines of this version of scikit-learn take no callbacks")
    pipeline.fit(X)
    assert attributes(pipeline[-1]) == attributes(encoder().fit(X))


def test_scoring_monitor(X):
    # It scores where there is a y, which the encoder must hand on although it ignores it.
    monitor = callback.ScoringMonitor(
        scoring=lambda estimator, X, y: {"elbo": estimator.score(X, y)}
    )
    fitted = encoder().set_callbacks(monitor).fit(X, np.zeros(60))
    data = monitor.get_logs().data
    epochs = [row for row in data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == [0, 1, 2, 3]
    assert epochs[-1]["elbo"] == pytest.approx(fitted.score(X))
    assert attributes(fitted) == attributes(encoder().fit(X))


def test_a_fit_with_callbacks_pickles_and_clones(X):
    fitted = encoder().set_callbacks(Recorder()).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(clone(fitted).fit(X).transform(X), fitted.transform(X))


def test_callbacks_of_an_interrupted_fit(X):
    class Impatient(Recorder):
        def on_fit_task_begin(self, estimator, context):
            super().on_fit_task_begin(estimator, context)
            if context.task_name == "epoch" and context.task_id == 2:
                raise KeyboardInterrupt

    recorder = Impatient()
    interrupted = encoder().set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 of at most 4 epochs"):
        interrupted.fit(X)
    assert interrupted.n_iter_ == 2
    assert recorder.log[0] == "setup" and recorder.log[-1] == "teardown"
    assert recorder.log[-2][:2] == ("end", "fit")
