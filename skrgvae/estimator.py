"""The scikit-learn transformer: validation, arrays in and out, fitted attributes.

torch is imported by the modules that compute (`fitting`, `model`), and those only when a method
needs them, so that importing the package stays quick.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, vstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skrgvae._sklearn_compat import (
    CALLBACK_STATE,
    CALLBACKS,
    CallbackSupportMixin,
    EpochCallbacks,
    Interval,
    ReprHTMLMixin,
    StrOptions,
    check_feature_names_in,
    fit_context,
)
from skrgvae.data.columns import Columns
from skrgvae.data.frames import is_frame
from skrgvae.data.large_integers import large_integers
from skrgvae.data.naming import named
from skrgvae.data.opening import Opener
from skrgvae.data.sources import ArrayRows, BlockRows, Source, blocks_of
from skrgvae.data.summary import summarise
from skrgvae.planning import Planner
from skrgvae.progress import FitHooks
from skrgvae.resolve import resolve_layers
from skrgvae.rows import checked_weights, split_rows, weighted
from skrgvae.typical import MEMORY, Typical

if TYPE_CHECKING:
    from skrgvae.model import Model
    from skrgvae.training import History

# Parameters that a checkpoint's fingerprint leaves out: they change no weight, or are replaced by
# what they became (the device, the drawn seed, the weights to start from).
NOT_IN_FINGERPRINT = {
    "checkpoint",
    "device",
    "feature",
    "layers",
    "random_state",
    "sparse_output",
    "verbose",
    "warm_start",
}


class HierarchicalSparseEncoder(
    ReprHTMLMixin, CallbackSupportMixin, TransformerMixin, BaseEstimator
):
    """Sparse features from a deep hierarchy of stochastic layers, learned without labels.

    A variational auto-encoder with several layers of rectified-Gaussian units (exact zeros), all
    trained jointly, whose posterior keeps the dependencies of the generative model between the
    layers (Salimans 2016) [1]_. `transform` emits the features of every layer, concatenated.

    Parameters
    ----------
    layer_sizes : tuple of int or "auto", default=(300, 200, 100, 50)
        Latent units per stochastic layer, bottom (next to the data) first. "auto" takes them
        from the rows, as `suggest_layer_sizes` does.
    hidden_layer_sizes : "auto", None, int or tuple of int, default="auto"
        Widths of the deterministic layers. Entry l is the width of the layer that feeds
        stochastic layer l in the bottom-up pass, and of the hidden layer in the top-down step
        that leaves layer l. An int stands for one width everywhere, None for no deterministic
        layers. "auto": none; in a long training without measurements and counts, for each layer
        the next power of two above its units. A training is long if it has more than 10,000 rows
        to train on, 2,000,000 or more in all of its passes together, and a `weight_decay` other
        than 0; `partial_fit` is never.
    latent : {"rectified_gaussian", "gaussian", "laplace", "spike_and_slab"}, \
            default="rectified_gaussian"
        Law of the latent units. "rectified_gaussian" and "spike_and_slab" (which keeps the sign)
        have exact zeros; "laplace" has many small values and no zeros.
    posterior : {"structured", "mean_field"}, default="structured"
        "structured" merges the data's message with the generative prior, layer by layer;
        "mean_field" ignores the prior and is there for comparison.
    likelihood : "auto", str or mapping, default="auto"
        Family of the columns: "bernoulli", "gaussian", "student_t" (for outliers), "poisson" or
        "negative_binomial" (for counts), "multinomial" (for the words of a text), for all numeric
        columns or as a mapping from column name or position to family (columns not named are
        resolved as by "auto"). "auto" takes "categorical" for categorical columns; "bernoulli"
        for all others where they lie inside [0, 1], and for columns that hold only 0 and 1;
        "negative_binomial" for a sparse X of whole numbers from 0 on; else "gaussian".
    categorical_features : "from_dtype", None or array-like of {bool, int, str}, \
            default="from_dtype"
        Which columns are categorical: "from_dtype" takes those whose dtype is one of categories
        or strings, None takes none, and an array-like is a mask, positions or names of columns.
    batch_norm : bool, default=True
        Batch normalisation in both passes.
    feature : {"median", "mean", "active"}, default="median"
        Statistic of the posterior that `transform` emits: the median has exact zeros, "active"
        is P(z > 0).
    layers : "all" or sequence of int, default="all"
        Layers that `transform` emits, 0 = bottom, -1 = top; always from bottom to top.
    sparse_output : bool, default=False
        Whether `transform` returns a scipy CSR array.
    optimizer : {"adamax", "adam"}, default="adamax"
        Optimiser of torch.
    learning_rate : float or "auto", default="auto"
        Constant for the first half of the planned steps, then falling linearly to a hundredth;
        in a training so long that rate x `weight_decay` x steps is above 10, constant for the
        first fifth, then falling with the square of the steps that are left, to a thousandth.
        "auto": 0.01; 0.002 for counts, and for measurements (Gaussian or Student-t columns) where
        units outnumber the columns, or are more than 300 and most columns are measured; with more
        than 1,000 columns less, in proportion to one over the root of their number.
    batch_size : int or "auto", default="auto"
        Rows per step at most; the batches of a pass have equal sizes (plus or minus one row).
        "auto": 100; 250 in a long training with hidden layers (see `hidden_layer_sizes`).
    max_iter : int or "auto", default="auto"
        Epochs (passes over the rows) at most. "auto": 60, up to 200 where few rows or units make
        them quick and in long trainings with hidden layers (see `hidden_layer_sizes`), and at
        most 40,000 steps (with more than 1,000 columns, in proportion fewer).
    kl_weight : float, default=1.0
        Final weight of the KL terms in the training objective.
    kl_warmup : float, default=0.1
        Share of the planned steps over which the weight of the KL rises from 0 to `kl_weight`.
    free_bits : float, sequence of float or "auto", default="auto"
        Floor in nats per unit, one for all layers or one per layer: a unit's batch-mean KL below
        it is not pushed further down. "auto": 0.1 for the top layer (0.08 in a long training with
        hidden layers, see `hidden_layer_sizes`), and half of the floor above it, but no less than
        0.0125, for every other one; for all layers 0.3 for counts, and 0.1 for measurements and
        as many units as for the `learning_rate`.
    firing_rate : float, "auto" or None, default="auto"
        Share of rows for which a unit is on when training starts, set through fixed gain and
        shift of the bottom-up normalisation (where `batch_norm` is on) and the first priors; on
        means above zero, for "spike_and_slab" other than zero. "auto": 0.3; 0.4 in
        a long training with hidden layers (see `hidden_layer_sizes`); 0.5 for counts, and for
        measurements and as many units as for the `learning_rate`. None: plain batch normalisation.
    skip_connections : bool, default=True
        Whether the likelihood and all lower priors see every layer above, instead of the next
        one alone. In tables without measurements, and without hidden layers, whether also every
        layer reads the row beside the layer below on the way up.
    sparsity_penalty : float, default=0.0
        Weight, in nats, of an L1 penalty on the sampled units in the training objective: every
        unit adds its mean absolute value over the batch, divided by its root mean square so that
        a unit can't escape by being small. It makes Gaussian and Laplace units sparser, which
        have no zeros of their own.
    weight_decay : float or "auto", default="auto"
        Share of itself that every weight (not the biases) loses in a step, over the learning
        rate [2]_. It keeps long trainings from fitting the rows alone. "auto": 0; 0.1 in a long
        training with hidden layers (see `hidden_layer_sizes`).
    input_dropout : float or "auto", default="auto"
        Probability of every entry, in every step anew, that the bottom-up pass doesn't see it,
        while all entries are scored [3]_. Features then hold what columns have in common, from
        which a hidden one can be told, rather than what is each column's own. "auto": 0.5 in
        tables of nothing but counts with more columns than there are units, and in those of more
        than 250 columns, most of them measurements, and as many units as for the `learning_rate`,
        but not in `partial_fit`; else 0.
    early_stopping : "auto" or bool, default="auto"
        Whether to stop on the ELBO of held-out rows and keep the best epoch's weights; where
        `input_dropout` is above 0, on what training maximises (at the full `kl_weight`, without a
        penalty), in which entries are hidden and the KL of a unit counts for no less than
        `free_bits`. "auto": with more than 10,000 rows, or when `X_val` is given.
    validation_fraction : float, default=0.1
        Share of the rows held out for early stopping when no `X_val` is given.
    n_iter_no_change : int, default=10
        Epochs without an improvement of more than `tol` after which training stops; those of the
        warm-up don't count, nor those before the learning rate has halved where it falls early.
    tol : float, default=0.01
        Smallest improvement on held-out rows that counts, in nats per sample (absolute).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the previous fit. For the parameters of the
        network, "auto" keeps what it became there.
    checkpoint : str, path-like or None, default=None
        Folder in which `fit` keeps the state of its training after every epoch, in a file named
        after a fingerprint of parameters, data and versions. A later `fit` with the same ones
        goes on from there and ends with the weights of a training that was never stopped; a
        finished training is loaded. With `random_state=None` the drawn seed is kept as well.
    device : str, default="auto"
        Device of torch: "auto" (a CUDA device where there is one), "cpu", "cuda", "cuda:1", ...
    random_state : int, RandomState instance or None, default=None
        Seed of weights, order of rows, noise, and the noise of the scores.
    verbose : int, default=0
        1: one line per epoch on standard output.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns; only where all were strings.
    n_iter_ : int
        Epochs run.
    best_iter_ : int
        Epoch (1 = first) whose weights were kept: the last one without early stopping.
    layer_sizes_ : tuple of int
        Units per stochastic layer.
    hidden_layer_sizes_ : tuple of int or None
        Widths of the deterministic layers.
    likelihood_ : ndarray of str of shape (`n_features_in_`,)
        Family of each column.
    layer_slices_ : list of slice
        Columns of the output that belong to each emitted layer.
    components_ : ndarray of shape (n_bottom_units, n_features)
        What a bottom unit adds to the data: E[x] with it at its mean active value and all others
        at their training medians, minus E[x] with it at 0.
    history_ : dict of list
        One entry per epoch: `elbo`, `validation_elbo` (NaN without held-out rows),
        `reconstruction`, `kl` (one number per layer), all in nats per sample at weight 1, and
        `kl_weight`, `learning_rate`, `seconds`. The bound `elbo` and its terms are those of the
        training steps, with hidden entries where `input_dropout` is above 0.

    See Also
    --------
    suggest_layer_sizes : What ``layer_sizes="auto"`` becomes.
    sklearn.decomposition.PCA : Linear features, dense.
    sklearn.decomposition.MiniBatchDictionaryLearning : Linear sparse coding.
    sklearn.neural_network.BernoulliRBM : One layer of binary units.

    References
    ----------
    .. [1] T. Salimans (2016). A Structured Variational Auto-encoder for Learning Deep
       Hierarchies of Sparse Features. arXiv:1602.08734.
    .. [2] I. Loshchilov, F. Hutter (2019). Decoupled Weight Decay Regularization. ICLR.
    .. [3] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol (2008). Extracting and Composing
       Robust Features with Denoising Autoencoders. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> X = load_digits(return_X_y=True)[0] / 16
    >>> encoder = HierarchicalSparseEncoder((32, 16), max_iter=3, random_state=0)
    >>> encoder.fit_transform(X).shape
    (1797, 48)
    """

    _columns: Columns

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "layer_sizes": ["array-like", StrOptions({"auto"})],
        "hidden_layer_sizes": [
            "array-like",
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "latent": [StrOptions({"rectified_gaussian", "gaussian", "laplace", "spike_and_slab"})],
        "posterior": [StrOptions({"structured", "mean_field"})],
        "likelihood": [
            StrOptions(
                {
                    "auto",
                    "bernoulli",
                    "categorical",
                    "gaussian",
                    "multinomial",
                    "negative_binomial",
                    "poisson",
                    "student_t",
                }
            ),
            Mapping,
        ],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "batch_norm": ["boolean"],
        "feature": [StrOptions({"median", "mean", "active"})],
        "layers": ["array-like", StrOptions({"all"})],
        "sparse_output": ["boolean"],
        "optimizer": [StrOptions({"adamax", "adam"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "kl_weight": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [
            Interval(Real, 0, None, closed="left"),
            "array-like",
            StrOptions({"auto"}),
        ],
        "firing_rate": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"}), None],
        "skip_connections": ["boolean"],
        "sparsity_penalty": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "input_dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # scikit-learn takes any name but X for data of another kind that is to be routed.
    __metadata_request__inverse_transform: ClassVar[dict[str, Any]] = {"Z": UNUSED}

    def __init__(
        self,
        layer_sizes: Sequence[int] | str = (300, 200, 100, 50),
        *,
        hidden_layer_sizes: Sequence[int] | int | str | None = "auto",
        latent: str = "rectified_gaussian",
        posterior: str = "structured",
        likelihood: str | Mapping[str | int, str] = "auto",
        categorical_features: ArrayLike | str | None = "from_dtype",
        batch_norm: bool = True,
        feature: str = "median",
        layers: Sequence[int] | str = "all",
        sparse_output: bool = False,
        optimizer: str = "adamax",
        learning_rate: float | str = "auto",
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        kl_weight: float = 1.0,
        kl_warmup: float = 0.1,
        free_bits: float | Sequence[float] | str = "auto",
        firing_rate: float | str | None = "auto",
        skip_connections: bool = True,
        sparsity_penalty: float = 0.0,
        weight_decay: float | str = "auto",
        input_dropout: float | str = "auto",
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.01,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.layer_sizes = layer_sizes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.latent = latent
        self.posterior = posterior
        self.likelihood = likelihood
        self.categorical_features = categorical_features
        self.batch_norm = batch_norm
        self.feature = feature
        self.layers = layers
        self.sparse_output = sparse_output
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.kl_weight = kl_weight
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.firing_rate = firing_rate
        self.skip_connections = skip_connections
        self.sparsity_penalty = sparsity_penalty
        self.weight_decay = weight_decay
        self.input_dropout = input_dropout
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        X_val: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn the hierarchy from rows without labels.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix, rows on disk} of shape (n_samples, n_features)
            Training rows; NaN, None and NA mark missing entries. Rows that are not in memory are
            read a block at a time: a memory map, an array that can be sliced (HDF5, zarr), a
            Parquet file or dataset opened by pyarrow, or an object that gives batches of rows
            anew each time it is iterated over.
        y : Ignored
            Not used, present for API consistency by convention.
        X_val : as X, of shape (n_validation_samples, n_features), default=None
            Rows to stop on; without them, early stopping holds some rows of `X` out. Not used
            with ``early_stopping=False``.
        sample_weight : array-like of shape (n_samples,), default=None
            A pass over the rows meets each of them on average in proportion to its weight.

        Returns
        -------
        self : object
            Fitted encoder. When `fit` fails, the encoder is left as it was.

        Raises
        ------
        ValueError
            If a parameter or a column can't be used, if training gives no finite loss, or if the
            checkpoint's file is damaged.
        TypeError
            If an argument is unknown, or `X` is an iterator, which can be read once only.
        OSError
            If the checkpoint can't be written; what was kept before is still there.

        Warns
        -----
        ConvergenceWarning
            If a KeyboardInterrupt ended training; the best weights so far are kept. Before the
            end of the first epoch there are none, and the interrupt is passed on.
        """
        from skrgvae.fitting import (
            initial_module,
            module_to_go_on_with,
            on_device,
            resolve_device,
            train,
        )
        from skrgvae.likelihoods import check_counts
        from skrgvae.model import Model

        with self._all_or_nothing():
            previous = getattr(self, "_model", None) if self.warm_start else None
            columns_before = getattr(self, "_columns", Columns(()))
            self.__dict__.pop("_progress", None)
            rows = self._check_table(X, reset=True, narrow=True)
            if previous is not None:
                self._columns.refuse_others_than(columns_before)
            rows, weights = weighted(rows, sample_weight)
            held_out, held_out_weights = None, None
            if X_val is not None:
                with named("X_val"):
                    held_out = self._check_table(X_val, narrow=True)
            stops = self.early_stopping
            if stops == "auto":
                stops = held_out is not None or rows.n_rows > 10_000
            if not stops:
                held_out = None
            device = resolve_device(self.device)
            seed, snapshot, save = self._draw_seed(), None, None
            if self.checkpoint is not None:
                sources = {"rows": rows, "held out": held_out}
                checkpoint = self._open_checkpoint(sources, weights, previous, device, seed)
                seed, snapshot = checkpoint.load() or (seed, None)
                save = partial(checkpoint.save, seed)
            if stops and held_out is None:
                training, holding = split_rows(rows.n_rows, self.validation_fraction, seed)
                rows, held_out = rows.part(training), rows.part(holding)
                if weights is not None:
                    weights, held_out_weights = weights[training], weights[holding]
            summary = summarise(blocks_of(rows), weights)
            planner = self._planner()
            architecture = planner.architecture(rows, summary, previous)
            if held_out is not None:
                with nullcontext() if X_val is None else named("X_val"):
                    check_counts(architecture.families, held_out, self._names())
            if previous is None:
                module = initial_module(summary, architecture, seed)
            else:
                module = module_to_go_on_with(previous, architecture, summary, "warm_start=False")

            def attributes_after(history: History) -> dict[str, Any]:
                model = Model.from_module(module, seed, device)
                typical = Typical.of(model, summary)
                return self._attributes(model, typical, history.as_dict(), len(history.epochs))

            warm = previous is not None
            plan = planner.plan(architecture, rows.n_rows, warm=warm, stops=bool(stops))
            callbacks = EpochCallbacks(self, X, y, plan.max_iter)
            hooks = FitHooks(callbacks, self.verbose, attributes_after)
            callbacks.begin_fit()
            model, run = train(
                module,
                on_device(rows, device, weights),
                None if held_out is None else on_device(held_out, device, held_out_weights),
                summary,
                plan,
                seed,
                hooks,
                snapshot,
                save,
            )
            typical = Typical.of(model, summary)
            attributes = self._attributes(model, typical, run.history.as_dict(), run.best)
            callbacks.end_fit(attributes)
            self.__dict__.update(attributes)
        if run.interrupted:
            warnings.warn(
                f"Training was interrupted after {self.n_iter_} of at most {plan.max_iter} "
                f"epochs; the weights of epoch {self.best_iter_} are kept.",
                ConvergenceWarning,
                stacklevel=3,  # past scikit-learn's wrapper of fit
            )
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from one pass over some rows, going on from earlier calls.

        The first call fixes the family, the scale and the categories of every column, and the
        warm-up of the KL is planned over `max_iter` passes over its rows; the learning rate stays
        constant. A column that had one value or none gets its scale from the first call in which
        it has others. After a `fit`, training goes on from its weights with the full weight of
        the KL.

        Parameters
        ----------
        X : as for `fit`, of shape (n_samples, n_features)
            Rows to learn from.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            As for `fit`.

        Returns
        -------
        self : object
            Fitted encoder. When the call fails, the encoder is left as it was.

        Raises
        ------
        ValueError
            If a parameter or a column can't be used, if a parameter asks for another network
            than that of the earlier calls, or if `checkpoint` is given: it keeps what `fit` does.
        """
        from skrgvae.fitting import (
            initial_module,
            module_to_go_on_with,
            on_device,
            resolve_device,
        )
        from skrgvae.likelihoods import check_families
        from skrgvae.stream import Progress, train_on
        from skrgvae.training import History

        if self.checkpoint is not None:
            raise ValueError(
                "checkpoint keeps the state of fit, partial_fit needs checkpoint=None: keep the "
                f"encoder itself between its calls, with save or joblib. Got {self.checkpoint!r}."
            )
        with self._all_or_nothing():
            previous: Model | None = getattr(self, "_model", None)
            first = previous is None
            if not first:
                self._validate_params()  # scikit-learn does so before the first call only
                self._columns.refuse_other_features(self.categorical_features)
            rows = self._check_table(X, reset=first, narrow=True)
            rows, weights = weighted(rows, sample_weight)
            progress: Progress | None = getattr(self, "_progress", None)
            if progress is None:
                n_seen = 0 if first else MEMORY
                progress = Progress(rows.n_rows, self._draw_seed(), warm=not first, n_seen=n_seen)
            n_before = progress.n_seen
            summary = summarise(blocks_of(rows), weights)
            planner = self._planner(stream=True)
            if previous is None:
                architecture = planner.architecture(rows, summary)
                module = initial_module(summary, architecture, progress.seed)
                history = History()
            else:
                architecture = planner.architecture_like(previous, summary)
                check_families(architecture.families, summary, self._names())
                module = module_to_go_on_with(previous, architecture, summary, "a new encoder")
                history = History.from_dict(self.history_)
            plan = planner.plan(module.architecture, progress.n_rows, warm=progress.warm)
            device = resolve_device(self.device)
            model, epoch, progress = train_on(
                module, on_device(rows, device, weights), plan, progress
            )
            history.epochs.append(epoch)
            typical = Typical.of(model, summary)
            if previous is not None:
                before = Typical(np.concatenate(self._medians), self._active_means)
                typical = typical.after(before, n_before, rows.n_rows)
            self.__dict__.update(
                self._attributes(model, typical, history.as_dict(), len(history.epochs)),
                _progress=progress,
            )
        return self

    def transform(self, X: Any, *, out: NDArray[np.floating] | None = None) -> Any:
        """Features of the chosen layers, side by side, bottom to top.

        Parameters
        ----------
        X : as for `fit`, of shape (n_samples, n_features)
            Categories that `fit` has not seen are missing entries.
        out : ndarray of shape (n_samples, n_emitted), default=None
            Where to write the features, a memory map for example; no memory of `X`.

        Returns
        -------
        {ndarray, scipy.sparse.csr_array} of shape (n_samples, n_emitted)
            The statistic `feature` of the posterior of every unit in `layers`, in float32 for
            float32 input, else float64. It depends on the row alone; a row of which nothing is
            known has the features of the prior.
        """
        check_is_fitted(self)
        emitted = self._emitted()
        if out is not None and self.sparse_output:
            raise ValueError("out must be None with sparse_output=True.")
        rows = self._rows(X)
        if self.sparse_output:
            pieces = self._model.feature_pieces(rows, self.feature, emitted)
            return vstack([csr_array(part) for _, part in pieces], format="csr")
        if out is not None:
            _check_out(out, (rows.n_rows, self._n_features_out), rows)
        return self._model.features(rows, self.feature, emitted, out)

    def inverse_transform(self, Z: Any) -> NDArray[np.floating]:
        """Expected rows given emitted values.

        Layers that `transform` does not emit stand at their training medians.

        Parameters
        ----------
        Z : {array-like, sparse matrix} of shape (n_samples, n_emitted)
            Values as `transform` emits them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            E[x | z], of a categorical column the likeliest category.

        Raises
        ------
        ValueError
            If layer 0 is not among `layers`, or `feature` is "active".
        """
        check_is_fitted(self)
        emitted = self._emitted()
        if 0 not in emitted:
            raise ValueError(f"inverse_transform needs layer 0 among layers. Got {self.layers!r}.")
        if self.feature == "active":
            raise ValueError(
                "inverse_transform needs feature 'median' or 'mean': probabilities of being "
                "active say nothing about the values. Got 'active'."
            )
        dense = Z.toarray() if hasattr(Z, "toarray") else Z  # scipy's sparse matrices and arrays
        values: NDArray[np.floating] = check_array(
            dense, dtype=[np.float64, np.float32], input_name="Z"
        )
        slices = self.layer_slices_
        if values.shape[1] != slices[-1].stop:
            raise ValueError(
                f"Z has {values.shape[1]} features, but {type(self).__name__} emits "
                f"{slices[-1].stop}."
            )
        layers = [
            np.broadcast_to(median.astype(values.dtype), (len(values), len(median)))
            for median in self._medians
        ]
        for layer, part in zip(emitted, slices, strict=True):
            layers[layer] = values[:, part]
        return self._columns.decode(self._model.decode(layers))

    def score_samples(self, X: ArrayLike, n_importance_samples: int = 1) -> NDArray[np.floating]:
        """Lower bound of the log-density of every row, in nats and in the units of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_importance_samples : int, default=1
            1 gives the ELBO by one joint sample per row and closed-form KL; k > 1 the
            importance-weighted bound log (1/k) sum_i p(x, z_i) / q(z_i | x). The two must not be
            compared with each other. The noise of a row is a function of the fitted seed and
            the row's content.

        Returns
        -------
        ndarray of shape (n_samples,)
            Larger is better.
        """
        check_is_fitted(self)
        if not isinstance(n_importance_samples, Integral) or n_importance_samples < 1:
            raise ValueError(
                "n_importance_samples must be an int in the range [1, inf). "
                f"Got {n_importance_samples!r}."
            )
        return self._model.score(self._rows(X), int(n_importance_samples))

    def score(self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Mean ELBO of the rows, in nats per sample; larger is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean.

        Returns
        -------
        float
        """
        scores = self.score_samples(X).astype(np.float64)
        return float(np.average(scores, weights=checked_weights(len(scores), sample_weight)))

    def sample(self, n_samples: int = 1) -> NDArray[np.float64]:
        """Draw new rows from the generative model.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of objects where a column is categorical. With an int as `random_state` each call
            draws the same rows; with a RandomState it goes on.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one "
                "sample."
            )
        return self._columns.decode(self._model.sample(int(n_samples), self._draw_seed()))

    def unit_summary(self, X: ArrayLike) -> Any:
        """What every emitted unit does on some rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        pandas.DataFrame, or dict of ndarray where pandas is not installed
            One row per unit: `layer`, `unit`, `kl` (mean KL in nats, by one sample per row),
            `zero_share`, `mean` and `std` of the emitted value, and `used`: whether both `kl`
            and `std` are above 0.01.
        """
        from skrgvae.inspection.tables import activity, as_table, checked
        from skrgvae.inspection.units import unit_columns

        rows = checked(self, X)
        return as_table(unit_columns(self, rows, activity(self, rows)))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the emitted features, "layer0_000" and so on: layer (0 = bottom), then unit.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only checked against the names seen in fit.

        Returns
        -------
        ndarray of str of shape (n_emitted,)
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features)
        names = []
        for layer in self._emitted():
            size = self.layer_sizes_[layer]
            width = len(str(size - 1))
            names += [f"layer{layer}_{unit:0{width}d}" for unit in range(size)]
        return np.asarray(names, dtype=object)

    def impute(self, X: Any) -> Any:
        """Rows with their missing entries replaced by what the model expects of them.

        Parameters
        ----------
        X : as for `fit`, of shape (n_samples, n_features)

        Returns
        -------
        {ndarray, data frame} of shape (n_samples, n_features)
            E[x | what is known of the row], averaged over draws of the posterior that are a
            function of the fitted seed and the row's content; of a categorical column the
            likeliest category. Known entries come back as they are; categories that `fit` has
            not seen are missing ones. A column without any entry in `fit` gets zeros; one of
            strings, of which no category is known, stays missing.

            A data frame for a data frame, with its names and index. Numbers are floats, in it as
            in an array, but where integers beyond 2**53 would not be what they were: columns and
            arrays of integers then stay such, and those of objects are ones of objects. In
            columns of nullable integers with holes and in masked arrays they are rounded to
            floats all the same.

            Everything else gives an array of floats, or of objects where a column is categorical:
            a sparse matrix, and rows that are read a block at a time, those of a Parquet file or
            of batches of data frames among them. Their names and dtypes are left out.
        """
        check_is_fitted(self)
        rows = self._rows(X)
        table = self._model.impute(rows)
        if isinstance(rows, BlockRows) or rows.is_sparse:
            return self._columns.decode(table)
        return self._columns.decode(table, X if is_frame(X) else None, large_integers(X))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted encoder to a file without code in it.

        The file is a safetensors file with a JSON header and a checksum. It holds parameters,
        weights and fitted attributes, but neither rows of the data nor the optimiser's state
        between calls of `partial_fit`. It is there in full or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            A file that is there is replaced.

        Raises
        ------
        NotFittedError
            If the encoder is not fitted.
        OSError
            If the file can't be written; what was at `path` is still there.
        TypeError
            If a parameter has a type that a file can't hold, or `path` is neither a str nor an
            os.PathLike.

        See Also
        --------
        load : Read the file.
        """
        from skrgvae.persistence.model_file import save_model

        check_is_fitted(self)
        save_model(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `save` wrote. Nothing in it is run, so it may come from anyone.

        Parameters
        ----------
        path : str or os.PathLike

        Returns
        -------
        encoder : object
            Fitted encoder; a `random_state` that was a RandomState is a new one in the state
            that it had when the file was written.

        Raises
        ------
        ModelFileError
            If the file is damaged, altered, of an unknown version or not one of this class.
        OSError
            If the operating system doesn't hand out the file.
        TypeError
            If `path` is neither a str nor an os.PathLike.

        See Also
        --------
        save : Write the file.
        """
        from skrgvae.persistence.model_file import load_model

        return load_model(cls, path)

    @property
    def layer_slices_(self) -> list[slice]:
        """Columns of the output that belong to each emitted layer, bottom first."""
        check_is_fitted(self)
        try:
            emitted = self._emitted()
        except ValueError as error:
            # `layers` was set to what the model does not have. Then there is no such attribute:
            # scikit-learn's display looks at all that are there.
            raise AttributeError(str(error)) from error
        ends = np.cumsum([0, *(self.layer_sizes_[layer] for layer in emitted)]).tolist()
        return [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def components_(self) -> NDArray[np.float64]:
        """What each bottom unit adds to the data, shape (n_bottom_units, n_features)."""
        from skrgvae.inspection.effects import layer_components

        return layer_components(self)

    def _html_appendix(self) -> str:
        from skrgvae.layer_table import layer_table_html

        return layer_table_html(self) if hasattr(self, "_model") else ""

    def __getstate__(self) -> dict[str, Any]:
        """Leave callbacks out once they have done their work: they may hold anything."""
        state = dict(super().__getstate__())
        if "_model" in state:
            for name in (CALLBACKS, *CALLBACK_STATE):
                state.pop(name, None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.layer_slices_[-1].stop

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put all attributes back as they were when the body fails."""
        before = {k: v for k, v in vars(self).items() if k not in CALLBACK_STATE}
        try:
            yield
        except BaseException:
            for name in set(vars(self)) - set(before) - set(CALLBACK_STATE):
                delattr(self, name)
            self.__dict__.update(before)
            raise

    def _check_table(self, X: Any, reset: bool = False, narrow: bool = False) -> Source:
        """X as rows of numbers, compared with what `fit` saw or, with `reset`, learned from."""
        columns = None if reset else self._columns
        opener = Opener(self, columns, self.categorical_features, narrow)
        rows = opener.open(X)
        self._columns = opener.learned()
        return rows

    def _rows(self, X: Any) -> Source:
        """New rows for a fitted encoder."""
        from skrgvae.likelihoods import check_counts

        rows = self._check_table(X)
        check_counts(self.likelihood_.tolist(), rows, self._names())
        return rows

    def _names(self) -> Sequence[str] | None:
        return getattr(self, "feature_names_in_", None)

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _open_checkpoint(
        self,
        sources: Mapping[str, Source | None],
        weights: NDArray[np.float64] | None,
        previous: Model | None,
        device: str,
        seed: int,
    ) -> Any:
        """The file in which this training is kept, if there is one yet."""
        from skrgvae.persistence.checkpoint import Checkpoint, fingerprint

        assert self.checkpoint is not None
        parameters = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in NOT_IN_FINGERPRINT
        }
        parameters["seed"] = None if self.random_state is None else seed
        parameters["device"] = device
        parameters["names"] = self._names()
        parameters["columns"] = self._columns.as_json()
        arrays = {} if previous is None else dict(previous.arrays)
        if weights is not None:
            arrays["weights"] = weights
        return Checkpoint(self.checkpoint, fingerprint(parameters, arrays, sources))

    def _emitted(self) -> tuple[int, ...]:
        """Layers that `transform` emits now; parameters may have been set after `fit`."""
        self._validate_params()
        return resolve_layers(self.layers, len(self.layer_sizes_))

    def _planner(self, *, stream: bool = False) -> Planner:
        # Not get_params: a subclass may take fewer of them.
        return Planner(vars(self), self._columns, self._names(), stream=stream)

    @staticmethod
    def _attributes(
        model: Model, typical: Typical, history: dict[str, list], best: int
    ) -> dict[str, Any]:
        """What a fit leaves behind, whether it ran here or comes from a file."""
        architecture = model.architecture
        return {
            "_model": model,
            "_medians": np.split(typical.medians, np.cumsum(architecture.layer_sizes)[:-1]),
            "_active_means": typical.active_means,
            "layer_sizes_": architecture.layer_sizes,
            "hidden_layer_sizes_": architecture.hidden_layer_sizes,
            "likelihood_": np.array(architecture.families),
            "history_": history,
            "n_iter_": len(history["kl"]),
            "best_iter_": best,
        }


def _check_out(out: Any, shape: tuple[int, int], rows: Source) -> None:
    if not isinstance(out, np.ndarray) or out.dtype.kind != "f":
        found = f"one of {out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise TypeError(f"out must be an ndarray of floats. Got {found}.")
    if out.shape != shape or not out.flags.writeable:
        found = f"{out.shape}{'' if out.flags.writeable else ', read-only'}"
        raise ValueError(f"out must be writeable and have the shape {shape}. Got {found}.")
    # Rows are read piece by piece: the features of one would be written over the next.
    if isinstance(rows, ArrayRows) and not rows.is_sparse and np.shares_memory(out, rows.table):
        raise ValueError("out must not share memory with X.")
