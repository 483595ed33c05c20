"""Nothing here talks to anyone: not while it trains, keeps and loads models, not in the pilot."""

import subprocess
import sys

import pytest

# Python's audit events come from the interpreter itself, whatever a library calls.
GUARD = """
import sys

def refuse(event, arguments):
    if event.startswith(("socket.", "http.", "urllib.", "ftplib.", "smtplib.")):
        if not (event == "socket.__new__" and arguments[1] == 1):  # AF_UNIX stays on the machine
            sys.stderr.write(f"{event} {arguments}\\n")
            import os
            os._exit(77)

sys.addaudithook(refuse)
"""

WORK = """
import numpy as np
from sklearn.datasets import load_digits
from skrgvae import HierarchicalSparseEncoder

X = load_digits().data[:200] / 16
encoder = HierarchicalSparseEncoder((6, 4), max_iter=2, random_state=0).fit(X)
encoder.partial_fit(X).transform(X)
encoder.score(X), encoder.sample(3), encoder.unit_summary(X), encoder.components_
path = sys.argv[1] + "/model"
encoder.save(path)
HierarchicalSparseEncoder.load(path).transform(X)
"""

PILOT = """
from functools import partial
import joblib
from skrgvae import HierarchicalSparseEncoder, pilot
from skrgvae.cli import main

small = HierarchicalSparseEncoder(layer_sizes=(6, 4), max_iter=1)
pilot.run_pilot = partial(
    pilot.run_pilot, encoder=small, labels=(100,), n_splits=2, n_repeats=1
)
with joblib.parallel_config("threading"):  # in this process, where the guard is
    sys.exit(main(["pilot", "--quiet"]))
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", GUARD + code, *arguments], capture_output=True, text=True
    )


@pytest.mark.parametrize("code", [WORK, PILOT], ids=["encoder", "pilot"])
def test_no_socket_is_opened(code, tmp_path):
    done = run(code, str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "from urllib.request import urlopen; urlopen('http://localhost:1')",
    ],
)
def test_the_guard_itself(code):
    assert run(code).returncode == 77
