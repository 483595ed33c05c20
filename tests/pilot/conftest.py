"""A table with gaps and text, its study, and what the command would write of it as JSON."""

import json

import numpy as np
import pandas as pd
import pytest
from small_study import FAST, small_encoder

from skrgvae.pilot import Payoff, run_pilot


@pytest.fixture(scope="session")
def table():
    """Numbers, text and gaps; the class is told by two of the columns."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(160, 3)), columns=["heat", "force", "noise"])
    y = np.where(X["heat"] + X["force"] + rng.normal(size=160) > 1, "fault", "fine")
    X["kind"] = rng.choice(["low", "mid", None], size=160)
    X.loc[::9, "force"] = np.nan
    X["serial"] = [f"no {row}" for row in range(160)]
    return X, y


@pytest.fixture(scope="session")
def result(table):
    payoff = Payoff(50, 5, currency="EUR")
    return run_pilot(*table, encoder=small_encoder(), payoff=payoff, random_state=0, **FAST)


@pytest.fixture
def record(result):
    source = {"data": "a <b>.csv", "target": "state", "dropped": []}
    record = {"source": source, "date": "2026-01-02T03:04:05", "seed": 0, **result.to_dict()}
    return json.loads(json.dumps(record, allow_nan=False))
