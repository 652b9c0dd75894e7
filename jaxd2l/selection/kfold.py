"""K-fold cross-validation of a whole grid as one compiled program (D2L sec_kaggle_house).

One training is a pure function of a fold, a point of the grid and a seed; `vmap` over the three trains them all.
Points of one fold and seed see the same batches and dropout draws: the comparison between them is paired, and
their first layers multiply the same inputs, which is where most of the time is saved.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh

from jaxd2l.data import Examples, as_stored, check_examples, num_steps
from jaxd2l.nn.loss import cross_entropy, squared_error
from jaxd2l.nn.numbers import numbers
from jaxd2l.selection.folds import FoldRows, Folds, by_row, fold_rows, shuffled
from jaxd2l.selection.grid import Point, Schedule, constant
from jaxd2l.selection.points import as_points
from jaxd2l.selection.spread import spread_call
from jaxd2l.train.check_data import require_fitting_outputs
from jaxd2l.train.compiler import compiled
from jaxd2l.train.epoch import empty_tally, make_epoch
from jaxd2l.train.optimizer import Course, Factory, HyperparametersInState, adam, bound, scheduled, with_hyperparameters
from jaxd2l.train.optimizer.rules import rule_called
from jaxd2l.train.state import Keys, TrainState, init_state, keys_of
from jaxd2l.train.step import Batch, Objective, PerExample, Step, Tally, make_judge, make_step
from jaxd2l.wording import counted

PyTree = Any
Network = Callable[[float | jax.Array], nn.Module]


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """All trainings: g points x s seeds x k folds.

    Attributes:
        network: from dropout rate to network, as given.
        points: (g) the grid.
        seeds: (s) of parameters, order and dropout.
        fold: (n,) which fold validates each row.
        train_loss: (g, s, k, epochs) mean over the epoch, in training mode, before each update.
        validation_loss: (g, s, k, epochs) after the epoch, in prediction mode.
        out_of_fold: (g, s, n, outputs) each row's prediction by the model that did not train on it.
        params: leaves (g, s, k, ...).
        compile_seconds: tracing and compiling.
        seconds: running.
    """

    network: Network
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    fold: np.ndarray
    train_loss: np.ndarray
    validation_loss: np.ndarray
    out_of_fold: np.ndarray
    params: PyTree
    compile_seconds: float
    seconds: float

    def scores(self, score: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
        """Judge each training on its validation rows: (g, s, k).

        Args:
            score: of (predictions (m, outputs), row numbers (m,)), lower is better.
        """
        rows = [np.flatnonzero(self.fold == j) for j in range(self.fold.max() + 1)]
        return np.array([[[score(seed[r], r) for r in rows] for seed in point] for point in self.out_of_fold])

    def predict(self, choice: int, x: np.ndarray) -> np.ndarray:
        """Predict rows with every model of one point: the members of its ensemble.

        Args:
            choice: number of the point.
            x: (k, rows, ...), as each fold prepares the rows.

        Returns:
            (s, k, rows, outputs): s * k different models; average over the first two axes.
        """
        model = self.network(float(self.points[choice].dropout))
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf[choice]), self.params)
        one = lambda params, x: model.apply({"params": params}, _floats(x), train=False)  # noqa: E731 - a name for vmap
        return np.asarray(jax.jit(jax.vmap(jax.vmap(one), (0, None)))(params, numbers(x, "inputs")))


def _floats(x: jax.Array) -> jax.Array:
    """Stored inputs as the network reads them: parameters take the type of their inputs, and theirs is float32."""
    return as_stored(x).astype(jnp.float32)


def kfold(
    network: Network,
    folds: Folds,
    points: Sequence[Point],
    *,
    epochs: int,
    batch_size: int,
    seeds: Sequence[int] = (0,),
    optimizer: str | Factory = adam,
    loss: PerExample = squared_error,
    schedule: str | Schedule = constant,
    warmup: float = 0.0,
    mesh: Mesh | None = None,
) -> CrossValidation:
    """Train every point with every seed on every fold.

    Args:
        network: from dropout rate to network; the rate is traced, so it may set values, not shapes.
        folds: the data.
        points: from `grid`.
        epochs: passes over the training rows.
        batch_size: examples an update; the last batch of an epoch is smaller where it does not fill.
        seeds: one training each.
        optimizer: of `OPTIMIZERS` by name, or `f(learning_rate, weight_decay)` of optax that can be traced at both.
        loss: per example.
        schedule: of `SCHEDULES` by name, or the share of the learning rate in each epoch from (epoch from 1, epochs).
        warmup: epochs in which the rate rises before a schedule by name.
        mesh: devices that the trainings are spread over, of `train.mesh.data_mesh`; the default one when None.

    Returns:
        Every curve, prediction and parameter.

    Raises:
        ValueError: no point or seed, settings that do not fit the data, outputs that do not fit the targets, an
            optimizer that cannot be traced, or a network with batch statistics, which padding would enter.
        DataError: the data cannot be trained on; see `fold_rows`.
    """
    points, seeds = as_points(points), tuple(seeds)
    if not points or not seeds or epochs < 1:
        raise ValueError(f"expected points, seeds and epochs, got {len(points)}, {len(seeds)} and {epochs}")
    data = fold_rows(folds)
    if not 1 <= batch_size <= data.train.indices.shape[1]:
        raise ValueError(
            f"batch size must be between 1 and {counted(data.train.indices.shape[1], 'row')}, got {batch_size}"
        )
    transform = bound(rule_called(optimizer) if isinstance(optimizer, str) else optimizer, 1.0, 0.0)
    if not isinstance(transform, HyperparametersInState):
        raise ValueError(
            "kfold trains every point in one program, so optimizer must be f(learning_rate, weight_decay) that can be "
            "traced at both; compute with them in jax.numpy, or use sgd or adam"
        )
    if isinstance(schedule, str):
        steps = num_steps(data.train.indices.shape[1], batch_size)
        transform = scheduled(transform, Course(schedule, epochs, warmup).shares(steps))
        schedule = constant
    elif warmup:
        raise ValueError(f"warmup {warmup:g} comes before a schedule by name; give schedule='constant', say")
    output = require_fitting_outputs(network(float(points[0].dropout)), loss, data.x[0], data.y[0], "kfold")
    if loss is cross_entropy:
        for fold, labels in enumerate(np.asarray(data.y)):
            check_examples(Examples(labels, labels), output.shape[1], f"kfold, as fold {fold} has them")
    began = time.perf_counter()
    train = make_training(network, transform, loss, schedule, epochs, batch_size)
    function, arguments = spread_call(over_members(train), (data, *stacked(points, seeds)), (0, 2, 1), mesh)
    program = compiled(function, arguments)
    compile_seconds = time.perf_counter() - began

    began = time.perf_counter()
    params, train_loss, validation_loss, prediction = jax.block_until_ready(program(*arguments))
    seconds = time.perf_counter() - began
    by_point = lambda a: np.moveaxis(np.asarray(a), (0, 1, 2), (2, 1, 0))  # noqa: E731 - (k, s, g) to (g, s, k)
    return CrossValidation(
        network=network,
        points=tuple(points),
        seeds=tuple(seeds),
        fold=folds.fold,
        train_loss=by_point(train_loss),
        validation_loss=by_point(validation_loss),
        out_of_fold=by_row(by_point(prediction), folds.fold),
        params=jax.tree.map(by_point, params),
        compile_seconds=compile_seconds,
        seconds=seconds,
    )


Training = Callable[[FoldRows, Point, Keys], tuple[PyTree, jax.Array, jax.Array, jax.Array]]


def over_members(train: Training) -> Training:
    """Vmap one training over k folds, s seeds and g points; results carry (k, s, g) in front."""
    over_points = jax.vmap(train, (None, 0, None))
    return jax.vmap(jax.vmap(over_points, (None, None, 0)), (0, None, None))


def stacked(points: Sequence[Point], seeds: Sequence[int]) -> tuple[Point, Keys]:
    """Points as arrays (g,), and the keys of the seeds (s,)."""
    arrays = Point(*(jnp.asarray(values, jnp.float32) for values in zip(*points, strict=True)))
    return arrays, keys_of(seeds)


def make_training(
    network: Network,
    optimizer: optax.GradientTransformation,
    loss: PerExample,
    schedule: Schedule,
    epochs: int,
    batch_size: int,
) -> Training:
    """Bind everything but the arrays.

    Returns:
        `train(fold, point, keys) -> (params, train_loss (epochs,), validation_loss (epochs,), predictions of the
        padded validation rows (m, outputs))`.
    """
    objective = Objective(loss, prepare=_floats)

    def train(fold: FoldRows, point: Point, keys: Keys) -> tuple[PyTree, jax.Array, jax.Array, jax.Array]:
        model = network(point.dropout)
        epoch = make_epoch(_only_with_examples(make_step(model, optimizer, objective)))
        judge = make_judge(model, objective)
        rows = fold.validation.indices
        held_out = Batch(fold.x[rows], fold.y[rows], fold.validation.weight)
        state = init_state(model, optimizer, keys.init, objective.prepare(fold.x[:1]), weight_decay=point.weight_decay)
        if jax.tree.leaves(state.batch_stats):
            raise ValueError("kfold pads batches, which would enter batch statistics; use a network without them")

        def one_epoch(state: TrainState, number: jax.Array) -> tuple[TrainState, tuple[jax.Array, jax.Array]]:
            rows = shuffled(jax.random.fold_in(keys.shuffle, number), fold.train, batch_size)
            rate = point.learning_rate * schedule(number, epochs)
            state = state._replace(opt_state=with_hyperparameters(state.opt_state, learning_rate=rate))
            steps = rows.indices.shape[0]
            state, record = epoch(state, empty_tally(steps), fold.x, fold.y, rows, keys.noise, 0, steps)
            judged = judge(state.params, state.batch_stats, held_out)
            return state, (jnp.sum(record.loss) / jnp.sum(record.examples), judged.loss / judged.examples)

        state, curves = lax.scan(one_epoch, state, jnp.arange(1, epochs + 1))
        predicted = model.apply({"params": state.params}, objective.prepare(held_out.x), train=False)
        return state.params, *curves, predicted

    return train


def _only_with_examples(step: Step) -> Step:
    """Leave the state as it is on a batch of padding alone, which a fold one row shorter can have as its last."""

    def guarded(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Tally]:
        after, tally = step(state, batch, key)
        kept = jax.tree.map(lambda new, old: jnp.where(jnp.sum(batch.weight) > 0, new, old), after, state)
        return kept, tally

    return guarded
