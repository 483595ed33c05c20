"""
Killed at any moment, resumed, the same bits
============================================

Claim: a `fit` with `checkpoint=FOLDER` may be killed (SIGKILL) at any moment and as often as it
happens. The same `fit` then ends with the weights and the history of a run that nobody stopped,
bit for bit, and no unreadable file is ever left in the folder.

Each run is a folder of its own: a process trains in it and is killed after a random time, again
and again, until one comes to its end before its time. After every kill all files in the folder are
read and checked. Processes are forked, so that the time of a kill falls into the training and not
into the import of torch; where there is no fork, the script can't run::

    python examples/robustness/kill_and_resume.py --kills 200     # a few minutes on one core
"""

import argparse
import hashlib
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import report
import torch

from skrgvae import HierarchicalSparseEncoder
from skrgvae.persistence import container

# The wall-clock time of a kill is drawn from [0, SHARE T], T what the whole training takes.
SHARE = 1.0


def settings(mnist_rows):
    """Name: data, and an encoder that trains for a second or two."""
    small = {"layer_sizes": (16, 8), "batch_size": 200, "max_iter": 8, "random_state": 0}
    # Held-out rows, and the weights of the best epoch, are part of the state.
    stopping = {"early_stopping": True, "learning_rate": 0.2, "kl_warmup": 0.0}
    return {
        "digits": (report.digits(), small),
        "mnist": (report.mnist(mnist_rows), {**small, **stopping}),
    }


def digest(encoder):
    """Hash of the weights and of the history, apart from its seconds."""
    arrays = encoder._model.arrays
    parts = [arrays[name].tobytes() for name in sorted(arrays)]
    columns = {**encoder.history_, "seconds": None}
    parts += [np.array(columns[name], dtype=float).tobytes() for name in sorted(columns)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def train(X, parameters, folder, answer):
    """Train in a forked process that leaves the digest in a file; its number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            encoder = HierarchicalSparseEncoder(**parameters, checkpoint=folder).fit(X)
            answer.write_text(digest(encoder), encoding="ascii")
            status = 0
        finally:
            os._exit(status)
    return child


def kill_after(child, seconds):
    """Kill a process after some time; whether the kill found it alive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise RuntimeError(f"a training ended by itself with status {status}")
            return False
        time.sleep(max(0.0, min(0.002, end - time.monotonic())))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def look_at(folder):
    """Epochs of the checkpoint in a folder (0: none yet), and what can't be read."""
    n_epochs, unreadable = 0, []
    for path in folder.iterdir():
        try:
            _, _, arrays = container.read(path, "checkpoint", [1])
            n_epochs = len(arrays["history.elbo"])
        except ValueError as error:
            unreadable.append(str(error))
    return n_epochs, unreadable


def one_setting(X, parameters, n_kills, rng):
    """Runs with at least so many kills in all."""
    started = time.perf_counter()
    plain = HierarchicalSparseEncoder(**parameters).fit(X)
    expected = digest(plain)
    with tempfile.TemporaryDirectory() as folder:
        with_checkpoint = time.perf_counter()
        HierarchicalSparseEncoder(**parameters, checkpoint=folder).fit(X)
        duration = time.perf_counter() - with_checkpoint
    kills, runs, equal, unreadable, superfluous = 0, 0, 0, [], 0
    at_epoch = [0] * (parameters["max_iter"] + 1)
    while kills < n_kills:
        runs += 1
        with tempfile.TemporaryDirectory() as where:
            folder, answer = Path(where) / "checkpoints", Path(where) / "answer"
            while True:
                child = train(X, parameters, folder, answer)
                if not kill_after(child, rng.uniform(0, SHARE * duration)):
                    break
                kills += 1
                n_epochs, found = look_at(folder) if folder.is_dir() else (0, [])
                at_epoch[n_epochs] += 1
                unreadable += found
            equal += answer.read_text(encoding="ascii") == expected
            superfluous += len(list(folder.iterdir())) - 1
    return {
        "rows": len(X),
        "parameters": parameters,
        "epochs": plain.n_iter_,
        "best_epoch": plain.best_iter_,
        "seconds_uninterrupted": duration,
        "kills": kills,
        "kills_after_epochs": at_epoch,
        "runs": runs,
        "runs_equal_bit_for_bit": equal,
        "unreadable_files": unreadable,
        "superfluous_files": superfluous,
        "seconds": time.perf_counter() - started,
    }


def main(argv=None):
    """Kill, resume, compare and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="in all, at least")
    parser.add_argument("--data", nargs="+", choices=["digits", "mnist"])
    parser.add_argument("--mnist-rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the times of the kills")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    # Forked processes and the threads of OpenMP don't go together.
    torch.set_num_threads(1)
    rng = np.random.default_rng(arguments.seed)
    chosen = settings(arguments.mnist_rows)
    chosen = {name: chosen[name] for name in arguments.data or chosen}
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads; torch's are idle here.
        warnings.simplefilter("ignore", DeprecationWarning)
        figures = {
            name: one_setting(X, parameters, -(-arguments.kills // len(chosen)), rng)
            for name, (X, parameters) in chosen.items()
        }
    total = {
        name: sum(figure[name] for figure in figures.values())
        for name in ("kills", "runs", "runs_equal_bit_for_bit")
    }
    record = report.write(
        "kill_and_resume", {"seed": arguments.seed, "total": total, **figures}, arguments.results
    )
    failed = total["runs"] != total["runs_equal_bit_for_bit"] or any(
        figure["unreadable_files"] or figure["superfluous_files"] for figure in figures.values()
    )
    if failed:
        raise SystemExit("a resumed run differs, or a file was left behind: see the record")
    return record


if __name__ == "__main__":
    main()
