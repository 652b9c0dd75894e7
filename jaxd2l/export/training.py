"""One update of a run as StableHLO. State crosses the border as arrays by name, which any language has.

The names are those of checkpoints: `step`, `params.Dense_0.kernel`, `batch_stats.…`, `opt_state.…`, `ema.…`. The
program is the arithmetic of the run's own update. It holds no rematerialisation: which activations wait in memory is
the business of who compiles it.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxd2l.data import Examples
from jaxd2l.data.plain import stored_dtype
from jaxd2l.export.comparison import Comparison, apart, tolerance
from jaxd2l.export.program import exported
from jaxd2l.nn.parameters import arranged, flat
from jaxd2l.prediction import Predictor
from jaxd2l.train import Recipe, TrainState
from jaxd2l.train.compiler import compiled
from jaxd2l.train.state import begin
from jaxd2l.train.step import Batch, Tally

__all__ = ["Training", "compare_updates", "training_of", "training_program"]

_KEY = np.array([0, 1], np.uint32)  # of one update, as `jax.random.key_data` gives it
_DOT = "."


class Training(NamedTuple):
    """What an update needs.

    Attributes:
        recipe: of the run.
        optimizer: with the run's schedule.
        state: where the program's user begins.
    """

    recipe: Recipe
    optimizer: optax.GradientTransformation
    state: TrainState

    def named(self) -> dict[str, np.ndarray]:
        """The state as arrays by name."""
        return {name: np.asarray(a) for name, a in flat(self.state, _DOT).items()}


def training_of(predictor: Predictor, steps: int | None) -> Training:
    """Training from a network's weights, with a new state of the optimizer.

    Args:
        predictor: the network with its weights.
        steps: updates an epoch, by which a schedule is laid out; None where the learning rate follows none.

    Raises:
        ValueError: the optimizer's state holds something else than numbers.
    """
    recipe = predictor.recipe
    optimizer = recipe.make_optimizer() if steps is None else recipe.scheduled_optimizer(steps)
    weights = predictor.variables["params"], predictor.variables["batch_stats"]
    state = begin(optimizer, *weights, averaged=recipe.ema is not None, freeze=recipe.freeze)
    wrong = [name for name, a in flat(state, _DOT).items() if jnp.issubdtype(jnp.result_type(a), jax.dtypes.extended)]
    if wrong:
        raise ValueError(f"{wrong[0]} is a random key of the optimizer, which no file of arrays holds")
    return Training(dataclasses.replace(recipe, remat=False), optimizer, state)


def training_program(training: Training, example: jax.ShapeDtypeStruct, target: jax.ShapeDtypeStruct) -> bytes:
    """One update as a program of `jax.export`.

    Args:
        training: what it needs.
        example: a stored one, batch axis included, whose size does not count.
        target: likewise.

    Returns:
        `call(state, x, y, weight, key) -> (state, tally)` for any batch size, a multiple of `accumulate`: state and
        tally are dicts of arrays; weight (b,) is 1, or 0 for padding; key uint32 (2,) is that of the update. The tally
        has `loss`, `hits`, `examples`, sums over the batch, and `gradient_norm`.

    Raises:
        ValueError: the update's shapes cannot be computed for any number of examples, or flatbuffers is missing.
    """
    recipe, like = training.recipe, jax.eval_shape(lambda: training.state)
    least = 2 if jax.tree.leaves(training.state.batch_stats) else 1  # one value has no variance
    piece = jax.export.symbolic_shape("b", constraints=[f"b >= {least}"])[0]
    batch = piece * recipe.accumulate if recipe.accumulate > 1 else piece
    step = recipe.make_step(training.optimizer)

    def update(state: dict[str, jax.Array], x: jax.Array, y: jax.Array, weight: jax.Array, key: jax.Array) -> Any:
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
        after, tally = step(arranged(state, like, _DOT), Batch(x, y, weight), key)
        return flat(after, _DOT), tally._asdict()

    return exported(
        update,
        (
            flat(like, _DOT),
            jax.ShapeDtypeStruct((batch, *example.shape[1:]), stored_dtype(example.dtype)),
            jax.ShapeDtypeStruct((batch, *target.shape[1:]), stored_dtype(target.dtype, labels=recipe.takes_labels)),
            jax.ShapeDtypeStruct((batch,), jnp.float32),
            jax.ShapeDtypeStruct((2,), jnp.uint32),
        ),
    )


def compare_updates(training: Training, program: jax.export.Exported, examples: Examples, random: bool) -> Comparison:
    """Update once by the run's own way and once by the program.

    What is compared: loss and gradient norm as shares of themselves, the running statistics and the change of the
    parameters by L2 norm as shares of the run's own. The last may differ more: an adaptive optimizer makes a whole
    step of a gradient that is rounding alone, as those of biases before a batch normalisation are.
    """
    batch = Batch(jnp.asarray(examples.x), jnp.asarray(examples.y), jnp.ones(len(examples.x)))
    key = jax.random.wrap_key_data(jnp.asarray(_KEY), impl="threefry2x32")
    step = training.recipe.make_step(training.optimizer)
    own, own_tally = compiled(step, (training.state, batch, key))(training.state, batch, key)
    before = training.named()
    state, tally = program.call(before, *batch, _KEY)
    ours = {name: np.asarray(a) for name, a in flat(own, _DOT).items()}
    share = tolerance(training.recipe.precision)
    found = Tally(**tally)
    differences, allowed = {}, {}
    for what in ("loss", "gradient_norm"):
        differences[what] = apart([np.asarray(getattr(own_tally, what))], [np.asarray(getattr(found, what))])
        allowed[what] = 10 * share
    for what, start, most in (("batch_stats", 0, 10 * share), ("params", 1, max(0.25, 2 * share))):
        names = [name for name in ours if name.startswith(f"{what}.")]
        if names:
            changes = ([after[name] - start * before[name] for name in names] for after in (ours, state))
            differences[what], allowed[what] = apart(*changes), most
    return Comparison(differences, allowed, len(examples.x), random)
