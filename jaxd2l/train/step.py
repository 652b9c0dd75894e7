"""One update and one judgement: pure functions made by binding model, optimizer, loss and preparation.

What is bound captures no array, so one compilation serves every seed, fold and learning rate.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxd2l.data import Augment, Mixing, Prepare, as_stored, random_mixing
from jaxd2l.nn.kernels.shards import whole
from jaxd2l.nn.parameters import divided, joined
from jaxd2l.train.mesh.placement import pieces
from jaxd2l.train.remat import rematerialised
from jaxd2l.train.state import Average, TrainState

PyTree = Any
PerExample = Callable[[jax.Array, jax.Array], jax.Array]


class Batch(NamedTuple):
    """Stored inputs (b, ...), targets (b, ...), and weight 1 for a real example, 0 for padding (b,)."""

    x: jax.Array
    y: jax.Array
    weight: jax.Array


class Tally(NamedTuple):
    """What one batch adds up to; sums, so that batches of unequal size average correctly.

    Attributes:
        loss: sum of the losses of the real examples.
        hits: how many were classified correctly; 0 for regression.
        examples: how many there were.
        gradient_norm: global L2 norm of the mean loss's gradient; 0 in evaluation.
    """

    loss: jax.Array
    hits: jax.Array
    examples: jax.Array
    gradient_norm: jax.Array


class Objective(NamedTuple):
    """What a network is trained and judged by.

    Attributes:
        loss: (output, target) -> loss of each example (b,).
        hits: (output, target) -> whether each is right (b,); None for regression.
        prepare: stored inputs -> the network's floating-point inputs.
        dtype: what the network computes in; parameters, statistics and losses stay float32.
        augment: (key, stored inputs) -> stored inputs changed at random, in training alone; None changes nothing.
        mixup: alpha of the share in which training mixes each example with another one of its batch; 0 mixes nothing.
        training_loss: what training minimises instead of `loss`, by which all is judged; None for `loss` itself.
        class_weights: (k,) that `training_loss` multiplies by: the mean over a batch divides by the sum of those of its
            labels, as `torch.nn.CrossEntropyLoss(weight=...)` does; None where it weighs nothing.
    """

    loss: PerExample
    hits: PerExample | None = None
    prepare: Prepare = as_stored
    dtype: Any = jnp.float32
    augment: Augment | None = None
    mixup: float = 0.0
    training_loss: PerExample | None = None
    class_weights: Sequence[float] | None = None


Step = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Tally]]


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    return jax.tree.map(lambda leaf: whole(leaf).astype(dtype), tree)  # where each device holds a part of it


def _tally(objective: Objective, output: jax.Array, batch: Batch, loss: jax.Array | None = None) -> Tally:
    loss = objective.loss(output, batch.y) if loss is None else loss
    hits = jnp.zeros_like(loss) if objective.hits is None else objective.hits(output, batch.y).astype(loss.dtype)
    weight = batch.weight.astype(loss.dtype)
    return Tally(jnp.sum(weight * loss), jnp.sum(weight * hits), jnp.sum(weight), jnp.zeros((), loss.dtype))


def _training_tally(
    objective: Objective, output: jax.Array, batch: Batch, mixing: Mixing | None, scale: jax.Array | None
) -> Tally:
    """The tally in which training sums what it minimises; hits are of each example's own label, also where mixed."""
    per_example = objective.training_loss or objective.loss
    loss = per_example(output, batch.y)
    if mixing is not None:
        loss = mixing.of(loss, per_example(output, batch.y[mixing.partner]))
    return _tally(objective, output, batch, loss if scale is None else scale * loss)


def _scale_of(objective: Objective, batch: Batch) -> jax.Array | None:
    """What makes the mean over examples one over their class weights: examples / sum of weights; 0 where that is 0."""
    if objective.class_weights is None:
        return None
    examples = jnp.sum(batch.weight)
    total = jnp.sum(batch.weight * jnp.asarray(objective.class_weights, batch.weight.dtype)[batch.y])
    return jnp.where(total > 0, examples / jnp.where(total > 0, total, 1), 0)


def make_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    *,
    remat: bool = False,
    accumulate: int = 1,
    ema: float | None = None,
    freeze: Sequence[str] | None = None,
) -> Step:
    """Bind everything but the arrays.

    Args:
        model: the network.
        optimizer: any transformation of optax. One whose update asks for more is given `value`, the mean loss, `grad`
            and, where the batch is not cut into pieces, `value_fn`, the mean loss of this batch as a function of
            parameters.
        objective: what it is trained by.
        remat: compute most activations a second time instead of keeping them; see `jaxd2l.train.remat`.
        accumulate: pieces that a batch is cut into, one after another through the network, their gradients summed
            before the one update. The gradient is that of the whole batch, except that batch normalisation sees
            one piece at a time and moves its running statistics once a piece, and dropout draws once a piece, as mixup
            does, which mixes within it.
        ema: share that the state's average of the weights keeps of itself; None leaves it alone.
        freeze: patterns of paths of parameters that are constants here: neither gradient nor optimizer knows them, and
            the norm of the gradient is of the others. Running statistics move all the same.

    Returns:
        `step(state, batch, key) -> (state, tally)`: one update by the gradient of the mean loss over
        the real examples. `key` feeds augmentation, mixup and dropout and is spent. The tally is of the parameters
        before the update, in training mode, as the book prints it: the loss that was minimised, smoothed, weighted or
        mixed where it is, and under mixup as right what finds the label that weighs at least half.

    Raises:
        ValueError: by `step` while it is traced: the optimizer's update asks for what there is not.
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def forward(params: PyTree, batch_stats: PyTree, x: jax.Array, key: jax.Array) -> tuple[jax.Array, PyTree]:
        variables = {"params": _cast(params, objective.dtype), "batch_stats": batch_stats}
        output, updated = model.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return output, updated.get("batch_stats", {})

    forward = rematerialised(forward) if remat else forward

    def prepared(batch: Batch, key: jax.Array) -> tuple[jax.Array, Mixing | None, jax.Array]:
        """The network's inputs, how they were mixed, and the key for what it draws."""
        stored = batch.x
        if objective.augment is not None:
            augment_key, key = jax.random.split(key)
            stored = objective.augment(augment_key, stored)
        x, mixing = objective.prepare(stored), None
        if objective.mixup:
            mixup_key, key = jax.random.split(key)
            mixing = random_mixing(mixup_key, batch.weight, objective.mixup)
            x = mixing.of(x, x[mixing.partner])
        return x.astype(objective.dtype), mixing, key

    def gradient_of(
        params: PyTree,
        batch_stats: PyTree,
        batch: Batch,
        key: jax.Array,
        scale: jax.Array | None,
        examples: jax.Array | None = None,
    ) -> tuple[PyTree, tuple[Tally, PyTree]]:
        """The gradient of the summed loss times `scale` over `examples`, those of the batch itself by default."""
        x, mixing, key = prepared(batch, key)
        trainable, frozen = divided(params, freeze)

        def mean_loss(trainable: PyTree) -> tuple[jax.Array, tuple[Tally, PyTree]]:
            output, updated = forward(joined(trainable, frozen), batch_stats, x, key)
            tally = _training_tally(objective, output, batch, mixing, scale)
            return tally.loss / (tally.examples if examples is None else examples), (tally, updated)

        return jax.grad(mean_loss, has_aux=True)(trainable)

    def loss_of(params: PyTree, batch_stats: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
        x, mixing, key = prepared(batch, key)
        output, _ = forward(params, batch_stats, x, key)
        tally = _training_tally(objective, output, batch, mixing, _scale_of(objective, batch))
        return tally.loss / tally.examples

    def accumulated(
        params: PyTree, batch_stats: PyTree, batch: Batch, key: jax.Array, scale: jax.Array | None
    ) -> tuple[PyTree, tuple[Tally, PyTree]]:
        size = batch.x.shape[0]
        if size % accumulate:
            raise ValueError(f"accumulate must divide the {size} examples of a batch, got {accumulate}")
        cut = pieces(batch, accumulate)
        piece_of = lambda i: jax.tree.map(lambda a: a[i], cut)  # noqa: E731
        total = jnp.sum(batch.weight)

        def body(i: jax.Array, carry: tuple[PyTree, tuple[Tally, PyTree]]) -> tuple[PyTree, tuple[Tally, PyTree]]:
            summed, (tally, stats) = carry
            gradient, (one, stats) = gradient_of(params, stats, piece_of(i), jax.random.fold_in(key, i), scale, total)
            return jax.tree.map(jnp.add, summed, gradient), (jax.tree.map(jnp.add, tally, one), stats)

        like = jax.eval_shape(gradient_of, params, batch_stats, piece_of(0), key, scale, total)
        gradient, (tally, _) = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), like)
        return jax.lax.fori_loop(0, accumulate, body, (gradient, (tally, batch_stats)))

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Tally]:
        gradient_and_tally = gradient_of if accumulate == 1 else accumulated
        scale = _scale_of(objective, batch)
        gradient, (tally, batch_stats) = gradient_and_tally(state.params, state.batch_stats, batch, key, scale)
        trainable, frozen = divided(state.params, freeze)
        extra = {"value": tally.loss / tally.examples, "grad": gradient}
        if accumulate == 1:
            extra["value_fn"] = lambda params: loss_of(joined(params, frozen), state.batch_stats, batch, key)
        try:
            updates, opt_state = optimizer.update(gradient, state.opt_state, trainable, **extra)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"the optimizer's update works on gradient, state, parameters, {' and '.join(extra)} alone, and this "
                f"one fails: {error}; use another optimizer"
            ) from error
        trainable = optax.apply_updates(trainable, updates)
        tally = tally._replace(gradient_norm=optax.tree.norm(gradient).astype(tally.loss.dtype))
        average = state.ema
        if ema is not None:
            old, statistics = state.ema  # type: ignore[misc]  # there, as it is asked to move
            before, after = Average(divided(old, freeze)[0], statistics), Average(trainable, batch_stats)
            moved, statistics = optax.incremental_update(after, before, 1 - ema)
            average = Average(joined(moved, frozen), statistics)
        return TrainState(state.step + 1, joined(trainable, frozen), batch_stats, opt_state, average), tally

    return step


def make_judge(model: nn.Module, objective: Objective) -> Callable[[PyTree, PyTree, Batch], Tally]:
    """Bind everything but the arrays.

    Returns:
        `judge(params, batch_stats, batch) -> tally` in prediction mode: running statistics, no dropout.
    """

    def judge(params: PyTree, batch_stats: PyTree, batch: Batch) -> Tally:
        x = objective.prepare(batch.x).astype(objective.dtype)
        output = model.apply({"params": _cast(params, objective.dtype), "batch_stats": batch_stats}, x, train=False)
        return _tally(objective, output, batch)

    return judge
