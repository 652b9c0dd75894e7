"""What our side of a training draws and finds: initial weights, order, masks of dropout, rates, the loss of each step.

In float32 it is the run's own program, to the bit. In float64 the same step computes from the same numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset
from jaxd2l.interop.torch import to_torch
from jaxd2l.nn.stochastic import Dropout
from jaxd2l.train import Recipe
from jaxd2l.train.mesh import on_device
from jaxd2l.train.program import compile_program, initial_state
from jaxd2l.train.state import TrainState, begin, run_keys
from jaxd2l.train.step import Batch, make_step

PyTree = Any


class Numbers(NamedTuple):
    """A training of `steps` updates.

    Attributes:
        weights: the initial state_dict, float32.
        x: the stored examples that occur, with channels first where they are images.
        y: their targets.
        order: rows of `x` in each update (steps, batch size); -1 is padding.
        masks: which units each layer of dropout keeps, (steps, batch size, ...) each, in the order of the layers.
        rates: learning rate of each update, float64.
        losses: mean loss of each update before it, by the name of the type that it was computed in.
    """

    weights: dict[str, np.ndarray]
    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    masks: tuple[np.ndarray, ...]
    rates: np.ndarray
    losses: dict[str, np.ndarray]

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name, as the script reads it."""
        return {
            **{f"weights/{name}": a for name, a in self.weights.items()},
            **{f"masks/{i}": np.packbits(mask.reshape(len(mask), -1), axis=1) for i, mask in enumerate(self.masks)},
            **{f"masks/{i}/units": np.asarray(mask.shape[-1]) for i, mask in enumerate(self.masks)},
            **{f"losses/{name}": a for name, a in self.losses.items()},
            "x": self.x,
            "y": self.y,
            "order": self.order,
            "rates": self.rates,
        }


def numbers_of(recipe: Recipe, data: Dataset, *, steps: int = 50, seed: int = 0) -> Numbers:
    """Train our side.

    Args:
        recipe: what to train; of those that `jaxd2l.export.twin.require_twin` takes.
        data: what it is trained on.
        steps: updates.
        seed: of the run.
    """
    program, keys = compile_program(recipe, data, without=("evaluation",)), run_keys(seed)
    train = on_device(data.train)
    state = initial_state(program, seed, recipe.learning_rate, recipe.weight_decay)
    params, batch_stats = (jax.tree.map(np.asarray, trees) for trees in (state.params, state.batch_stats))
    orders, weights, losses = [], [], []
    for epoch in range(-(-steps // program.train_steps)):  # they count from 1
        count = min(program.train_steps, steps - epoch * program.train_steps)
        rows = program.shuffle(keys.shuffle, np.int32(epoch + 1))
        orders.append(np.asarray(rows.indices)[:count])
        weights.append(np.asarray(rows.weight)[:count])
        record = program.record(program.train_steps)
        state, record = program.epoch(state, record, *train, rows, keys.noise, np.int32(0), np.int32(count))
        losses.append(np.asarray(record.loss)[:count] / np.asarray(record.examples)[:count])
    order, weight = np.concatenate(orders), np.concatenate(weights)
    shape = program.recipe.input_shape(data.train.x)
    with jax.enable_x64(True):
        shares = recipe.course.shares(program.train_steps)
        rates = np.array([recipe.learning_rate * float(shares(jnp.int32(t))) for t in range(steps)])
    double = _in_float64(recipe, data, params, batch_stats, order, weight, keys.noise, rates)
    used = np.unique(order[weight > 0])
    x = np.asarray(data.train.x)[used]
    state_dict = to_torch(recipe.model, params, batch_stats, shape)
    return Numbers(
        {name: a for name, a in state_dict.items() if not name.endswith("num_batches_tracked")},
        np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim > 2 else x,
        np.asarray(data.train.y)[used],
        np.where(weight > 0, np.searchsorted(used, order), -1).astype(np.int32),
        _masks(recipe, params, batch_stats, (recipe.batch_size, *shape), keys.noise, steps),
        rates,
        {"float32": np.concatenate(losses).astype(np.float64), "float64": double},
    )


def _in_float64(
    recipe: Recipe,
    data: Dataset,
    params: PyTree,
    batch_stats: PyTree,
    order: np.ndarray,
    weight: np.ndarray,
    noise: jax.Array,
    rates: np.ndarray,
) -> np.ndarray:
    """The losses of the same step in float64, from the same weights; optax computes schedules in float32 even then."""
    with jax.enable_x64(True), _masks_of_float32():
        wide = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), tree)  # noqa: E731
        optimizer = recipe.make_optimizer()
        state: TrainState = begin(optimizer, wide(params), wide(batch_stats))
        objective = recipe.objective()._replace(dtype=jnp.float64)
        if recipe.image_size is not None:
            objective = objective._replace(prepare=lambda images: images.astype(jnp.float64) / 255)
        step = jax.jit(make_step(recipe.model, optimizer, objective))
        losses = []
        for t, (rows, real) in enumerate(zip(order, weight, strict=True)):
            x, y = (jnp.asarray(np.asarray(part)[rows]) for part in data.train)
            batch = Batch(x, y, jnp.asarray(real))
            hyperparameters = {**state.opt_state.hyperparams, "learning_rate": jnp.asarray(rates[t], jnp.float64)}
            state = state._replace(opt_state=state.opt_state._replace(hyperparams=hyperparameters))
            state, tally = step(state, batch, jax.random.fold_in(noise, t))
            losses.append(float(tally.loss / tally.examples))
    return np.array(losses)


def _masks(
    recipe: Recipe, params: PyTree, batch_stats: PyTree, shape: tuple[int, ...], noise: jax.Array, steps: int
) -> tuple[np.ndarray, ...]:
    """Which units dropout keeps in each update; it depends on shapes and keys alone."""

    @jax.jit
    def drawn(key: jax.Array) -> PyTree:
        variables = {"params": params, "batch_stats": batch_stats}
        mutable = ["batch_stats", _KEPT]
        _, found = recipe.model.apply(variables, jnp.zeros(shape), train=True, rngs={"dropout": key}, mutable=mutable)
        return found.get(_KEPT, {})

    with _masks_of_float32():
        found = [drawn(jax.random.fold_in(noise, t)) for t in range(steps)]
    layers = sorted(found[0], key=lambda name: int(name.rpartition("_")[2]))
    return tuple(np.stack([np.asarray(one[layer]["keep"][0]) for one in found]) for layer in layers)


_KEPT = "kept_units"


@contextmanager
def _masks_of_float32() -> Iterator[None]:
    """Dropout draws as in float32, whatever is computed in, and notes in `_KEPT` what it keeps."""

    def watch(next_method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        layer = context.module
        if not isinstance(layer, Dropout) or context.method_name != "__call__" or not layer.rate:
            return next_method(*args, **kwargs)
        [x] = args
        keep = jax.random.bernoulli(layer.make_rng("dropout"), np.float32(1.0 - layer.rate), x.shape)
        layer.sow(_KEPT, "keep", keep)
        return jnp.where(keep, x / (1.0 - layer.rate), jnp.zeros_like(x))

    with nn.intercept_methods(watch):
        yield
