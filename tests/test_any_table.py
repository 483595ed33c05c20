"""Whatever table comes: it works, or a ValueError or TypeError says why, never torch's own."""

import datetime
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array

from skrgvae import HierarchicalSparseEncoder

N_TABLES = 150


def random_column(rng, n_rows):
    """Cells of one kind, some of them missing or odd."""
    kind = rng.integers(12)
    cells = {
        0: lambda: rng.normal(size=n_rows),
        1: lambda: rng.normal(size=n_rows).astype(np.float32) * np.float32(1e30),
        2: lambda: rng.integers(-3, 300, n_rows),
        3: lambda: rng.random(n_rows) < 0.5,
        4: lambda: rng.choice(["red", "green", "blue", ""], n_rows),
        5: lambda: np.full(n_rows, rng.choice([0.0, 1e300, -1e-300])),
        6: lambda: rng.choice([0.0, np.inf, -np.inf, np.nan], n_rows, p=[0.9, 0.02, 0.02, 0.06]),
        7: lambda: np.full(n_rows, np.nan),
        8: lambda: rng.choice([1, "a", 2.5], n_rows),
        9: lambda: rng.choice(np.array([1.5, None, "x", "7"], dtype=object), n_rows),
        10: lambda: np.array([datetime.date(2020, 1, 1)] * n_rows, dtype=object),
        11: lambda: rng.standard_cauchy(n_rows) ** 9,
    }[int(kind)]()
    if rng.random() < 0.4 and cells.dtype.kind in "fO":
        cells = cells.copy()
        cells[rng.random(n_rows) < 0.3] = None if cells.dtype == object else np.nan
    return cells


def random_table(rng):
    """A frame, an array or a sparse array of random columns."""
    n_rows, n_columns = int(rng.choice([0, 1, 2, 5, 30])), int(rng.choice([0, 1, 3, 6]))
    columns = [random_column(rng, n_rows) for _ in range(n_columns)]
    container = rng.choice(["pandas", "polars", "objects", "floats", "sparse"])
    names = [f"c{j}" for j in range(n_columns)]
    if container == "pandas":
        pd = pytest.importorskip("pandas")
        if n_columns > 1 and rng.random() < 0.2:
            names[1] = names[0]
        return (
            pd.concat([pd.Series(c) for c in columns], axis=1, keys=names)
            if columns
            else (pd.DataFrame(index=range(n_rows)))
        )
    if container == "polars":
        pl = pytest.importorskip("polars")
        return pl.DataFrame(
            {
                name: pl.Series(column.tolist(), strict=False)
                for name, column in zip(names, columns, strict=True)
            }
        )
    if container == "objects":
        table = np.empty((n_rows, n_columns), dtype=object)
        for j, column in enumerate(columns):
            table[:, j] = column
        return table
    numbers = [column for column in columns if column.dtype.kind in "biuf"]
    table = np.column_stack(numbers) if numbers else np.empty((n_rows, 0))
    return csr_array(table) if container == "sparse" else table


@pytest.mark.parametrize("seed", range(10))
def test_any_table_works_or_is_refused_in_words(seed):
    rng = np.random.default_rng(seed)
    n_worked = 0
    for _ in range(N_TABLES // 10):
        X = random_table(rng)
        encoder = HierarchicalSparseEncoder((3, 2), max_iter=1, random_state=0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                encoder.fit(X)
        except (ValueError, TypeError) as error:
            message = str(error)
            assert message
            assert "torch" not in message
            assert "Tensor" not in message
            continue
        n_worked += 1
        features = encoder.transform(X)
        assert np.isfinite(features).all()
        assert features.shape == (X.shape[0], 5)
        assert np.isfinite(encoder.score(X))
        encoder.impute(X)
        encoder.sample(3)
    assert n_worked > 1
