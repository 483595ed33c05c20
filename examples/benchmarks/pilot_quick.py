"""
A quick look of the pilot at four tables, each by one command
=============================================================

Claim: `skrgvae pilot --quick` takes at most three minutes on two cores, start-up included, on the
digits, AI4I, SECOM and adult, each from its raw file.

AI4I is looked at twice: as it is, when the columns that give the target away are named, and
without them. The seconds are those of the whole command, and the machine should do nothing else
meanwhile: the processor's seconds over all processes of the command, and how many other processes
wanted a core when it began, are recorded beside them. Data sets are read from the folder that
SKRGVAE_DATA_HOME names. Every run is entered in the record when it ends, and `--folder` keeps its
page and its JSON::

    python examples/benchmarks/pilot_quick.py --sets digits secom --folder pages
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.append(str(Path(__file__).parents[1] / "robustness"))
import report

from skrgvae.persistence.atomic import write_atomically

AI4I = ("ai4i2020.csv.gz", "--target", "Machine failure")
MODES = ("TWF", "HDF", "PWF", "OSF", "RNF")
COMMANDS = {
    "digits": (),
    "ai4i": AI4I,
    "ai4i, failure modes dropped": (*AI4I, *(f"--drop={mode}" for mode in MODES)),
    "secom": ("secom.npz",),
    "adult": ("adult.csv.gz", "--target", "income", "--drop", "split"),
}


def processor_seconds():
    """What processes that have ended, and theirs, took of the processor."""
    spent = os.times()
    return spent.children_user + spent.children_system


def look(name, folder):
    """Run the command, and read what it wrote."""
    data = Path(os.environ.get("SKRGVAE_DATA_HOME", "."))
    asked = COMMANDS[name]
    table = [str(data / asked[0])] if asked else []
    files = [folder / f"{name}{ending}" for ending in (".html", ".json")]
    written = ["--report", str(files[0]), "--json", str(files[1])]
    command = [sys.executable, "-m", "skrgvae", "pilot", *table, *asked[1:], "--quick", *written]
    others, used, started = os.getloadavg()[0], processor_seconds(), perf_counter()
    subprocess.run(command, check=True)
    seconds, used = perf_counter() - started, processor_seconds() - used
    study = json.loads(files[1].read_bytes())
    shown = study["verdict"]["budgets"][study["verdict"]["shown"]]
    return {
        "seconds": seconds,
        "processor_seconds": used,
        "load_before": others,
        "rows": study["data"]["n_rows"],
        "rows_studied": study["data"]["n_studied"],
        "columns": study["data"]["n_columns"],
        "decision": study["verdict"]["decision"],
        "reason": study["verdict"]["reason"],
        "columns_named_as_leaks": [leak["column"] for leak in study["data"]["leaks"]],
        "score": study["verdict"]["score"],
        "labels": shown["n_labels"],
        "encoder": shown["encoder_score"],
        "best_without_it": shown["reference_score"],
        "difference": shown["difference"],
        "kilobytes_of_the_page": files[0].stat().st_size / 1000,
    }


def main(argv=None):
    """Look at the tables asked for, and enter them in the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--folder", type=Path, help="for pages and JSON; else they are not kept")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    file = arguments.results / "pilot_quick.json"
    record = json.loads(file.read_bytes()) if file.is_file() else {}
    sets = record.get("sets", {})
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as empty:
            folder = arguments.folder or Path(empty)
            folder.mkdir(parents=True, exist_ok=True)
            sets[name] = look(name, folder)
        record = report.described(
            {"sets": {name: sets[name] for name in COMMANDS if name in sets}}
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, (json.dumps(record, indent=1) + "\n").encode())
        print(f"{name}: {sets[name]['seconds']:.0f} s, {sets[name]['decision']}")
    return record


if __name__ == "__main__":
    main()
