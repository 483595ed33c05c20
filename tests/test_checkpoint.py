"""`checkpoint=FOLDER`: what is stopped goes on, what is finished is loaded, nothing is lost."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skrgvae import HierarchicalSparseEncoder, ModelFileError
from skrgvae.estimator import NOT_IN_FINGERPRINT
from skrgvae.persistence import container
from skrgvae.training import Trainer

MAX_ITER = 4


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture
def stop_at(monkeypatch):
    """Let the n-th epoch (1 = first) that is begun from now on fail, after its steps."""

    def stop(number, error=Stopped):
        begun = []
        epoch = Trainer.epoch

        def broken(trainer, *arguments):
            begun.append(None)
            done = epoch(trainer, *arguments)
            if len(begun) == number:
                monkeypatch.setattr(Trainer, "epoch", epoch)
                raise error
            return done

        monkeypatch.setattr(Trainer, "epoch", broken)

    return stop


def encoder(**parameters):
    defaults = {"layer_sizes": (4, 3), "max_iter": MAX_ITER, "batch_size": 20, "random_state": 0}
    return HierarchicalSparseEncoder(**{**defaults, **parameters})


def assert_same(one, other):
    """Weights bit for bit, and all that a fit tells of itself but the seconds."""
    assert one._model.arrays.keys() == other._model.arrays.keys()
    for name, array in one._model.arrays.items():
        assert array.dtype == other._model.arrays[name].dtype
        np.testing.assert_array_equal(array, other._model.arrays[name])
    assert one._model.seed == other._model.seed
    assert (one.n_iter_, one.best_iter_) == (other.n_iter_, other.best_iter_)
    for name in set(one.history_) - {"seconds"}:
        np.testing.assert_array_equal(one.history_[name], other.history_[name])
        assert type(one.history_[name][-1]) is type(other.history_[name][-1])


def only_file(folder):
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("number", range(1, MAX_ITER + 1))
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        # Far too fast: the weights to keep are those of an early epoch.
        {"early_stopping": True, "learning_rate": 0.5, "kl_warmup": 0.0, "n_iter_no_change": 9},
        {"optimizer": "adam", "hidden_layer_sizes": 4, "kl_warmup": 1.0},
        # What chooses the epoch is in no history.
        {
            "input_dropout": 0.3,
            "early_stopping": True,
            "learning_rate": 1.0,
            "kl_warmup": 0.0,
            "n_iter_no_change": 9,
        },
    ],
    ids=["plain", "stopping", "adam", "hidden"],
)
def test_a_stopped_fit_goes_on(X, tmp_path, stop_at, parameters, number):
    plain = encoder(**parameters).fit(X)
    kept = encoder(**parameters, checkpoint=tmp_path)
    stop_at(number)
    with pytest.raises(Stopped):
        kept.fit(X)
    assert not hasattr(kept, "n_iter_")
    assert len(list(tmp_path.iterdir())) == (number > 1)
    stop_at(2)  # once more, if there is a second epoch left
    if number < MAX_ITER:
        with pytest.raises(Stopped):
            kept.fit(X)
    assert_same(kept.fit(X), plain)
    assert_same(clone(kept).fit(X), plain)
    np.testing.assert_array_equal(kept.transform(X), plain.transform(X))
    only_file(tmp_path)


def test_early_stopping_goes_on_counting(X, tmp_path, stop_at):
    parameters = {"max_iter": 50, "kl_warmup": 0.0, "n_iter_no_change": 3, "tol": 1e6}
    plain = encoder(**parameters).fit(X, X_val=X[:9])
    kept = encoder(**parameters, checkpoint=tmp_path)
    stop_at(3)
    with pytest.raises(Stopped):
        kept.fit(X, X_val=X[:9])
    assert plain.n_iter_ == 4
    assert_same(kept.fit(X, X_val=X[:9]), plain)


def test_dropped_steps_are_remembered(X, tmp_path, stop_at, monkeypatch):
    noise = Trainer.noise

    def spoilt_once(self, n_rows):
        return noise(self, n_rows) * (np.nan if self.step == 1 else 1.0)

    monkeypatch.setattr(Trainer, "noise", spoilt_once)
    plain = encoder(learning_rate=0.01).fit(X)
    assert plain.history_["learning_rate"][0] == plain.learning_rate / 2
    kept = encoder(learning_rate=0.01, checkpoint=tmp_path)
    stop_at(3)
    with pytest.raises(Stopped):
        kept.fit(X)
    assert_same(kept.fit(X), plain)


def test_a_finished_fit_is_loaded(X, tmp_path, stop_at):
    kept = encoder(checkpoint=str(tmp_path / "a" / "b")).fit(X)
    path = only_file(tmp_path / "a" / "b")
    before = path.read_bytes(), path.stat().st_mtime_ns
    stop_at(1)  # no epoch is begun
    assert_same(clone(kept).fit(X), kept)
    assert clone(kept).fit(X).history_["seconds"] == kept.history_["seconds"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_drawn_seed_is_kept(X, tmp_path, stop_at):
    free = {"random_state": None, "early_stopping": True}
    kept = encoder(**free, checkpoint=tmp_path)
    stop_at(3)
    with pytest.raises(Stopped):
        kept.fit(X)
    first = clone(kept).fit(X)
    assert first.n_iter_ == MAX_ITER
    assert_same(clone(kept).fit(X), first)
    assert encoder(**free).fit(X)._model.seed != first._model.seed
    only_file(tmp_path)


def test_a_generator_draws_one_seed_per_fit(X, tmp_path):
    kept = encoder(checkpoint=tmp_path, random_state=np.random.RandomState(0))
    one, other = (clone(kept).set_params(random_state=kept.random_state).fit(X) for _ in "12")
    assert one._model.seed != other._model.seed
    assert len(list(tmp_path.iterdir())) == 2
    again = encoder(checkpoint=tmp_path, random_state=np.random.RandomState(0)).fit(X)
    assert_same(again, one)


def test_warm_start_has_its_weights_in_the_fingerprint(X, tmp_path, stop_at):
    def warm():
        return encoder(warm_start=True, max_iter=2).fit(X)

    plain = warm().set_params(max_iter=MAX_ITER).fit(X)
    kept = warm().set_params(max_iter=MAX_ITER, checkpoint=tmp_path)
    stop_at(3)
    with pytest.raises(Stopped):
        kept.fit(X)
    assert_same(kept.fit(X), plain)
    assert_same(warm().set_params(max_iter=MAX_ITER, checkpoint=tmp_path).fit(X), plain)
    cold = encoder(max_iter=MAX_ITER, checkpoint=tmp_path).fit(X)
    assert len(list(tmp_path.iterdir())) == 2
    # Going on from what is finished is a training of its own.
    cold.set_params(warm_start=True).fit(X)
    assert len(list(tmp_path.iterdir())) == 3


# Another value of every parameter.
OTHER = {
    "layer_sizes": (4, 2),
    "hidden_layer_sizes": 3,
    "latent": "gaussian",
    "posterior": "mean_field",
    "likelihood": {0: "gaussian"},
    "categorical_features": None,
    "batch_norm": False,
    "feature": "mean",
    "layers": [0],
    "sparse_output": True,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 30,
    "max_iter": 2,
    "kl_weight": 0.5,
    "kl_warmup": 0.5,
    "free_bits": (0.1, 0.2),
    "firing_rate": None,
    "skip_connections": False,
    "sparsity_penalty": 0.1,
    "weight_decay": 0.1,
    "input_dropout": 0.1,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "n_iter_no_change": 2,
    "tol": 0.5,
    "warm_start": True,
    "checkpoint": None,  # another folder, below
    "device": "cpu",
    "random_state": 1,
    "verbose": 1,
}


def test_a_fingerprint_for_every_training(X, tmp_path):
    assert OTHER.keys() == encoder().get_params().keys()
    expected = NOT_IN_FINGERPRINT - {"random_state"}  # its seed is in it
    parameters = {"max_iter": 1, "device": "auto", "checkpoint": tmp_path}
    encoder(**parameters).fit(X)
    ignored, names = set(), {only_file(tmp_path).name}
    for name, value in OTHER.items():
        changed = tmp_path / "elsewhere" if name == "checkpoint" else value
        encoder(**{**parameters, name: changed}).fit(X)
        now = {path.name for path in tmp_path.rglob("*.safetensors")}
        ignored |= {name} if now == names else set()
        names = now
    assert ignored == expected

    for rows, options in [
        (X[:-1], {}),
        (np.where(X == X[7, 1], X + 1e-12, X), {}),
        (X.astype(np.float32), {}),
        (csr_array(X), {}),
        (X, {"X_val": X[:9]}),
        (X, {"X_val": X[:8]}),
    ]:
        encoder(**parameters).fit(rows, **options)
        now = {path.name for path in tmp_path.glob("*.safetensors")}
        assert len(now - names) == 1
        names |= now


def test_the_same_training_has_the_same_fingerprint(X, tmp_path):
    kept = encoder(checkpoint=tmp_path, layer_sizes=[4, 3], max_iter=np.int64(1))
    kept.fit(X)
    kept.set_params(layer_sizes=(4, np.int32(3)), max_iter=1).fit(np.asfortranarray(X))
    only_file(tmp_path)


def test_candidates_of_a_search_do_not_meet(X, tmp_path):
    def search(**parameters):
        grid = {"layer_sizes": [(4,), (4, 3)], "free_bits": [0.03, 0.1]}
        return GridSearchCV(encoder(max_iter=1, **parameters), grid, cv=2).fit(X)

    plain, kept = search(), search(checkpoint=tmp_path)
    np.testing.assert_array_equal(
        plain.cv_results_["mean_test_score"], kept.cv_results_["mean_test_score"]
    )
    assert len(list(tmp_path.iterdir())) == 4 * 2 + 1


def test_the_same_training_many_times_at_once(X, tmp_path):
    plain = encoder().fit(X)
    kept = encoder(checkpoint=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        fitted = list(pool.map(lambda copy: copy.fit(X), [clone(kept) for _ in range(8)]))
    for one in fitted:
        assert_same(one, plain)
    only_file(tmp_path)


def test_streams_are_kept_otherwise(X, tmp_path):
    with pytest.raises(ValueError, match=r"partial_fit needs checkpoint=None.*Got '.*'"):
        encoder(checkpoint=str(tmp_path)).partial_fit(X)


# What goes wrong


def half_done(X, folder, stop_at, **parameters):
    kept = encoder(checkpoint=folder, **parameters)
    stop_at(3)
    with pytest.raises(Stopped):
        kept.fit(X)
    return kept


@pytest.mark.parametrize("damage", ["cut off", "one bit", "empty", "not ours", "renamed"])
def test_a_damaged_checkpoint_is_refused_and_left(X, tmp_path, stop_at, damage):
    kept = half_done(X, tmp_path, stop_at)
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    if damage == "cut off":
        del data[len(data) // 2 :]
    elif damage == "one bit":
        data[-100] ^= 1
    elif damage == "empty":
        data.clear()
    elif damage == "not ours":
        data[:] = b"notes, not numbers"
    else:
        kept.set_params(max_iter=MAX_ITER + 1).fit(X)
        (other,) = set(tmp_path.iterdir()) - {path}
        data[:] = other.read_bytes()
        kept.set_params(max_iter=MAX_ITER)
    path.write_bytes(data)
    kept = clone(kept)
    with pytest.raises(ModelFileError, match=f"(?s)checkpoint: .*{path.name}.*remove it"):
        kept.fit(X)
    assert path.read_bytes() == data
    assert not hasattr(kept, "n_iter_")
    path.unlink()
    assert_same(kept.fit(X), encoder().fit(X))


def test_a_full_disk(X, tmp_path, stop_at, monkeypatch):
    kept = half_done(X, tmp_path, stop_at)
    data = only_file(tmp_path).read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"checkpoint='.*still there \(No space left on device"):
            kept.fit(X)
    assert not hasattr(kept, "n_iter_")
    assert only_file(tmp_path).read_bytes() == data
    assert_same(kept.fit(X), encoder().fit(X))


def test_what_is_no_folder(X, tmp_path, stop_at):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    stop_at(1)  # it is told before the first epoch
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=r"checkpoint='.*' must be a folder that can be written"):
            encoder(checkpoint=folder).fit(X)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_read_only_folder(X, tmp_path, stop_at, monkeypatch):
    kept = half_done(X, tmp_path, stop_at)
    finished = encoder(checkpoint=tmp_path / "finished").fit(X)
    data = only_file(tmp_path / "finished").read_bytes()

    # As the system answers; permissions don't bind the user that tests often run as.
    def read_only(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    stop_at(1)
    for fresh in (kept, encoder(checkpoint=tmp_path / "new")):
        with pytest.raises(PermissionError, match=r"checkpoint='.*must be a folder .* written to"):
            fresh.fit(X)
    # What is finished needs no writing.
    assert_same(clone(finished).fit(X), finished)
    assert only_file(tmp_path / "finished").read_bytes() == data


# KeyboardInterrupt


@pytest.mark.parametrize("stops", [False, True])
def test_an_interrupt_keeps_the_best_weights_so_far(X, stop_at, stops):
    parameters = {"early_stopping": stops, "learning_rate": 0.5, "kl_warmup": 0.0, "tol": 0.0}
    options = {"X_val": X[:9]} if stops else {}
    plain = encoder(**parameters).fit(X, **options)
    interrupted = encoder(**parameters)
    stop_at(4, KeyboardInterrupt)
    with pytest.warns(
        ConvergenceWarning, match=r"interrupted after 3 of at most 4 epochs"
    ) as seen:
        interrupted.fit(X, **options)
    assert seen[0].filename == __file__
    assert interrupted.n_iter_ == len(interrupted.history_["elbo"]) == 3
    assert interrupted.history_["elbo"] == plain.history_["elbo"][:3]
    if stops:
        held_out = interrupted.history_["validation_elbo"]
        assert interrupted.best_iter_ == np.argmax(held_out) + 1
        assert interrupted.score(X[:9]) == pytest.approx(max(held_out), rel=1e-4)
    else:
        assert interrupted.best_iter_ == 3
    assert np.isfinite(interrupted.transform(X)).all()


def test_an_interrupt_leaves_no_half_epoch(X, tmp_path, stop_at):
    half_done(X, tmp_path, stop_at)  # holds the state after the second epoch
    _, _, arrays = container.read(only_file(tmp_path), "checkpoint", [1])
    interrupted = encoder()
    stop_at(3, KeyboardInterrupt)
    with pytest.warns(ConvergenceWarning):
        interrupted.fit(X)
    for name, array in interrupted._model.arrays.items():
        np.testing.assert_array_equal(array, arrays[f"module.{name}"])


def test_an_interrupt_before_anything_is_learned_is_passed_on(X, stop_at):
    fresh = encoder()
    before = dict(vars(fresh))
    stop_at(1, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X)
    assert vars(fresh) == before
    fitted = encoder().fit(X)
    features = fitted.transform(X)
    stop_at(1, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fitted.partial_fit(X)
    np.testing.assert_array_equal(fitted.transform(X), features)


def test_an_interrupted_fit_goes_on_from_its_checkpoint(X, tmp_path, stop_at):
    kept = encoder(checkpoint=tmp_path)
    stop_at(3, KeyboardInterrupt)
    with pytest.warns(ConvergenceWarning):
        kept.fit(X)
    assert kept.n_iter_ == 2
    assert_same(kept.fit(X), encoder().fit(X))


def test_a_training_clears_up_after_one_that_was_killed(X, tmp_path, stop_at, monkeypatch):
    stop_at(2)
    with pytest.raises(Stopped):
        encoder(checkpoint=tmp_path).fit(X)

    def stop(*paths):
        raise Stopped

    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", stop)
        killed.setattr(type(tmp_path), "unlink", lambda self, missing_ok: None)
        with pytest.raises(Stopped):
            encoder(checkpoint=tmp_path).fit(X)
    assert len(list(tmp_path.iterdir())) == 2
    encoder(checkpoint=tmp_path).fit(X)
    only_file(tmp_path)
