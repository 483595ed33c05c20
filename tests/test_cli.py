"""The command line: files in, table and JSON out, and errors a user can act on."""

import datetime
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from time import sleep

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from sklearn.datasets import load_iris

from skrgvae import HierarchicalSparseEncoder, __version__, pilot
from skrgvae.cli import _show, main
from skrgvae.tables import TableError, read_features, read_table

NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
X, Y = load_iris(return_X_y=True)


@pytest.fixture
def frame():
    return pd.DataFrame(X, columns=NAMES).assign(species=np.array(["a", "b", "c"])[Y])


@pytest.fixture
def csv(frame, tmp_path):
    path = tmp_path / "iris.csv"
    frame.to_csv(path, index=False)
    return str(path)


@pytest.fixture
def small_encoder(monkeypatch):
    """Seconds instead of minutes for what the command runs."""

    def run_pilot(*args, **options):
        small = HierarchicalSparseEncoder(layer_sizes=(8, 4), max_iter=2)
        small_study = {"encoder": small, "labels": (20,), "n_splits": 2, "n_repeats": 1}
        return study(*args, **{**options, **small_study, "n_jobs": 1})

    study = pilot.run_pilot
    monkeypatch.setattr(pilot, "run_pilot", run_pilot)


@pytest.fixture
def no_study(monkeypatch):
    def run_pilot(*args, **options):
        raise AssertionError("the error must come before the work")

    monkeypatch.setattr(pilot, "run_pilot", run_pilot)


def written(frame, folder, kind):
    """The table in a file of some kind, and the name of its target there."""
    path = folder / f"iris.{kind}"
    if kind == "npy":
        np.save(path, np.column_stack([X, Y]))
        return path, "4"
    if kind == "npz":
        np.savez(path, X=X, y=frame["species"].to_numpy(dtype=str))
        return path, None
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path, "species"


# Reading


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "npy", "npz"])
def test_every_kind_of_file_holds_the_same_table(frame, tmp_path, kind):
    table = read_table(*written(frame, tmp_path, kind))
    np.testing.assert_array_equal(table.X, X)
    labels = np.unique(table.y, return_inverse=True)[1]
    np.testing.assert_array_equal(labels, Y)
    named = kind not in ("npy", "npz")
    assert table.feature_names == (NAMES if named else ["0", "1", "2", "3"])


def test_dropped_columns_are_gone(csv):
    table = read_table(csv, "species", ["sepal width", "petal length"])
    assert table.feature_names == ["sepal length", "petal width"]
    np.testing.assert_array_equal(table.X, X[:, [0, 3]])


def test_a_column_of_an_npz_file_can_be_the_target(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.column_stack([Y, X]), y=Y[::-1])
    table = read_table(tmp_path / "a.npz", "0", ["4"])
    np.testing.assert_array_equal(table.y, Y)
    np.testing.assert_array_equal(table.X, X[:, :3])


def test_booleans_and_nullable_numbers_are_numbers(frame, tmp_path):
    extra = frame.assign(wide=X[:, 1] > 3, count=pd.array(Y, dtype="Int64"))
    extra.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", "species")
    np.testing.assert_array_equal(
        table.X.to_numpy(dtype=float)[:, 4:], np.column_stack([X[:, 1] > 3, Y])
    )


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (Y.astype(float), [0, 1, 2]),
        (Y / 2, [0, 0.5, 1]),
        (Y == 1, ["False", "True"]),
        (pd.Categorical.from_codes(Y, ["low", "mid", "top"]), ["low", "mid", "top"]),
    ],
)
def test_what_can_be_a_class_label(frame, tmp_path, labels, classes):
    frame.assign(species=labels).to_parquet(tmp_path / "a.parquet")
    y = read_table(tmp_path / "a.parquet", "species").y
    assert np.unique(y).tolist() == classes


def with_holes(values, rows, hole):
    text = np.asarray(values).dtype.kind == "U"
    values = np.asarray(values, dtype=object if text else float).copy()
    values[rows] = hole
    return values


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (with_holes(X[:, 0].astype(str), [5], "?"), r"colour: numbers, but for .* such as '\?'"),
        (X[:, 0].astype(str), "colour: numbers written as text"),
        (
            np.char.replace(X[:, 0].astype(str), ".", ","),
            "colour: numbers with commas, such as '5,1'",
        ),
        (with_holes(X[:, 0], [3], -np.inf), "colour: 1 infinite"),
        (pd.date_range("2024-01-01", periods=150), "colour: dates or times"),
        ([datetime.date(2024, 1, 1)] * 150, "colour: values of the type date"),
        ([b"red"] * 150, "colour: values of the type bytes"),
        (pd.Categorical([b"red"] * 150), "colour: values of the type bytes"),
        ([[1, 2]] * 150, "colour: values of the type ndarray"),
    ],
)
def test_a_column_that_can_not_be_used_is_named(frame, tmp_path, column, problem):
    frame.assign(colour=column).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(TableError, match=problem) as caught:
        read_table(tmp_path / "a.parquet", "species")
    assert "(--drop colour)" in str(caught.value)
    assert "sepal" not in str(caught.value)
    table = read_table(tmp_path / "a.parquet", "species", ["colour"])
    np.testing.assert_array_equal(table.X, X)


@pytest.mark.parametrize(
    "column",
    [
        np.array(["red", "blue"])[Y % 2],
        with_holes(np.array(["red", "blue"])[Y % 2], [5], None),
        with_holes(X[:, 0], [3, 9], np.nan),
        pd.array([1, None] * 75, dtype="Int64"),
        pd.Categorical(X[:, 0].astype(str)),
        [None] * 150,
    ],
)
def test_text_categories_and_gaps_are_handed_on(frame, tmp_path, column):
    whole = frame.assign(colour=column)
    whole.to_parquet(tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet", "species").X
    pd.testing.assert_frame_equal(
        found, whole.drop(columns="species"), check_dtype=False, check_column_type=False
    )


@pytest.mark.parametrize(
    "column",
    [
        np.array(["2024-01-31", "2024-02-29", "9999-12-31"])[Y],
        with_holes(np.array(["2024-01-31", "2024-02-01"])[Y % 2], [0, 5], None),
        np.array(["2024-01-31 07:30", "2024-01-31T23:59:59.5+09:00"])[Y % 2],
    ],
    ids=["dates", "with gaps", "with times"],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_dates_that_are_written_as_text_are_refused_as_dates_are(
    frame, tmp_path, capsys, kind, column
):
    path, _ = written(frame.assign(day=column), tmp_path, kind)
    arguments = ["fit", str(path), "--out", str(tmp_path / "m"), "--quiet", "--max-iter", "1"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "  day: dates or times\nLeave them out (--drop day)" in told
    assert main([*arguments, "--layer-sizes", "3", "--drop", "day"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    "other", ["unknown", "2024-13-01", "2024-01-32", "part 2024-01-01", "1-1"]
)
def test_what_is_not_all_dates_is_text(tmp_path, other):
    table = pd.DataFrame({"a": np.arange(4.0), "word": ["2024-01-31", "2024-02-01", other, other]})
    table.to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(read_features(tmp_path / "a.csv"), table)


def test_decimals_are_numbers(frame, tmp_path):
    decimals = [Decimal(str(value)) for value in X[:, 0]]
    frame.assign(colour=[None, *decimals[1:]]).to_parquet(tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet", "species").X["colour"].to_numpy()
    np.testing.assert_array_equal(found, np.append(np.nan, X[1:, 0]))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_that_are_separated_otherwise(frame, tmp_path, mark):
    frame.to_csv(tmp_path / "a.csv", index=False, sep=mark)
    with pytest.raises(TableError, match=r"there is one column, .* separated by commas, not"):
        read_features(tmp_path / "a.csv")


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(["1,5 x", "1,5 y"], id="one comma in each row"),
        pytest.param(["1,5 2,5", "1,5 2,5"], id="two commas in each row"),
        pytest.param(["1 2", "1,5 2"], id="a comma in the last row"),
    ],
)
def test_columns_that_are_separated_otherwise_and_hold_commas(tmp_path, capsys, mark, rows):
    text = "\n".join(["width kind", *rows, ""]).replace(" ", mark)
    (tmp_path / "a.csv").write_text(text)
    assert main(["fit", str(tmp_path / "a.csv"), "--out", str(tmp_path / "m")]) == 2
    told = capsys.readouterr().err
    assert f"there is one column, {f'width{mark}kind'!r}: columns must be separated by" in told
    assert f"commas, not {mark!r}" in told


def test_names_that_stand_twice_in_a_parquet_file(tmp_path):
    table = pyarrow.table([[1], [2], [3], [4]], names=["a", "b", "a", "c"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    message = r"a\.parquet: each column must have a name of its own, more than once there is 'a'$"
    with pytest.raises(TableError, match=message):
        read_features(tmp_path / "a.parquet")


def test_empty_fields_behind_the_last_name(tmp_path):
    (tmp_path / "a.csv").write_text("a,label,b\n0.5,x,1,\n0.25,y,2,\n")
    table = read_table(tmp_path / "a.csv", "label")
    assert table.y.tolist() == ["x", "y"]
    np.testing.assert_array_equal(table.X, [[0.5, 1], [0.25, 2]])
    (tmp_path / "b.csv").write_text("a,label,b\n0.5,x,1,3\n0.25,y,2,\n")
    with pytest.raises(TableError, match="rows have 1 fields more than the header has names"):
        read_table(tmp_path / "b.csv", "label")


@pytest.mark.parametrize("first", [0, 1, 5])
def test_empty_fields_behind_rows_that_are_numbered(tmp_path, first):
    lines = ["row,b", *(f"{first + row},{10 * row}," for row in range(4)), ""]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    table = read_features(tmp_path / "a.csv")
    np.testing.assert_array_equal(table["row"], first + np.arange(4))
    np.testing.assert_array_equal(table["b"], 10 * np.arange(4))


def test_large_whole_numbers_are_different_classes(tmp_path):
    np.savez(tmp_path / "a.npz", X=X[:4], y=np.array([2**53, 2**53 + 1, 0, 1]))
    assert np.unique(read_table(tmp_path / "a.npz").y).size == 4


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
@pytest.mark.parametrize(
    "labels",
    [
        np.array([2**63, 2**64 - 1, 0, 2**63], dtype=np.uint64),
        np.array([1e19, 2e19, -1e19, 1e19]),
    ],
    ids=["whole", "floats"],
)
def test_labels_beyond_the_largest_whole_number_are_kept(tmp_path, kind, labels):
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, X=X[:4], y=labels)
    else:
        table = pd.DataFrame(X[:4], columns=NAMES).assign(y=labels)
        (table.to_csv if kind == "csv" else table.to_parquet)(path, index=False)
    np.testing.assert_array_equal(read_table(path, "y").y, labels)


def test_columns_of_arrays_keep_their_positions_in_the_file(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    np.save(tmp_path / "a.npy", np.column_stack([y, rng.normal(size=(100, 2)), y]))
    asked = []

    def run_pilot(*args, feature_names, **options):
        asked.append(feature_names)
        raise ValueError("enough")

    monkeypatch.setattr(pilot, "run_pilot", run_pilot)
    assert main(["pilot", str(tmp_path / "a.npy"), "--target", "0", "--drop", "1"]) == 2
    assert asked == [["2", "3"]]
    capsys.readouterr()


def test_a_console_may_lack_characters(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    _show("a gain of \N{MINUS SIGN}0.1\N{NO-BREAK SPACE}%")
    console.flush()
    assert console.buffer.getvalue().split() == [b"a", b"gain", b"of", b"?0.1\xa0%"]


def test_the_labels_of_an_npz_file_have_a_name(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    table = read_table(tmp_path / "a.npz", "y")
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y, Y)


def test_many_unusable_columns_are_counted(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.full((150, 30), np.inf), y=Y)
    with pytest.raises(TableError, match=r"9: 150 infinite\n  and 20 more\n.*--drop NAME"):
        read_table(tmp_path / "a.npz")


def test_names_with_blanks_are_quoted_for_the_shell(frame, tmp_path):
    frame.assign(**{"product id": np.inf}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(TableError, match="--drop 'product id'"):
        read_table(tmp_path / "a.csv", "species")


@pytest.mark.parametrize(
    ("target", "drop", "message"),
    [
        (None, [], "--target must say .*: sepal length, sepal width"),
        ("specie", [], "no column 'specie'; did you mean species"),
        ("xyz", [], "no column 'xyz'; there are sepal length, "),
        ("species", ["petal"], "no column 'petal'; did you mean petal "),
        ("species", ["species"], "'species' can't be the target and be dropped"),
        ("species", NAMES, "no column is left"),
        ("petal length", ["species"], "43 different values, .* at most 20"),
    ],
)
def test_columns_that_can_not_be_chosen(csv, target, drop, message):
    with pytest.raises(TableError, match=message):
        read_table(csv, target, drop)


def test_targets_that_are_no_labels(frame, tmp_path):
    path = tmp_path / "a.csv"
    frame.assign(species=[f"id {row}" for row in range(150)]).to_csv(path, index=False)
    with pytest.raises(TableError, match=r"150 different values, .* at most 100"):
        read_table(path, "species")
    frame.assign(species=frame["species"].where(Y > 0)).to_csv(path, index=False)
    with pytest.raises(TableError, match="'species' has missing values"):
        read_table(path, "species")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "must end in one of .csv, .csv.gz, .parquet, .npy, .npz"),
        ("a.csv", b"", "can't be read"),
        ("a.csv", b"a,b\n", "there are no rows"),
        ("a.csv.gz", b"no gzip", "can't be read"),
        ("a.parquet", b"no parquet", "can't be read"),
        ("a.npy", b"no array", "can't be read"),
        ("a.npz", b"PK\x03\x04 torn", "can't be read"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / name, "b")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": X}, "an array X is needed, the file holds data"),
        ({"X": X}, "--target must say"),
        ({"X": X[0]}, "2-dimensional array of numbers is needed, got 1 dimension"),
        ({"X": X.astype(str)}, "2-dimensional array of numbers is needed"),
        ({"X": X, "y": Y[:9]}, r"y has shape \(9,\), but X has 150 rows"),
        ({"X": X.astype(object), "y": Y}, "allow_pickle=False"),
    ],
)
def test_arrays_that_are_no_table(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / "a.npz")


def test_a_table_without_columns(tmp_path):
    np.save(tmp_path / "a.npy", np.empty((5, 0)))
    pd.DataFrame(index=range(5)).to_parquet(tmp_path / "a.parquet")
    for name in ("a.npy", "a.parquet"):
        with pytest.raises(TableError, match="there are no columns"):
            read_features(tmp_path / name)
    np.save(tmp_path / "a.npy", np.empty((0, 5)))
    with pytest.raises(TableError, match="there are no rows"):
        read_features(tmp_path / "a.npy")


# The command


def test_json_and_table_agree(csv, tmp_path, capsys, small_encoder):
    file = tmp_path / "pilot.json"
    file.write_text("an older one")
    arguments = ["pilot", csv, "--target", "species", "--drop", "sepal width", "--seed", "5"]
    assert main([*arguments, "--json", str(file)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iris.csv", "pilot.json"]
    words = capsys.readouterr().out
    record = json.loads(file.read_text(encoding="utf-8"))

    assert record["source"] == {"data": csv, "target": "species", "dropped": ["sepal width"]}
    assert record["seed"] == 5
    assert record["data"]["n_columns"] == 3
    assert record["data"]["class_counts"] == {"a": 50, "b": 50, "c": 50}
    rows = [" ".join(line.split()) for line in words.splitlines()]
    assert f"{csv}: 150 rows, 3 columns" in rows
    titles = {"raw": "raw columns", "pca": "PCA", "encoder": "encoder"}
    for one in record["scores"]:
        names = ("f1", "auc", "balanced_accuracy", "brier")
        figures = [f"{one[name]['mean']:.3f} ({one[name]['std']:.3f})" for name in names]
        title = f"{titles[one['features']]}, {one['classifier']}"
        assert " ".join([f"{one['n_labels']['mean']:.0f}", title, *figures]) in rows
    assert [layer["units"]["mean"] for layer in record["encoder"]["layers"]] == [8, 4]


def test_report_in_two_languages(csv, tmp_path, capsys, small_encoder):
    file, folder = tmp_path / "pilot.html", tmp_path / "kept"
    arguments = ["pilot", csv, "--target", "species", "--quick", "--report", str(file), "--quiet"]
    arguments += ["--resume", str(folder)]
    assert main(arguments) == 0
    assert "Pilot report" in file.read_text(encoding="utf-8")
    assert main([*arguments, "--lang", "ja"]) == 0
    assert "パイロット" in file.read_text(encoding="utf-8")
    assert "結論" in capsys.readouterr().out
    assert len(list(folder.glob("fold-*.json"))) == 2


def test_alarms_have_a_value(frame, tmp_path, capsys, small_encoder):
    frame.to_csv(tmp_path / "a.csv", index=False)
    file = tmp_path / "pilot.json"
    arguments = ["pilot", str(tmp_path / "a.csv"), "--target", "species", "--json", str(file)]
    money = ["--gain", "100", "--cost", "7", "--positive", "b", "--currency", "EUR"]
    assert main([*arguments, *money, "--quick", "--quiet"]) == 0
    value = json.loads(file.read_text(encoding="utf-8"))["value"]
    assert (value["positive"], value["gain"], value["cost"]) == ("b", 100, 7)
    assert value["always"] == pytest.approx(1000 * (100 - 7 * 2) / 3)


def test_without_data_it_studies_the_digits(tmp_path, capsys, small_encoder):
    file = tmp_path / "pilot.json"
    assert main(["pilot", "--quiet", "--json", str(file)]) == 0
    captured = capsys.readouterr()
    assert "digits: 1,797 rows, 64 columns" in captured.out
    assert captured.err == ""
    record = json.loads(file.read_text(encoding="utf-8"))
    assert record["data"]["n_rows"] == 1797
    raw = next(one for one in record["scores"] if one["labels"] == "all")
    assert raw["accuracy"]["mean"] > 0.95


def test_progress_is_a_line_per_fold_where_no_one_watches(csv, capsys, small_encoder):
    assert main(["pilot", csv, "--target", "species"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["1 of 2 folds", "2 of 2 folds"]


def test_progress_is_a_bar_on_a_terminal(csv, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def run_pilot(*args, progress, **options):
        sleep(0.5)
        progress(2, 5)
        sleep(0.5)
        raise ValueError("enough seen")

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(pilot, "run_pilot", run_pilot)
    assert main(["pilot", csv, "--target", "species"]) == 2
    first, *drawn, last, error = terminal.getvalue().split("\r")[1:]
    assert first == f"[{'.' * 30}] 0 s"
    assert any(line.startswith(f"[{'#' * 12}{'.' * 18}] 2 of 5 folds, ") for line in drawn)
    assert last == " " * len(drawn[-1])
    assert error == "skrgvae: error: enough seen\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv", "--target", "a"], "nowhere.csv: No such file"),
        (["{csv}"], "--target must say"),
        (["{csv}", "--target", "specie"], "did you mean species"),
        (["{csv}", "--target", "species", "--drop", "colour"], "no column 'colour'"),
        (["--target", "species"], "need a DATA file"),
        (["--drop", "species"], "need a DATA file"),
        (["--json", "{folder}/nowhere/a.json"], "nowhere: the folder does not exist"),
        (["--json", "{folder}"], "not a regular file"),
        (["--report", "{folder}/nowhere/a.html"], "nowhere: the folder does not exist"),
        (["--gain", "5"], "--gain and --cost must be given together"),
        (["--positive", "5"], "--positive needs --gain and --cost"),
    ],
)
def test_errors_of_the_user(csv, tmp_path, capsys, no_study, arguments, message):
    filled = [argument.format(csv=csv, folder=tmp_path) for argument in arguments]
    assert main(["pilot", *filled]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("skrgvae: error: ")
    assert message in captured.err


def test_a_study_that_can_not_be_done_is_an_error_of_the_user(frame, tmp_path, capsys):
    frame.iloc[:101].to_csv(tmp_path / "a.csv", index=False)
    assert main(["pilot", str(tmp_path / "a.csv"), "--target", "species"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "too few have: c (1)" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["plot"],
        ["pilot", "--seed", "-1"],
        ["pilot", "--seed", "x"],
        ["pilot", "--gain", "nan", "--cost", "1"],
        ["fit", "x.csv", "--out", "m", "--max-iter", "many"],
        ["fit", "x.csv", "--out", "m", "--layer-sizes", "4,x"],
    ],
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "usage: skrgvae" in told
    assert "invalid _" not in told  # the name of a function says nothing to a user


def test_without_pandas_the_error_says_what_to_install(csv, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # makes the import fail
    assert main(["pilot", csv, "--target", "species"]) == 2
    assert 'pip install "skrgvae[frames]"' in capsys.readouterr().err


def test_arrays_need_no_pandas(frame, tmp_path, monkeypatch):
    path, target = written(frame, tmp_path, "npz")
    monkeypatch.setitem(sys.modules, "pandas", None)
    np.testing.assert_array_equal(read_table(path, target).X, X)


def test_the_table_survives_a_json_file_that_can_not_be_written(
    csv, tmp_path, capsys, monkeypatch, small_encoder
):
    def full(source, destination):
        raise OSError(28, "No space left on device", str(destination))

    file = tmp_path / "pilot.json"
    file.write_text("an older one")
    monkeypatch.setattr(os, "replace", full)
    assert main(["pilot", csv, "--target", "species", "--quiet", "--json", str(file)]) == 2
    captured = capsys.readouterr()
    assert "No space left" in captured.err
    assert "Verdict" in captured.out
    assert file.read_text() == "an older one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iris.csv", "pilot.json"]


def test_interruption_is_no_traceback(monkeypatch, capsys):
    def run_pilot(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pilot, "run_pilot", run_pilot)
    assert main(["pilot", "--quiet"]) == 130
    assert capsys.readouterr().err == "skrgvae: interrupted\n"


# fit and transform


@pytest.fixture
def model(frame, tmp_path):
    """An encoder trained on the four named columns of numbers."""
    path = tmp_path / "model"
    small = HierarchicalSparseEncoder((6, 4), max_iter=2, random_state=0)
    small.fit(frame.drop(columns="species")).save(path)
    return path


def features(path, capsys, *arguments):
    """What the command writes, as an array."""
    assert main(["transform", *map(str, arguments), "--out", str(path)]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{path}: 150 rows, 10 features\n", "")
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".npz":
        return np.load(path)["X"]
    read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
    return read(path)


def test_fit_writes_the_encoder_that_python_would(csv, frame, tmp_path, capsys):
    path = tmp_path / "a.model"
    arguments = ["--target", "species", "--drop", "sepal width", "--layer-sizes", "6,4"]
    arguments += ["--max-iter", "2", "--seed", "3", "--likelihood", "gaussian"]
    assert main(["fit", csv, "--out", str(path), *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", str(path)]
    assert lines[-1].startswith(f"{path}: 3 columns, 6-4 units, 2 epochs, ELBO -")

    loaded = HierarchicalSparseEncoder.load(path)
    columns = frame.drop(columns=["species", "sepal width"])
    same = HierarchicalSparseEncoder(
        (6, 4), max_iter=2, random_state=3, likelihood="gaussian"
    ).fit(columns)
    assert loaded.get_params() == same.get_params()
    assert list(loaded.feature_names_in_) == list(columns)
    np.testing.assert_array_equal(loaded.transform(columns), same.transform(columns))

    assert main(["fit", csv, "--out", str(path), *arguments, "--quiet"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_fit_at_the_automatic_sizes(tmp_path, capsys):
    np.save(tmp_path / "a.npy", X)
    arguments = ["--layer-sizes", "auto", "--max-iter", "1", "--drop", "0"]
    assert main(["fit", str(tmp_path / "a.npy"), "--out", str(tmp_path / "m"), *arguments]) == 0
    loaded = HierarchicalSparseEncoder.load(tmp_path / "m")
    assert loaded.layer_sizes_ == (24, 16, 8, 4)
    assert loaded.n_features_in_ == 3
    assert not hasattr(loaded, "feature_names_in_")


def test_fit_leaves_the_labels_of_arrays_out(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    arguments = ["--target", "y", "--layer-sizes", "3", "--max-iter", "1", "--quiet"]
    assert main(["fit", str(tmp_path / "a.npz"), "--out", str(tmp_path / "m"), *arguments]) == 0
    assert HierarchicalSparseEncoder.load(tmp_path / "m").n_features_in_ == X.shape[1]
    capsys.readouterr()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "npy", "npz"])
def test_transform_writes_every_kind_of_file(frame, model, tmp_path, capsys, kind):
    loaded = HierarchicalSparseEncoder.load(model)
    # Columns in another order, and more of them, of which one may be dropped.
    frame[frame.columns[::-1]].to_csv(tmp_path / "rows.csv", index=False)
    drop = [] if kind == "npz" else ["--drop", "species"]
    found = features(tmp_path / f"out.{kind}", capsys, model, tmp_path / "rows.csv", *drop)
    expected = loaded.transform(frame[NAMES])
    # pandas before 3 may get the last digit of a number in a csv file wrong.
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-12)
    if kind not in ("npy", "npz"):
        assert list(found) == list(loaded.get_feature_names_out())


def test_words_that_look_like_numbers_stay_words(tmp_path, capsys):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "a": rng.normal(size=60),
            "word": rng.choice(["A", "B", "7"], 60),
            "empty": ["x", "y"] * 30,
        }
    )
    table.to_csv(tmp_path / "all.csv", index=False)
    model, out = str(tmp_path / "m.safetensors"), tmp_path / "out.npy"
    options = ["--layer-sizes", "3", "--max-iter", "1", "--quiet"]
    assert main(["fit", str(tmp_path / "all.csv"), "--out", model, *options]) == 0
    some = table[table["word"] == "7"].assign(empty=None)
    some.to_csv(tmp_path / "some.csv", index=False)
    assert main(["transform", model, str(tmp_path / "some.csv"), "--out", str(out)]) == 0
    expected = HierarchicalSparseEncoder.load(model).transform(some)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-6)
    capsys.readouterr()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_have_the_precision_of_an_array(tmp_path, capsys, dtype):
    rows = X.astype(dtype)
    np.save(tmp_path / "rows.npy", rows)
    small = HierarchicalSparseEncoder((6, 4), max_iter=1, random_state=0).fit(rows)
    small.save(tmp_path / "model")
    found = features(tmp_path / "a.npy", capsys, tmp_path / "model", tmp_path / "rows.npy")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, small.transform(rows))


def test_transform_of_arrays(tmp_path, capsys):
    path = tmp_path / "model"
    small = HierarchicalSparseEncoder((6, 4), max_iter=1, random_state=0, sparse_output=True)
    small.fit(X).save(path)
    np.savez(tmp_path / "a.npz", X=np.column_stack([Y, X]), y=Y)
    found = features(tmp_path / "a.npy", capsys, path, tmp_path / "a.npz", "--drop", "0")
    np.testing.assert_array_equal(found, small.transform(X).toarray())
    pd.DataFrame(X).to_csv(tmp_path / "a.csv", index=False)
    found = features(tmp_path / "b.npy", capsys, path, tmp_path / "a.csv")
    np.testing.assert_array_equal(found, small.transform(X).toarray())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "{csv}", "--out", "{folder}/m", "--drop", "specie"], "did you mean species"),
        (["fit", "{csv}", "--out", "{folder}/no/m"], "no: the folder does not exist"),
        (["fit", "{csv}", "--out", "{folder}"], "not a regular file"),
        (["fit", "{folder}/a.xlsx", "--out", "{folder}/m"], "must end in one of .csv"),
        (
            ["fit", "{csv}", "--out", "{folder}/m", "--drop", "species", "--max-iter", "0"],
            "'max_iter' parameter of HierarchicalSparseEncoder must be an int",
        ),
        (["transform", "{folder}/no", "{csv}", "--out", "{folder}/a.npy"], "no: No such file"),
        (["transform", "{csv}", "{csv}", "--out", "{folder}/a.npy"], "not a safetensors file"),
        (["transform", "{model}", "{csv}", "--out", "{folder}/a.txt"], "'a.txt' must end in"),
        (["transform", "{model}", "{csv}", "--out", "{folder}/no/a.npy"], "does not exist"),
        (
            ["transform", "{model}", "{folder}/two.csv", "--out", "{folder}/a.npy"],
            "two.csv: columns the model was fitted on are missing: petal length, petal width",
        ),
        (
            ["transform", "{model}", "{folder}/rows.npy", "--out", "{folder}/a.npy"],
            "the columns have no names, but those the model was fitted on have",
        ),
        (
            ["transform", "{model}", "{csv}", "--out", "{folder}/a.npy", "--drop", "specie"],
            "iris.csv: there is no column 'specie'; did you mean species",
        ),
        (
            ["transform", "{model}", "{csv}", "--out", "{folder}/a.npy", "--drop", NAMES[1]],
            "iris.csv: column 'sepal width' can't be dropped: the model needs it",
        ),
        (
            ["transform", "{unnamed}", "{folder}/two.csv", "--out", "{folder}/a.npy"],
            "X has 2 features, but HierarchicalSparseEncoder is expecting 4",
        ),
    ],
)
def test_errors_of_fit_and_transform(csv, frame, model, tmp_path, capsys, arguments, message):
    frame[NAMES[:2]].to_csv(tmp_path / "two.csv", index=False)
    np.save(tmp_path / "rows.npy", X)
    HierarchicalSparseEncoder((6, 4), max_iter=1).fit(X).save(tmp_path / "unnamed")
    files = {"csv": csv, "folder": tmp_path, "model": model, "unnamed": tmp_path / "unnamed"}
    before = sorted(tmp_path.iterdir())
    assert main([argument.format(**files) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("skrgvae: error: ")
    assert message in captured.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "a.csv", "--out", "a.csv"], "--out must be another file than DATA, got a.csv"),
        (["fit", "a.csv", "--out", "{folder}/link"], "--out must be another file than DATA"),
        (["fit", "a.csv", "--out", "no/../a.csv"], "--out must be another file than DATA"),
        (["transform", "m", "a.csv", "--out", "./a.csv"], "--out must be another file than DATA"),
        (["transform", "m", "a.csv", "--out", "m"], "--out must be another file than MODEL"),
        (["pilot", "a.csv", "--json", "a.csv"], "--json must be another file than DATA"),
        (["pilot", "a.csv", "--report", "link"], "--report must be another file than DATA"),
        (["pilot", "--json", "f", "--report", "./f"], "--report must be another file than --json"),
        (["pilot", "--json", "m", "--report", "m"], "--report must be another file than --json"),
    ],
)
def test_no_file_replaces_another_of_the_same_command(
    frame, tmp_path, capsys, monkeypatch, no_study, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no").mkdir()
    frame.to_csv("a.csv", index=False)
    HierarchicalSparseEncoder((6, 4), max_iter=1).fit(frame[NAMES]).save("m")
    (tmp_path / "link").symlink_to(tmp_path / "a.csv")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert main([argument.format(folder=tmp_path) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


@pytest.mark.parametrize("sizes", ["", "3,", "a", "3;4"])
def test_layer_sizes_that_are_none(sizes, capsys):
    with pytest.raises(SystemExit):
        main(["fit", "a.csv", "--out", "b", "--layer-sizes", sizes])
    assert "argument --layer-sizes: " in capsys.readouterr().err


def run_module(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "skrgvae", *arguments], capture_output=True, text=True, check=False
    )


def test_as_a_module():
    done = run_module("--version")
    assert (done.returncode, done.stdout) == (0, f"skrgvae {__version__}\n")
    done = run_module("pilot", "nowhere.csv", "--target", "a")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "--target COLUMN" in run_module("pilot", "--help").stdout


def test_version_loads_nothing_heavy():
    code = "import runpy, sys\nsys.argv = ['skrgvae', '--version']\n"
    code += "try:\n    runpy.run_module('skrgvae')\nexcept SystemExit:\n    pass\n"
    code += "print({'torch', 'skrgvae.pilot', 'skrgvae.tables'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"skrgvae {__version__}\nset()\n"
