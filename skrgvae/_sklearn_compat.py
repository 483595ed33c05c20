"""The one place that touches private or versioned parts of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's."""


class ReprHTMLMixin:
    """Appends to scikit-learn's HTML display of an estimator, in front of BaseEstimator's."""

    def _html_appendix(self) -> str:
        return ""

    def _repr_html_inner(self) -> str:
        shown: str = super()._repr_html_inner()  # type: ignore[misc]
        return shown + self._html_appendix()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:  # not where scikit-learn's option display is "text"
            bundle["text/html"] += self._html_appendix()
        return bundle


# Attributes that scikit-learn itself sets for, and takes away after, a fit with callbacks.
CALLBACK_STATE = ("_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx")


# Where scikit-learn keeps the callbacks of an estimator.
CALLBACKS = "_skl_callbacks"


class EpochCallbacks:
    """scikit-learn's callback protocol for a fit whose subtasks are epochs.

    Parameters
    ----------
    estimator : estimator
    X, y : array-like
        Handed to callbacks that ask for them.
    max_iter : int
        Epochs at most.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, max_iter: int) -> None:
        self._estimator = estimator
        self._data = {"X": X, "y": y}
        self._root: Any = None
        self._epoch: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self._root = estimator._init_callback_context(max_subtasks=max_iter)

    def begin_fit(self) -> None:
        """Tell the callbacks that training starts."""
        if self._root is not None:
            self._root.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def begin_epoch(self) -> None:
        """Tell the callbacks that an epoch starts."""
        if self._root is not None:
            self._epoch = self._root.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """Tell the callbacks that the epoch ended; True when one of them wants to stop.

        Parameters
        ----------
        attributes : callable
            Gives the fitted attributes as if training ended here; called when one asks for them.
        """
        if self._epoch is None:
            return False
        stop: bool = self._epoch.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=attributes
        )
        return stop

    def end_fit(self, attributes: dict[str, Any]) -> None:
        """Tell the callbacks that training ended."""
        if self._root is not None:
            self._root.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes=attributes
            )


def check_sample_weight(sample_weight: ArrayLike, X: NDArray) -> NDArray[np.float64]:
    """Weights of the rows of X, not negative, as scikit-learn checks them."""
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def output_container(estimator: Any) -> str:
    """What `transform` is to return by `set_output` or the configuration, such as "pandas"."""
    container: str = _get_output_config("transform", estimator)["dense"]
    return container


__all__ = [
    "CALLBACKS",
    "CALLBACK_STATE",
    "CallbackSupportMixin",
    "EpochCallbacks",
    "Interval",
    "ReprHTMLMixin",
    "StrOptions",
    "check_feature_names_in",
    "check_sample_weight",
    "fit_context",
    "output_container",
    "safe_indexing",
]
