"""save and load: everything that was fitted comes back, and nothing else is believed."""

import copy
import os
import pickle
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hostile import document_of, fuzzer, signed, split
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file
from sklearn.exceptions import NotFittedError

import skrgvae
from skrgvae import HierarchicalSparseEncoder, ModelFileError
from skrgvae.likelihoods.completion import MOST_CORRELATED
from skrgvae.torch_modes import what_is_wrong_with

MODELS = Path(__file__).parent / "models"
SMALL = {"layer_sizes": (5, 3), "max_iter": 2, "batch_size": 20, "random_state": 0}

RNG = np.random.default_rng(0)
BITS = (RNG.random((60, 6)) < 0.4).astype(np.float32)
MIXED = np.column_stack([RNG.normal(20, 5, size=60), BITS[:, 0], RNG.normal(size=60)])
FRAME = pd.DataFrame(MIXED, columns=["a b", "ü", "\N{SNOWMAN}"])


def encoder(**parameters):
    return HierarchicalSparseEncoder(**{**SMALL, **parameters})


FITTED = {
    "bits": lambda: (encoder().fit(BITS), BITS),
    "mixed, with names": lambda: (encoder().fit(FRAME), FRAME),
    "float32": lambda: (encoder().fit(MIXED.astype(np.float32)), MIXED.astype(np.float32)),
    "hidden layers": lambda: (encoder(hidden_layer_sizes=4).fit(MIXED), MIXED),
    "plain": lambda: (
        encoder(batch_norm=False, firing_rate=None, skip_connections=False).fit(MIXED),
        MIXED,
    ),
    "Gaussian units, mean field": lambda: (
        encoder(latent="gaussian", posterior="mean_field").fit(BITS),
        BITS,
    ),
    "one layer": lambda: (encoder(layer_sizes=(4,)).fit(BITS), BITS),
    "many layers": lambda: (
        encoder(layer_sizes=(1,) * 40, skip_connections=False, max_iter=1).fit(BITS),
        BITS,
    ),
    "early stopping": lambda: (encoder(early_stopping=True, max_iter=4).fit(MIXED), MIXED),
    "a stream": lambda: (encoder().partial_fit(MIXED).partial_fit(MIXED[:1]), MIXED),
    "other output": lambda: (
        encoder(feature="mean", layers=[0], sparse_output=True).fit(BITS),
        BITS,
    ),
}


def reloaded(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    return type(fitted).load(tmp_path / "model")


def state(fitted):
    """Everything in an encoder but the optimiser's state, in a form that compares bit by bit."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return (
                value.dtype.str,
                value.shape,
                value.tolist() if value.dtype == object else (value.tobytes()),
            )
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value), [plain(item) for item in value]
        return type(value), repr(value)

    model = fitted._model
    found = {**vars(fitted), "_model": (model.architecture, model.seed, model.device)}
    found["weights"] = dict(sorted(model.arrays.items()))
    found.pop("_progress", None)
    return {name: plain(value) for name, value in found.items()}


@pytest.mark.parametrize("name", FITTED)
def test_everything_comes_back(name, tmp_path):
    fitted, X = FITTED[name]()
    loaded = reloaded(fitted, tmp_path)
    assert state(loaded) == state(fitted)
    results = ["transform", "score_samples", "get_feature_names_out"]
    for method in results:
        arguments = [] if method == "get_feature_names_out" else [X]
        expected, found = (getattr(e, method)(*arguments) for e in (fitted, loaded))
        if method == "transform" and fitted.sparse_output:
            expected, found = expected.toarray(), found.toarray()
        assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    assert_array_equal(loaded.components_, fitted.components_)
    assert_array_equal(loaded.sample(5), fitted.sample(5))
    assert loaded.layer_slices_ == fitted.layer_slices_
    if 0 in fitted._emitted():
        Z = fitted.transform(X)
        assert_array_equal(loaded.inverse_transform(Z), fitted.inverse_transform(Z))


def test_the_same_bits_in_another_process(tmp_path):
    fitted = encoder().fit(MIXED)
    fitted.save(tmp_path / "model")
    np.save(tmp_path / "X.npy", MIXED)
    code = (
        "import sys, numpy, torch\n"
        "from skrgvae import HierarchicalSparseEncoder\n"
        "torch.set_num_threads(int(sys.argv[2]))\n"
        "folder = sys.argv[1]\n"
        "loaded = HierarchicalSparseEncoder.load(folder + '/model')\n"
        "features = loaded.transform(numpy.load(folder + '/X.npy'))\n"
        "numpy.savez(folder + '/out.npz', features, loaded.components_)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path, str(torch.get_num_threads())],
        check=True,
        cwd=Path(skrgvae.__file__).parents[1],
    )
    found = np.load(tmp_path / "out.npz")
    assert_array_equal(found["arr_0"], fitted.transform(MIXED))
    assert_array_equal(found["arr_1"], fitted.components_)


@pytest.mark.parametrize(
    "parameters",
    [
        {"random_state": None, "layer_sizes": "auto", "hidden_layer_sizes": None},
        {"layer_sizes": [5, 3], "layers": (0, -1), "free_bits": [0.1, 0]},
        {"layer_sizes": np.array([5, 3]), "free_bits": np.array([0.25, 0.5], np.float32)},
        {"random_state": np.int64(3), "learning_rate": np.float32(0.1), "batch_norm": np.True_},
        {"likelihood": {0: "gaussian", "ü": "auto"}},
        {"likelihood": {np.int64(2): np.str_("gaussian")}, "feature": np.str_("mean")},
        {"hidden_layer_sizes": (4, 4), "categorical_features": None, "tol": 0, "verbose": False},
    ],
)
def test_parameters_come_back(parameters, tmp_path, capsys):
    fitted = encoder(**parameters).fit(FRAME)
    found = reloaded(fitted, tmp_path).get_params()
    for name, value in fitted.get_params().items():
        if isinstance(value, np.ndarray):
            assert_array_equal(found[name], value)
        else:
            assert found[name] == value
        if not isinstance(value, np.str_):  # a string like any other
            assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({"categorical_features": pd.Index(["ü"])}, ["ü"]),
        ({"categorical_features": np.array(["ü"])}, ["ü"]),
        ({"layer_sizes": range(5, 3, -1)}, [5, 4]),
        ({"layer_sizes": pd.Series([5, 3])}, np.array([5, 3])),
    ],
)
def test_sequences_come_back_as_lists_or_arrays(parameters, kept, tmp_path):
    frame = FRAME.assign(ü=np.where(FRAME["ü"] > 0, "on", "off"))
    fitted = encoder(**parameters).fit(frame)
    loaded = reloaded(fitted, tmp_path)
    (name,) = parameters
    assert_array_equal(getattr(loaded, name), kept)
    assert_array_equal(loaded.fit(frame).transform(frame), fitted.transform(frame))


def test_a_random_state_goes_on_where_it_stood(tmp_path):
    fitted = encoder(random_state=np.random.RandomState(5)).fit(BITS)
    fitted.random_state.normal()  # leaves half of a pair behind
    loaded = reloaded(fitted, tmp_path)
    assert loaded.random_state is not fitted.random_state
    assert_array_equal(loaded.random_state.normal(size=3), fitted.random_state.normal(size=3))
    assert_array_equal(loaded.fit_transform(BITS), fitted.fit_transform(BITS))


def test_training_goes_on(tmp_path):
    fitted = encoder(warm_start=True).fit(MIXED)
    for method in ("fit", "partial_fit"):
        other = reloaded(fitted, tmp_path)
        expected = getattr(copy.deepcopy(fitted), method)(MIXED).transform(MIXED)
        assert_array_equal(getattr(other, method)(MIXED).transform(MIXED), expected)
    assert other.n_iter_ == len(other.history_["elbo"]) == 3


def test_a_stream_goes_on_from_its_weights(tmp_path):
    """Without the optimiser's state, which the documentation says."""
    fitted = encoder().partial_fit(MIXED)
    loaded = reloaded(fitted, tmp_path).partial_fit(MIXED)
    assert loaded.n_iter_ == 2
    assert loaded.history_["kl_weight"][1] == 1


def test_a_subclass_loads_as_itself(tmp_path):
    class Named(HierarchicalSparseEncoder):
        def __init__(self, layer_sizes=(5, 3), *, max_iter=1, title="none"):
            super().__init__(layer_sizes, max_iter=max_iter)
            self.title = title

    fitted = Named(title="first").fit(BITS)
    fitted.save(str(tmp_path / "model"))
    loaded = Named.load(str(tmp_path / "model"))
    assert type(loaded) is Named
    assert loaded.title == "first"
    with pytest.raises(
        ModelFileError, match=r"keeps no parameters \['title'\]: the file was writ"
    ):
        HierarchicalSparseEncoder.load(tmp_path / "model")


def test_what_is_not_saved(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(NotFittedError):
        encoder().save(path)
    fitted = encoder().fit(BITS)
    with pytest.raises(TypeError, match="Parameter 'layers': a model file can't hold a deque"):
        copy.deepcopy(fitted).set_params(layers=deque([0, 1])).save(path)
    with pytest.raises(ValueError, match="'max_iter' parameter"):
        copy.deepcopy(fitted).set_params(max_iter=0).save(path)
    broken = copy.deepcopy(fitted)
    broken._model.arrays["top_down.top.loc"][0] = np.nan
    with pytest.raises(ValueError, match=r"array top_down\.top\.loc holds values that no trained"):
        broken.save(path)
    with pytest.raises(FileNotFoundError, match="folder does not exist"):
        fitted.save(tmp_path / "no" / "model")
    assert not list(tmp_path.iterdir())


def test_errors_of_the_system_are_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        HierarchicalSparseEncoder.load(tmp_path / "no")
    with pytest.raises(IsADirectoryError):
        HierarchicalSparseEncoder.load(tmp_path)
    if os.geteuid() != 0:
        (tmp_path / "secret").touch(0)
        with pytest.raises(PermissionError):
            HierarchicalSparseEncoder.load(tmp_path / "secret")


class BytesPath(os.PathLike):
    """As an entry of a folder that was listed by a path of bytes."""

    def __fspath__(self):
        return b"model"

    def __repr__(self):
        return "BytesPath()"


@pytest.mark.parametrize("path", [b"model", 3, None, ["model"], BytesPath()], ids=repr)
def test_what_is_no_path(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted = encoder(max_iter=1).fit(BITS)
    expected = re.escape(f"path must be a str or an os.PathLike of one. Got {path!r}.")
    with pytest.raises(TypeError, match=expected):
        fitted.save(path)
    assert not list(tmp_path.iterdir())
    fitted.save("model")
    with pytest.raises(TypeError, match=expected):
        HierarchicalSparseEncoder.load(path)


def test_a_file_of_the_papers_size(tmp_path):
    X = (np.random.default_rng(0).random((40, 784)) < 0.2).astype(np.float64)
    names = [f"pixel_{row}_{column}" for row in range(28) for column in range(28)]
    fitted = HierarchicalSparseEncoder(max_iter=50, random_state=0).fit(
        pd.DataFrame(X, columns=names)
    )
    fitted.save(tmp_path / "model")
    weights = sum(array.nbytes for array in fitted._model.arrays.values())
    assert (tmp_path / "model").stat().st_size < 1.05 * weights


def test_more_columns_than_are_completed(tmp_path):
    X = np.random.default_rng(0).normal(size=(20, MOST_CORRELATED + 1))
    fitted = HierarchicalSparseEncoder((3,), max_iter=1, random_state=0).fit(X)
    assert state(reloaded(fitted, tmp_path)) == state(fitted)


@pytest.mark.parametrize("word", ["sensor", "größe", "传感器"])
def test_many_names_of_all_alphabets(word, tmp_path):
    names = [f"{word}_{number:05d}" for number in range(3000)]
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3000)), columns=names)
    fitted = HierarchicalSparseEncoder((3,), max_iter=1, random_state=0).fit(X)
    assert reloaded(fitted, tmp_path).feature_names_in_.tolist() == names


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "xpu:99", "mps"])
def test_a_model_of_a_gpu_opens_without_one(device, tmp_path):
    fitted = encoder().fit(BITS)
    expected = fitted.transform(BITS)
    fitted._model.device = device
    loaded = reloaded(fitted, tmp_path)
    assert loaded._model.device == device
    if what_is_wrong_with(device):
        assert_array_equal(loaded.transform(BITS), expected)


def test_safetensors_alone_reads_the_weights(tmp_path):
    fitted = encoder().fit(MIXED)
    fitted.save(tmp_path / "model")
    arrays = load_file(tmp_path / "model")
    for name, array in fitted._model.arrays.items():
        assert_array_equal(arrays[name], array)


# Files of released versions


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_files_of_released_versions(path):
    loaded = HierarchicalSparseEncoder.load(path)
    expected = np.load(path.with_suffix(".npz"))
    rows = pd.DataFrame(expected["X"], columns=loaded.feature_names_in_)
    close = {"rtol": 1e-6, "atol": 1e-7}  # other processors and libraries round differently
    np.testing.assert_allclose(loaded.transform(rows), expected["features"], **close)
    np.testing.assert_allclose(loaded.score_samples(rows), expected["bounds"], **close)
    np.testing.assert_allclose(loaded.components_, expected["components"], **close)
    assert_array_equal(loaded.history_["elbo"], expected["elbo"])


def test_this_version_has_a_file():
    assert (MODELS / f"{skrgvae.__version__}.safetensors").is_file()


# Files with a valid checksum and a content that can't be


def content(**changes):
    def change(header, arrays):
        document = document_of(header)
        for path, value in changes.items():
            *outer, last = path.split("__")
            place = document["content"]
            for name in outer:
                place = place[name]
            if value is ...:
                del place[last]
            else:
                place[last] = value
        return fuzzer.with_document(header, document), arrays

    return change


def array(name, value):
    def change(header, arrays):
        begin, end = header[name]["data_offsets"]
        data = np.frombuffer(
            arrays[begin:end], {"F32": "<f4", "F64": "<f8"}[header[name]["dtype"]]
        )
        data = data.copy()
        data[0] = value
        return header, arrays[:begin] + data.tobytes() + arrays[end:]

    return change


def without(name):
    """Leave out the last array of the file."""

    def change(header, arrays):
        begin, end = header.pop(name)["data_offsets"]
        for entry in header.values():
            if "data_offsets" in entry and entry["data_offsets"][0] >= end:
                entry["data_offsets"] = [at - (end - begin) for at in entry["data_offsets"]]
        return header, arrays[:begin] + arrays[end:]

    return change


def renamed(header, arrays):
    header["top_down.bottom.loc"] = header.pop("top_down.top.loc")
    return header, arrays


HOSTILE = {
    "a missing entry": (content(seed=...), r"the content lacks \['seed'\]"),
    "another entry": (content(more=1), r"beside what is known, \['more'\]"),
    "an unknown parameter": (content(parameters__depth=3), r"keeps no parameters \['depth'\]"),
    "no parameters": (content(parameters=[]), "parameters are no JSON object"),
    "a folder to write to": (content(parameters__checkpoint="/"), "keeps no parameters"),
    "an invalid parameter": (content(parameters__max_iter=-1), "'max_iter' parameter"),
    "layers that aren't there": (content(parameters__layers=[7]), "layers must be 'all'"),
    "an unknown type": (content(parameters__tol={"object": "os"}), "no value can be made of 'obj"),
    "two types": (content(parameters__tol={"a": 1, "b": 1}), "must name one type"),
    "no array": (content(parameters__layers={"numpy": ["int8", [300]]}), "no array of int8"),
    "objects": (content(parameters__layers={"numpy": ["object", [1]]}), "unknown type of numpy"),
    "a position out of range": (
        content(parameters__random_state={"RandomState": [[0] * 624, 10**6, 0, 0.0]}),
        "no state of a RandomState",
    ),
    "no pairs": (content(parameters__likelihood={"mapping": [1]}), "must consist of pairs"),
    "deep nesting": (content(parameters__layers=fuzzer.nested(900)), "recursion|nested|layers"),
    "no architecture": (content(architecture=None), "the architecture is no JSON object"),
    "no layers": (content(architecture__layer_sizes=[]), "must be a list of sizes"),
    "a layer without units": (
        content(architecture__layer_sizes=[5, 0]),
        "an entry of layer_sizes",
    ),
    "a huge layer": (content(architecture__layer_sizes=[5, 2**62]), "an entry of layer_sizes"),
    "many layers": (
        content(architecture__layer_sizes=[1] * 101),
        "at most 100 layers",
    ),
    "hidden layers": (content(architecture__hidden_layer_sizes=[3]), "different lengths"),
    "other sizes": (content(architecture__layer_sizes=[5, 4]), "has the shape"),
    "an unknown family": (content(architecture__families=["normal"] * 3), "families of the col"),
    "more categories than numbers": (
        content(
            architecture__families=["categorical"] * 60, architecture__n_categories=[100] * 60
        ),
        r"n_categories has 6000 in all",
    ),
    "more columns": (content(architecture__families=["gaussian"] * 3), "the set of arrays lacks"),
    "an unknown law": (content(architecture__latent="__init__"), "latent must be one of"),
    "no boolean": (content(architecture__batch_norm=1), "batch_norm must be true or false"),
    "a wild rate": (content(architecture__firing_rate=2.0), "firing_rate must be null or"),
    "too many names": (content(feature_names_in=["a"] * 9), "one string per column"),
    "names of no type": (content(feature_names_in=[1, 2, 3]), "one string per column"),
    "no seed": (content(seed=-1), "seed must be a whole number"),
    "a device": (content(device="meta"), "device is none of torch's"),
    "the best of no epochs": (
        content(best_iter=3),
        "best_iter must be a whole number from 1 to 2",
    ),
    "another history": (content(history_columns=["elbo"]), "columns of the history must be"),
    "NaN": (array("top_down.top.loc", np.nan), "holds values that no trained network has"),
    "infinity": (array("training.medians", np.inf), "holds values that no trained network has"),
    "a negative variance": (
        array("bottom_up.norms.0.running_variance", -1),
        "running_variance holds values that no",
    ),
    "a spread of 0": (array("likelihood.families.1.spread", 0), "spread holds values that no"),
    "a unit of 0": (array("likelihood.completion.unit", 0), "unit holds values that no"),
    "a rate of 1": (array("likelihood.families.0.rate", 1), "rate holds values that no"),
    "a missing array": (without("top_down.top.loc"), r"lacks \['top_down\.top\.loc'\]"),
    "no history": (without("training.history"), r"lacks \['training\.history'\]"),
    "a renamed array": (renamed, r"beside what is known, \['top_down\.bottom\.loc'\]"),
}


@pytest.fixture(scope="module")
def mixed_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mixed"
    encoder().fit(MIXED).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(mixed_file, tmp_path, name):
    change, message = HOSTILE[name]
    path = tmp_path / "model"
    path.write_bytes(signed(*change(*split(mixed_file))))
    with pytest.raises(ModelFileError, match=message) as caught:
        HierarchicalSparseEncoder.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_content_that_can_be_is_read(mixed_file, tmp_path):
    """What the table above rests on: it isn't the signature that is refused."""
    (tmp_path / "model").write_bytes(signed(*content(seed=7)(*split(mixed_file))))
    assert HierarchicalSparseEncoder.load(tmp_path / "model")._model.seed == 7


def test_the_error_is_a_value_error_and_pickles():
    error = pickle.loads(pickle.dumps(ModelFileError("why")))
    assert isinstance(error, ValueError)
    assert str(error) == "why"


def test_a_pickle_is_no_model_file(tmp_path):
    (tmp_path / "model").write_bytes(pickle.dumps(encoder().fit(BITS)))
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        HierarchicalSparseEncoder.load(tmp_path / "model")


def test_some_of_the_fuzzing(tmp_path):
    """The share that fits here; the script runs as many as one likes."""
    result = fuzzer.fuzz(300, seed=1)
    assert result["failures"] == []
    assert sum(result["outcomes"].values()) == 300
    assert any("accepted, signed" in outcome for outcome in result["outcomes"])
