"""From whatever a user passes as X to rows of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import validate_data

from skrgvae.data.blocks import SlicedBlocks, as_blocks
from skrgvae.data.cells import float_dtype
from skrgvae.data.columns import Columns
from skrgvae.data.frames import as_table, held_dtype, is_frame, known_frame, refuse_lazy
from skrgvae.data.learning import ColumnsSoFar, columns_of_sparse
from skrgvae.data.sources import ArrayRows, BlockRows, Blocks, Source


class Opener:
    """Checks X as scikit-learn does, and makes it readable as rows of numbers.

    Parameters
    ----------
    estimator : estimator
        Whose `n_features_in_` and `feature_names_in_` are set or compared.
    columns : Columns or None
        What fit learned about the columns; None: learn it, and set the estimator's attributes.
    categorical_features : array-like, str or None
        The estimator's parameter.
    narrow : bool
        Whether small whole numbers become float32, which holds them exactly, as in training;
        otherwise nothing but float32 does.
    """

    def __init__(
        self,
        estimator: Any,
        columns: Columns | None,
        categorical_features: ArrayLike | str | None,
        narrow: bool,
    ) -> None:
        self.estimator = estimator
        self.columns = columns
        self.categorical_features = categorical_features
        self.narrow = narrow

    def open(self, X: Any) -> Source:
        """Rows of numbers.

        Raises
        ------
        TypeError, ValueError
            If X is nothing that `fit` takes, or not what it took before.
        """
        if issparse(X):
            return self._open_sparse(X)
        refuse_lazy(X)
        blocks = as_blocks(X)
        if blocks is not None:
            return self._open_blocks(blocks)
        table = self._in_memory(X, self.columns is None)
        self.columns = self.columns or self._learn(table).settled()
        return ArrayRows(self._encode(table))

    def learned(self) -> Columns:
        """What is known about the columns after `open`."""
        assert self.columns is not None
        return self.columns

    def _open_sparse(self, X: Any) -> Source:
        table = csr_array(
            validate_data(
                self.estimator,
                X,
                reset=self.columns is None,
                accept_sparse="csr",
                dtype=[float_dtype(X.dtype)] if self.narrow else [np.float64, np.float32],
                ensure_all_finite=False,  # its error names no column
            )
        )
        self.columns = self.columns or columns_of_sparse(table.shape[1], self.categorical_features)
        self.columns.check_sparse(table)
        return ArrayRows(table)

    def _open_blocks(self, blocks: Blocks) -> Source:
        """Read all blocks once, or only the first where the storage knows its rows and types."""
        learning, so_far = self.columns is None, None
        n_columns, sizes, dtype, is_sparse = 0, [], np.dtype(np.float32), True
        for number, block in enumerate(blocks.read(range(blocks.n_blocks))):
            table = self._in_memory(block, learning and number == 0)
            if learning:
                learned = self._learn(table)
                so_far = learned if so_far is None else so_far.merge(learned)
                self.columns = so_far.columns
            dtype = np.promote_types(dtype, self._dtype(table))
            n_columns = table.shape[1]
            sizes.append(table.shape[0])
            is_sparse &= issparse(block)
            no_categories = self.learned().are_numbers
            if isinstance(blocks, SlicedBlocks) and blocks.are_numbers and no_categories:
                sizes = blocks.sizes()
                break
        if not sizes:
            raise ValueError(
                "Found array with 0 sample(s): X gave no batches, while a minimum of 1 row is "
                f"required by {type(self.estimator).__name__}."
            )
        if so_far is not None:
            self.columns = so_far.settled()

        def encode(block: Any) -> NDArray[np.floating]:
            return self._encode(self._in_memory(block, False)).astype(dtype, copy=False)

        return BlockRows(blocks, sizes, encode, n_columns, dtype, is_sparse)

    def _in_memory(self, X: Any, reset: bool) -> Any:
        """An array or a frame whose names and number of columns are those of the estimator."""
        if issparse(X):
            X = X.toarray()
        elif is_frame(X):
            X = known_frame(X)  # once: an index that an Arrow table carries is none of its columns
        table, _ = as_table(X)
        X = X if is_frame(X) else table
        validate_data(self.estimator, X, reset=reset, skip_check_array=True)
        return X

    def _learn(self, table: Any) -> ColumnsSoFar:
        names = getattr(self.estimator, "feature_names_in_", None)
        return ColumnsSoFar.learn(table, self.categorical_features, names)

    def _encode(self, table: Any) -> NDArray[np.floating]:
        rows = self.learned().encode(table)
        if self.narrow or _holds_float32(table):
            return rows
        return rows.astype(np.float64, copy=False)

    def _dtype(self, table: Any) -> np.dtype[Any]:
        """That of the rows that `_encode` makes of a table."""
        if self.narrow or _holds_float32(table):
            return self.learned().dtype_of(table)
        return np.dtype(np.float64)


def _holds_float32(table: Any) -> bool:
    dtypes = table.dtypes if hasattr(table, "dtypes") else [table.dtype]
    # Of either byte order, and of the libraries' own types.
    held = map(held_dtype, dtypes)
    return all(str(dtype).lower() in ("float32", ">f4", "<f4") for dtype in held)
