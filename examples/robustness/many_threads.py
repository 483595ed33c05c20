"""
One fitted encoder, many threads
================================

Claim: any number of threads may call `transform` on one fitted encoder at once: every answer is
the one that a single thread gets, bit for bit, and together they get no fewer answers per second
than one thread does.

One thread and many threads take turns in slices of time, so that a change of the machine's load
meets both. On a machine that others use as well, eight threads get a larger share of it than one:
there, the rows per second of processor time are what to compare::

    python examples/robustness/many_threads.py --threads 8 --seconds 60
"""

import argparse
import time
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import report

from skrgvae import HierarchicalSparseEncoder

SLICES = 6


def ask(encoder, pieces, expected, barrier, seconds, answer):
    """Call transform on one piece after the other; rows, and answers that differ."""
    barrier.wait()
    end, rows, different, turn = time.perf_counter() + seconds, 0, 0, 0
    while time.perf_counter() < end:
        features = encoder.transform(pieces[turn % len(pieces)])
        different += not np.array_equal(features, expected[turn % len(pieces)])
        rows += len(features)
        turn += 1
    answer.append((rows, different))


def one_slice(encoder, pieces, expected, n_threads, seconds):
    """Rows per second of all threads together, by the clock and by the processor's time; rows, and
    answers that differ."""
    barrier, answers = Barrier(n_threads + 1), []
    threads = [
        Thread(
            target=ask,
            # Every thread begins with another piece.
            args=(
                encoder,
                pieces[number:] + pieces[:number],
                expected[number:] + expected[:number],
                barrier,
                seconds,
                answers,
            ),
        )
        for number in range(n_threads)
    ]
    for thread in threads:
        thread.start()
    barrier.wait()
    started, used = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    passed, used = time.perf_counter() - started, time.process_time() - used
    if len(answers) != n_threads:
        raise RuntimeError("a thread ended with an error")
    rows, different = (sum(column) for column in zip(*answers, strict=True))
    return (rows / passed, rows / used), rows, different


def main(argv=None):
    """Ask, compare and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the many, and of the one")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    X = report.digits()
    encoder = HierarchicalSparseEncoder(max_iter=1, random_state=0).fit(X)
    pieces = np.array_split(X, 12)
    # In both precisions: each has a network of its own, made by whoever asks first.
    pieces += [piece.astype(np.float64) for piece in pieces]
    expected = [encoder.transform(piece) for piece in pieces]
    encoder._model._modules.clear()  # so that the threads make them, all at once
    speeds, rows, different = {1: [], arguments.threads: []}, 0, 0
    for _ in range(SLICES):
        for n_threads, seen in speeds.items():
            speed, asked, wrong = one_slice(
                encoder, pieces, expected, n_threads, arguments.seconds / SLICES
            )
            seen.append(speed)
            rows, different = rows + asked, different + wrong
    means = {n_threads: np.mean(seen, axis=0).tolist() for n_threads, seen in speeds.items()}
    ratios = np.divide(speeds[arguments.threads], speeds[1])
    errors = ratios.std(axis=0, ddof=1) / np.sqrt(SLICES)
    ratio, ratio_of_processor_time = (
        {"mean": float(mean), "standard_error": float(error)}
        for mean, error in zip(ratios.mean(axis=0), errors, strict=True)
    )
    record = report.write(
        "many_threads",
        {
            "layer_sizes": encoder.layer_sizes,
            "rows_per_call": len(pieces[0]),
            "rows": rows,
            "answers_that_differ": different,
            "seconds_each": arguments.seconds,
            "rows_per_second": {f"{n} threads": speed for n, (speed, _) in means.items()},
            "many_over_one": ratio,
            "rows_per_second_of_processor_time": {
                f"{n} threads": speed for n, (_, speed) in means.items()
            },
            "many_over_one_of_processor_time": ratio_of_processor_time,
        },
        arguments.results,
    )
    if different:
        raise SystemExit("answers differ: see the record")
    return record


if __name__ == "__main__":
    main()
