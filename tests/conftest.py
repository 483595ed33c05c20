"""What all tests share."""

import os
from pathlib import Path

import pytest

# Set before torch is imported, and handed on to processes that tests start. Idle threads of OpenMP
# spin by default, which makes small models many times slower whenever a core is shared. The
# number of threads and all results stay what they are.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

DATA_VARIABLE = "SKRGVAE_DATA_HOME"


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder with the data sets that are too large for the repository.

    A test that asks for it is skipped where the environment names no such folder, and fails where
    it names one that is not there.
    """
    value = os.environ.get(DATA_VARIABLE)
    if not value:
        pytest.skip(f"{DATA_VARIABLE} is not set: it names the folder with the data sets")
    path = Path(value)
    if not path.is_dir():
        pytest.fail(f"{DATA_VARIABLE}={value} is not a folder", pytrace=False)
    return path
