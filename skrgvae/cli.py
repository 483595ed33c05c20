"""The command ``skrgvae``.

What takes time to import is imported by the functions that need it, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TextIO

from skrgvae import __version__
from skrgvae.persistence.atomic import check_writable, write_atomically

if TYPE_CHECKING:
    from skrgvae.pilot import Payoff

_BAR_WIDTH = 30

_DATA = "table: .csv, .csv.gz, .parquet, .npy or .npz (array X)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None: those of the process.

    Returns
    -------
    int
        Exit status: 0; 2 where the user has something to put right, which stderr then says; 130
        after an interrupt.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"skrgvae: error: {_message(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("skrgvae: interrupted", file=sys.stderr)
        return 130
    return 0


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skrgvae", description="Deep hierarchies of sparse features for tables and images."
    )
    parser.add_argument("--version", action="version", version=f"skrgvae {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_pilot(commands)
    _add_fit(commands)
    _add_transform(commands)
    return parser


def _add_pilot(commands: Any) -> None:
    pilot = commands.add_parser(
        "pilot",
        help="tell whether the features pay, against raw columns and PCA",
        description="Tell whether the features of a hierarchical sparse encoder, which is trained "
        "without labels, pay: raw columns, principal components and the encoder's units meet a "
        "linear classifier and gradient boosting in a repeated cross-validation, with few and "
        "with all labels. The verdict can be that they don't.",
    )
    pilot.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="table: .csv, .csv.gz, .parquet, .npy or .npz (arrays X and y); without "
        "it, scikit-learn's handwritten digits",
    )
    pilot.add_argument(
        "--target",
        metavar="COLUMN",
        help="column with the class labels: its name, or its position (from 0) in arrays; npz "
        "files have their array y",
    )
    pilot.add_argument(
        "--drop",
        metavar="COLUMN",
        action="append",
        default=[],
        help="column to leave out, such as an identifier or one that gives the target away; may "
        "be given more than once",
    )
    pilot.add_argument("--report", metavar="FILE", help="write a page for a browser to FILE")
    pilot.add_argument("--json", metavar="FILE", help="write every figure to FILE as JSON")
    pilot.add_argument(
        "--lang",
        choices=["en", "ja"],
        default="en",
        help="language of the report (default: %(default)s)",
    )
    stage = pilot.add_mutually_exclusive_group()
    stage.add_argument(
        "--quick",
        action="store_true",
        help="a first look: short training, and at most 10,000 rows",
    )
    stage.add_argument(
        "--search",
        action="store_true",
        help="in every fold, search the encoder's layer sizes first, which takes hours",
    )
    pilot.add_argument(
        "--resume",
        metavar="FOLDER",
        help="keep what is done in FOLDER, and go on from there when the command is repeated",
    )
    pilot.add_argument(
        "--score",
        choices=["auto", "auc", "f1", "balanced_accuracy"],
        default="auto",
        help="score that decides (default: auto, AUC for two classes, else the mean F1)",
    )
    pilot.add_argument(
        "--smallest-gain",
        metavar="GAIN",
        type=_finite,
        default=0.01,
        help="gain in that score from which the features are worth having (default: %(default)s)",
    )
    money = pilot.add_argument_group("value in money")
    money.add_argument("--gain", metavar="MONEY", type=_finite, help="what a true alarm gains")
    money.add_argument("--cost", metavar="MONEY", type=_finite, help="what a false alarm costs")
    money.add_argument(
        "--positive",
        metavar="CLASS",
        help="class that alarms are for (default: the rarer of two)",
    )
    money.add_argument("--currency", default="", help="written behind amounts, such as EUR")
    pilot.add_argument(
        "--seed", metavar="N", type=_seed, default=0, help="random seed (default: %(default)s)"
    )
    pilot.add_argument("--quiet", action="store_true", help="show no progress")
    pilot.set_defaults(run=_pilot)


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser(
        "fit",
        help="train an encoder on a table and keep it in a file",
        description="Train a hierarchical sparse encoder on the rows of a table, without labels, "
        "and write it to a file that `skrgvae transform` and HierarchicalSparseEncoder.load "
        "read. What is not asked for here is at the encoder's defaults.",
    )
    fit.add_argument("data", metavar="DATA", help=_DATA)
    fit.add_argument("--out", metavar="MODEL", required=True, help="file for the trained encoder")
    fit.add_argument(
        "--target", metavar="COLUMN", help="column with labels: it is left out, as by --drop"
    )
    fit.add_argument(
        "--drop",
        metavar="COLUMN",
        action="append",
        default=[],
        help="column to leave out, such as an identifier, by its name, or its position (from 0) "
        "in arrays; may be given more than once",
    )
    fit.add_argument(
        "--layer-sizes",
        metavar="SIZES",
        type=_layer_sizes,
        default=(300, 200, 100, 50),
        help="units per layer, the one next to the data first: numbers with commas between them, "
        "or auto (default: 300,200,100,50)",
    )
    fit.add_argument(
        "--likelihood",
        choices=[
            "auto",
            "bernoulli",
            "gaussian",
            "multinomial",
            "negative_binomial",
            "poisson",
            "student_t",
        ],
        default="auto",
        help="family of all columns (default: %(default)s, column by column)",
    )
    fit.add_argument(
        "--max-iter",
        metavar="N",
        type=_max_iter,
        default="auto",
        help="passes over the rows at most (default: %(default)s, by their number)",
    )
    fit.add_argument(
        "--seed", metavar="N", type=_seed, default=0, help="random seed (default: %(default)s)"
    )
    fit.add_argument("--quiet", action="store_true", help="show no line per pass")
    fit.set_defaults(run=_fit)


def _add_transform(commands: Any) -> None:
    transform = commands.add_parser(
        "transform",
        help="compute the features of a table's rows",
        description="Compute features with an encoder that `skrgvae fit` or its method save has "
        "written. An encoder that was trained on columns with names takes these from DATA, "
        "whatever else is in there.",
    )
    transform.add_argument("model", metavar="MODEL", help="file with the trained encoder")
    transform.add_argument("data", metavar="DATA", help=_DATA)
    transform.add_argument(
        "--out",
        metavar="FEATURES",
        required=True,
        help="file for the features, one row for each row of DATA: .csv, .csv.gz, .parquet, .npy "
        "or .npz (array X)",
    )
    transform.add_argument(
        "--drop",
        metavar="COLUMN",
        action="append",
        default=[],
        help="column to leave out, where the encoder was trained on columns without names; may "
        "be given more than once",
    )
    transform.set_defaults(run=_transform)


def _layer_sizes(text: str) -> tuple[int, ...] | str:
    return text if text == "auto" else tuple(_whole(size) for size in text.split(","))


def _max_iter(text: str) -> int | str:
    return text if text == "auto" else _whole(text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _finite(text: str) -> float:
    try:
        if isfinite(number := float(text)):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")


def _seed(text: str) -> int:
    seed = _whole(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**32 - 1")
    return seed


def _pilot(arguments: argparse.Namespace) -> None:
    if arguments.data is None and (arguments.target is not None or arguments.drop):
        raise ValueError("--target and --drop need a DATA file")
    json_file, page_file = _files_to_write(
        {"DATA": arguments.data}, {"--json": arguments.json, "--report": arguments.report}
    )

    with nullcontext() if arguments.quiet else _Progress(sys.stderr) as progress:
        X, y, names, source = _data(arguments)

        from skrgvae.pilot import run_pilot

        result = run_pilot(
            X,
            y,
            feature_names=names,
            quick=arguments.quick,
            search=arguments.search,
            score=arguments.score,
            smallest_gain=arguments.smallest_gain,
            payoff=_payoff(arguments),
            folder=arguments.resume,
            random_state=arguments.seed,
            n_jobs=-1,
            progress=progress,
        )
    from skrgvae.pilot.page import page
    from skrgvae.pilot.text import text

    date = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"source": source, "date": date, "seed": arguments.seed, **result.to_dict()}
    try:
        if json_file is not None:
            write_atomically(json_file, (json.dumps(record, indent=2) + "\n").encode())
        if page_file is not None:
            write_atomically(page_file, page(record, arguments.lang).encode())
    finally:  # the work was done, whatever became of the files
        _show(text(record, arguments.lang))


def _show(report: str) -> None:
    """Print what a console may not have all characters for: the work is done by then."""
    encoding = sys.stdout.encoding or "utf-8"
    print(report.encode(encoding, "replace").decode(encoding))


def _payoff(arguments: argparse.Namespace) -> Payoff | None:
    """What alarms are worth, where the user says so."""
    if arguments.gain is None and arguments.cost is None:
        if arguments.positive is not None:
            raise ValueError("--positive needs --gain and --cost")
        return None
    if arguments.gain is None or arguments.cost is None:
        raise ValueError("--gain and --cost must be given together")

    from skrgvae.pilot import Payoff

    return Payoff(arguments.gain, arguments.cost, arguments.positive, arguments.currency)


def _fit(arguments: argparse.Namespace) -> None:
    _files_to_write({"DATA": arguments.data}, {"--out": arguments.out})

    from skrgvae import HierarchicalSparseEncoder
    from skrgvae.tables import read_features

    left_out = [*arguments.drop, *([arguments.target] if arguments.target is not None else [])]
    X = read_features(arguments.data, left_out)
    encoder = HierarchicalSparseEncoder(
        arguments.layer_sizes,
        likelihood=arguments.likelihood,
        max_iter=arguments.max_iter,
        random_state=arguments.seed,
        verbose=0 if arguments.quiet else 1,
    ).fit(X)
    encoder.set_params(verbose=0).save(arguments.out)
    best = encoder.best_iter_ - 1
    print(
        f"{arguments.out}: {encoder.n_features_in_} columns, "
        f"{'-'.join(map(str, encoder.layer_sizes_))} units, {encoder.n_iter_} epochs, "
        f"ELBO {encoder.history_['elbo'][best]:.2f} nats per row in training"
    )


def _transform(arguments: argparse.Namespace) -> None:
    import numpy as np

    from skrgvae import HierarchicalSparseEncoder
    from skrgvae.tables import ending_of, read_features, write_features

    _files_to_write({"MODEL": arguments.model, "DATA": arguments.data}, {"--out": arguments.out})
    ending_of(arguments.out)
    encoder = HierarchicalSparseEncoder.load(arguments.model)
    names = getattr(encoder, "feature_names_in_", None)
    # A file may hold only such words as look like numbers.
    text = [] if names is None else [names[column] for column in encoder._columns.of_words]
    X = read_features(arguments.data, arguments.drop, names, text)
    encoder.set_params(sparse_output=False)
    features = encoder.transform(np.asarray(X) if names is None else X)
    write_features(arguments.out, features, encoder.get_feature_names_out().tolist())
    print(f"{arguments.out}: {features.shape[0]} rows, {features.shape[1]} features")


def _files_to_write(
    read: dict[str, str | None], written: dict[str, str | None]
) -> list[Path | None]:
    """Where a command writes, checked before the work and not after it.

    Parameters
    ----------
    read, written : dict
        Paths by what the user calls them; None where there is no such file.

    Raises
    ------
    ValueError
        If a file would replace one that is read or was just written.
    OSError
        If no file can be written there.
    """
    taken = {name: path for name, path in read.items() if path is not None}
    for name, path in written.items():
        if path is None:
            continue
        for other, its_path in taken.items():
            if _is_same_file(path, its_path):
                raise ValueError(f"{name} must be another file than {other}, got {path} for both")
        taken[name] = path
    return [None if path is None else check_writable(path) for path in written.values()]


def _is_same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(path) == os.path.realpath(other)


def _data(arguments: argparse.Namespace) -> tuple[Any, Any, list[str] | None, dict[str, Any]]:
    """X, y, the names of the columns in the file, and where they come from."""
    if arguments.data is None:
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        # Shares of full ink, which the encoder models as such.
        source = {"data": "scikit-learn's digits", "target": "digit", "dropped": []}
        return X / 16, y, None, source

    from skrgvae.tables import read_table

    table = read_table(arguments.data, arguments.target, arguments.drop)
    source = {"data": arguments.data, "target": table.target, "dropped": arguments.drop}
    return table.X, table.y, table.feature_names, source


class _Progress:
    """Folds done so far: a bar with a clock on a terminal, elsewhere a line per fold."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = monotonic()
        self._state = "[" + "." * _BAR_WIDTH + "]"
        self._over = Event()
        # A fold may take minutes; a running clock tells that something happens meanwhile.
        self._clock = Thread(target=self._draw, daemon=True) if stream.isatty() else None

    def __enter__(self) -> Self:
        if self._clock is not None:
            self._clock.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        bar = ("#" * (_BAR_WIDTH * done // total)).ljust(_BAR_WIDTH, ".")
        self._state = f"[{bar}] {done} of {total} folds,"
        if self._clock is None:
            print(f"{done} of {total} folds, {self._seconds()}", file=self._stream)

    def __exit__(self, *exception: object) -> None:
        if self._clock is not None:
            self._over.set()
            self._clock.join()

    def _seconds(self) -> str:
        return f"{monotonic() - self._started:.0f} s"

    def _draw(self) -> None:
        """Redraw the bar until the work is over, then leave its line empty."""
        over = False
        while not over:
            line = f"{self._state} {self._seconds()}"
            self._stream.write(f"\r{line}")
            self._stream.flush()
            over = self._over.wait(0.2)
        self._stream.write("\r" + " " * len(line) + "\r")
        self._stream.flush()
