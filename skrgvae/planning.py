"""From the encoder's parameters and rows to a network and the plan of its training.

torch is imported where it is needed, as in `estimator`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.columns import Columns
from skrgvae.data.sources import Source
from skrgvae.data.summary import Summary
from skrgvae.marks import marked_columns
from skrgvae.recipe import Recipe, is_long, recipe_for, stands_on_rows
from skrgvae.resolve import (
    given,
    resolve_batch_size,
    resolve_free_bits,
    resolve_hidden_layer_sizes,
    resolve_layer_sizes,
    resolve_layers,
    resolve_likelihood,
    resolve_max_iter,
)

if TYPE_CHECKING:
    from skrgvae.fitting import Plan
    from skrgvae.model import Model
    from skrgvae.network import Architecture

# Parameters of the network whose "auto" keeps, where training goes on, what it became at first.
RESOLVED_ONCE = ("layer_sizes", "hidden_layer_sizes", "firing_rate")


class Planner:
    """What the parameters ask for.

    Parameters
    ----------
    parameters : mapping of str to object
        Those of the encoder; other entries are not looked at.
    columns : Columns
    names : sequence of str or None
        Of the columns, where they have names.
    stream : bool
        Whether the rows are those of `partial_fit`.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        columns: Columns,
        names: Sequence[str] | None,
        *,
        stream: bool,
    ) -> None:
        self.parameters = parameters
        self.columns = columns
        self.names = names
        self.stream = stream

    def architecture(
        self, rows: Source, summary: Summary, previous: Model | None = None
    ) -> Architecture:
        """The network over the columns of these rows, `previous` being one to go on from."""
        from skrgvae.likelihoods import check_families, resolve_auto

        n_categories = self.columns.n_categories
        families = self._families(resolve_auto(summary, n_categories, rows.is_sparse))
        check_families(families, summary, self.names)
        if previous is None:
            marked = marked_columns(summary.distinct_rows)
        else:
            marked = previous.architecture.marked
        return self._architecture(summary, previous, families, n_categories, marked)

    def architecture_like(self, previous: Model, summary: Summary) -> Architecture:
        """The network over the columns of an earlier call."""
        before = previous.architecture
        families = self._families(np.array(before.families))
        return self._architecture(summary, previous, families, before.n_categories, before.marked)

    def plan(
        self, architecture: Architecture, n_rows: int, *, warm: bool, stops: bool = False
    ) -> Plan:
        """Plan of the training; a warm one goes on from trained weights, so needs no warm-up."""
        from skrgvae.fitting import Plan
        from skrgvae.training import Settings, Stopping

        asked = self.parameters
        sizes, families = architecture.layer_sizes, architecture.families
        recipe = self._recipe(sizes, architecture.hidden_layer_sizes, families, n_rows)
        stopping = Stopping(asked["n_iter_no_change"], asked["tol"]) if stops else None
        # A stream of texts, whose normalisation takes no moments of whole rows, gained hardly
        # anything and lost 33 nats.
        input_dropout = 0.0 if self.stream else recipe.input_dropout
        return Plan(
            settings=Settings(
                optimizer=asked["optimizer"],
                batch_size=resolve_batch_size(asked["batch_size"], recipe),
                free_bits=resolve_free_bits(asked["free_bits"], len(sizes), recipe),
                sparsity_penalty=asked["sparsity_penalty"],
                weight_decay=given(asked["weight_decay"], recipe.weight_decay),
                input_dropout=given(asked["input_dropout"], input_dropout),
            ),
            learning_rate=given(asked["learning_rate"], recipe.rate_for(len(families))),
            max_iter=self._max_iter(sizes, families, n_rows, recipe),
            kl_weight=asked["kl_weight"],
            kl_warmup=0.0 if warm else asked["kl_warmup"],
            stopping=stopping,
        )

    def _families(self, auto: NDArray[np.str_]) -> list[str]:
        """The family of every column, given what "auto" stands for."""
        from skrgvae.likelihoods import FAMILIES

        empty = np.array([categories == () for categories in self.columns.categories])
        likelihood, known = self.parameters["likelihood"], tuple(FAMILIES)
        return resolve_likelihood(likelihood, auto, empty, self.names, known).tolist()

    def _architecture(
        self,
        summary: Summary,
        previous: Model | None,
        families: Sequence[str],
        n_categories: tuple[int, ...],
        marked: tuple[int, ...],
    ) -> Architecture:
        from skrgvae.network import Architecture

        asked = dict(self.parameters)
        if previous is not None:
            for name in RESOLVED_ONCE:
                asked[name] = given(asked[name], getattr(previous.architecture, name))
        layer_sizes = resolve_layer_sizes(asked["layer_sizes"], summary)
        resolve_layers(asked["layers"], len(layer_sizes))
        hidden = asked["hidden_layer_sizes"]
        recipe = self._recipe(layer_sizes, hidden, families, summary.n_rows)
        hidden = resolve_hidden_layer_sizes(hidden, layer_sizes, recipe)
        skip = bool(asked["skip_connections"])
        return Architecture(
            layer_sizes=layer_sizes,
            hidden_layer_sizes=hidden,
            families=tuple(families),
            n_categories=n_categories,
            marked=marked,
            latent=asked["latent"],
            posterior=asked["posterior"],
            batch_norm=bool(asked["batch_norm"]),
            firing_rate=given(asked["firing_rate"], recipe.firing_rate),
            skip_connections=skip,
            direct_inputs=skip and hidden is None and stands_on_rows(families),
        )

    def _recipe(
        self, layer_sizes: Sequence[int], hidden: Any, families: Sequence[str], n_rows: int
    ) -> Recipe:
        """What "auto" stands for."""
        usual = recipe_for(layer_sizes, families)
        # Nobody knows how long a stream is, and deterministic layers of weights that don't decay
        # learn the rows by heart.
        if self.stream or hidden is None or self.parameters["weight_decay"] == 0:
            return usual
        long = recipe_for(layer_sizes, families, long=True)
        passes = self._max_iter(layer_sizes, families, n_rows, long)
        return long if is_long(n_rows, passes) else usual

    def _max_iter(
        self, layer_sizes: Sequence[int], families: Sequence[str], n_rows: int, recipe: Recipe
    ) -> int:
        asked = self.parameters["max_iter"], self.parameters["batch_size"]
        return resolve_max_iter(*asked, recipe, n_rows, len(families), sum(layer_sizes))
