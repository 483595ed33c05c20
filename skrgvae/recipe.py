"""What "auto" stands for in training: the rules that were found by measuring, and why.

The runs are in examples/results/feature_recipe.json; docs/features.rst tells their story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

# max_iter: as many passes as the recipe says, more where they are a matter of seconds: products of
# a row's values with a unit's weights up to these, in passes up to those. Small tables need them
# to be learned at all, and small layers go on finding causes for that long ...
QUICK_PRODUCTS, MOST_PASSES = 5 * 10**10, 200
# ... and no more steps than these, which should not take longer where the columns are more than
# these.
MOST_STEPS, USUAL_COLUMNS = 40_000, 1_000

# More rows than these are enough for deterministic layers, in a training that sees as many in all
# of its passes together.
MANY_ROWS, MANY_SEEN = 10_000, 2 * 10**6

# Nats of the lowest floor: a unit whose KL stays at one of less would count as unused.
LEAST_FREE_BITS = 0.0125

# More units than these span the columns where most are measured, however many columns there are:
# at 784 to 3,000 of them, 650 units gain 3 to 10 points with 100 labels.
MANY_UNITS = 300

# More measured columns than these tell what they have in common many times over.
MANY_COLUMNS = 250

# Families of columns without a natural zero, and of counts.
MEASUREMENTS = frozenset({"gaussian", "student_t"})
COUNTS = frozenset({"negative_binomial", "poisson", "multinomial"})


@dataclass(frozen=True)
class Recipe:
    """How units start, what they are trained with, and for how long.

    Attributes
    ----------
    firing_rate : float
        Share of rows for which a unit is on when training starts.
    learning_rate : float
        Up to 1,000 columns.
    top_free_bits : float
        Floor of the top layer (nats per unit).
    growth : float
        Of the floor from each layer to the next one above it.
    deep : bool
        Whether there are deterministic layers between the stochastic ones.
    batch_size : int
        Rows per step.
    passes : int
        Over the rows, where they are not a matter of seconds.
    weight_decay : float
        What weights lose of themselves in a step, over the learning rate.
    input_dropout : float
        Share of the entries that the bottom-up pass doesn't see in a step.
    """

    firing_rate: float
    learning_rate: float
    top_free_bits: float
    growth: float
    deep: bool = False
    batch_size: int = 100
    passes: int = 60
    weight_decay: float = 0.0
    input_dropout: float = 0.0

    def rate_for(self, n_columns: int) -> float:
        """Learning rate for so many columns.

        Weights start in proportion to one over the root of their number, and a step of Adamax
        moves all of them by up to the rate: more columns than usual ask for smaller steps.
        """
        return self.learning_rate * min(1.0, USUAL_COLUMNS / n_columns) ** 0.5

    def free_bits(self, n_layers: int) -> tuple[float, ...]:
        """Floor per unit of every layer (nats), bottom first."""
        return tuple(
            max(LEAST_FREE_BITS, self.top_free_bits * self.growth ** (layer + 1 - n_layers))
            for layer in range(n_layers)
        )

    def epochs_for(self, n_rows: int, n_columns: int, n_units: int, batch_size: int) -> int:
        """Passes over the rows; `n_units` of all layers."""
        n_batches = -(-n_rows // batch_size)
        quick = QUICK_PRODUCTS // (n_rows * n_units * (n_columns + n_units))
        passes = max(self.passes, min(quick, MOST_PASSES))
        most = MOST_STEPS * USUAL_COLUMNS // max(USUAL_COLUMNS, n_columns)
        return max(1, min(passes, most // n_batches))


# Units find the causes in the rows, and each of them is worth many rows. The layers below have
# more units, and a top layer without a floor is left unused.
SEARCHING = Recipe(firing_rate=0.3, learning_rate=1e-2, top_free_bits=0.1, growth=2.0)
# The same with many rows: deterministic layers find what a plain chain can't, if weights decay, so
# that they do not learn the rows by heart, and if they are given the time. Of fewer rows, or in a
# shorter training, they make a better bound and worse features. More values become zero than in
# a plain chain, so that units may start on for more of the rows, and upper layers stay in use with
# a little less; both serve features and bound.
SEARCHING_DEEP = replace(
    SEARCHING,
    firing_rate=0.4,
    top_free_bits=0.08,
    deep=True,
    batch_size=250,
    passes=MOST_PASSES,
    weight_decay=0.1,
)
# Measured columns, and more units than columns or simply many: there are not as many causes to
# find as there are units. What a linear classifier can use is a code that loses nothing of the
# columns and bends them in many ways. So units are on for half of the rows, each has to hear
# something of the row, and steps are small enough that the directions which units start from are
# refined and not replaced. A floor three times as high serves clean tables a little better, and
# learns the noise of others.
SPANNING = Recipe(firing_rate=0.5, learning_rate=2e-3, top_free_bits=0.1, growth=1.0)
# Half of many columns tells as much of a row as all of them. Units that have to guess the other
# half say what columns have in common, and less of what single rows have.
SPANNING_MANY = replace(SPANNING, input_dropout=0.5)
# Counts: there are far more causes than units, and it takes that floor to hear of many.
COUNTING = Recipe(firing_rate=0.5, learning_rate=2e-3, top_free_bits=0.3, growth=1.0)
# More columns of them than units, as of words: half of a text, too, tells as much of what it is
# about as all of it.
WORDS = replace(COUNTING, input_dropout=0.5)


def recipe_for(layer_sizes: Sequence[int], families: Sequence[str], long: bool = False) -> Recipe:
    """The recipe for units over columns of these families; `long` is what `is_long` says."""
    n_units, n_columns = sum(layer_sizes), len(families)
    if not COUNTS.isdisjoint(families):
        return WORDS if n_columns > n_units and COUNTS.issuperset(families) else COUNTING
    if MEASUREMENTS.isdisjoint(families):
        return SEARCHING_DEEP if long else SEARCHING
    most_are_measured = 2 * sum(family in MEASUREMENTS for family in families) > n_columns
    if n_units > n_columns or (most_are_measured and n_units > MANY_UNITS):
        return SPANNING_MANY if most_are_measured and n_columns > MANY_COLUMNS else SPANNING
    return SEARCHING


def is_long(n_rows: int, passes: int) -> bool:
    """Whether a training has what deterministic layers need."""
    return n_rows > MANY_ROWS and n_rows * passes >= MANY_SEEN


def hidden_layer_sizes_for(layer_sizes: Sequence[int]) -> tuple[int, ...]:
    """Widths of the deterministic layers: of each the next power of two above the units'."""
    return tuple(2 ** int(size).bit_length() for size in layer_sizes)


def stands_on_rows(families: Sequence[str]) -> bool:
    """Whether units start as detectors of rows, and every layer reads the row itself.

    Intensities and counts have many columns, and what a layer hands on of them is not enough for
    those above. Rows of measurements vary most along a few directions; drawn weights span all of
    them, and upper units that read the columns miss the causes that units below share.
    """
    return MEASUREMENTS.isdisjoint(families)
