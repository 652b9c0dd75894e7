"""Everything that changes while training, as one pytree of arrays (Flax Linen's explicit collections)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxd2l.earlier import place_of, remembered
from jaxd2l.kept import made_once
from jaxd2l.nn.numbers import unsound
from jaxd2l.nn.parameters import divided, flat
from jaxd2l.train.drawing import GENERATOR, drawn_together
from jaxd2l.train.optimizer import with_hyperparameters

PyTree = Any


class Average(NamedTuple):
    """The exponential moving average of what `model.apply` reads, as timm's `ModelEmaV2` keeps it.

    It begins as the initial weights, and each update moves it: `average <- decay * average + (1 - decay) * new`. After
    t updates decay^t of the initial weights is left, and about the last 1 / (1 - decay) updates count.

    Attributes:
        params: like the network's parameters.
        batch_stats: like its running statistics, which are averaged too; `{}` without batch normalisation.
    """

    params: PyTree
    batch_stats: PyTree


class TrainState(NamedTuple):
    """Arrays only, so it saves, compares, donates, shards and vmaps; it knows no function.

    Attributes:
        step: updates made so far, int32 scalar.
        params: the network's `params` collection.
        batch_stats: running statistics of batch normalisation; `{}` without it.
        opt_state: the optimizer's state, its learning rate and weight decay among it.
        ema: the average of the weights; () where none is kept.
    """

    step: jax.Array
    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree
    ema: Average | tuple[()] = ()

    @property
    def deciding(self) -> tuple[PyTree, PyTree]:
        """`(params, batch_stats)` by which the run is compared: the averaged ones where there are any."""
        return self.ema or (self.params, self.batch_stats)

    @property
    def judged(self) -> dict[str, tuple[PyTree, PyTree]]:
        """All that an epoch is judged by, the average where there is one too, by the prefix of its columns."""
        return {"": (self.params, self.batch_stats), **({"ema_": self.deciding} if self.ema else {})}


class Keys(NamedTuple):
    """The three independent sources of randomness of a run.

    Attributes:
        init: spent once on the initial parameters.
        shuffle: epoch e takes its order from `fold_in(shuffle, e)`.
        noise: update t draws dropout and augmentation from `fold_in(noise, t)`.
    """

    init: jax.Array
    shuffle: jax.Array
    noise: jax.Array


def run_keys(seed: int) -> Keys:
    """All keys of a run from its seed.

    Raises:
        ValueError: the seed is not an integer in [0, 2**32); `jax.random.key` would wrap it into
            another seed's stream in silence.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 4294967295, got {seed!r}")
    return _run_keys(np.uint32(seed))


def key_like() -> jax.ShapeDtypeStruct:
    """Shape and type of each of them."""
    like: jax.ShapeDtypeStruct = jax.eval_shape(lambda: jax.random.key(0, impl=GENERATOR))
    return like


@jax.jit
def _run_keys(seed: jax.Array) -> Keys:
    keys = jax.random.split(jax.random.key(seed, impl=GENERATOR), 3)
    return Keys(keys[0], keys[1], keys[2])


def keys_of(seeds: Sequence[int]) -> Keys:
    """The keys of several runs, (seeds,) each."""
    return jax.tree.map(lambda *key: jnp.stack(key), *[run_keys(seed) for seed in seeds])


def init_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    x: jax.Array,
    *,
    averaged: bool = False,
    freeze: Sequence[str] | None = None,
    **hyperparameters: float | jax.Array,
) -> TrainState:
    """Draw the parameters for inputs like `x` and start the optimizer.

    Args:
        model: any network of `jaxd2l.nn.models`.
        optimizer: any transformation of optax.
        key: spent on the parameters.
        x: prepared inputs; only shape and dtype count.
        averaged: begin an average of the weights too.
        freeze: patterns of paths of parameters that the optimizer never sees, see `Recipe.freeze`.
        **hyperparameters: replace the optimizer's, such as `learning_rate`; they may be traced,
            so one compiled `init_state` serves every value.

    Returns:
        The state before the first update.

    Raises:
        ValueError: the optimizer cannot start on these parameters, or lacks one of the hyperparameters; a pattern
            matches no parameter, or together they match all.
    """
    variables = drawn_together(partial(model.init, train=False))(key, x)
    return begin(optimizer, *weights_of(variables), averaged=averaged, freeze=freeze, **hyperparameters)


def weights_of(variables: PyTree) -> tuple[PyTree, PyTree]:
    """`(params, batch_stats)` of what `model.init` gives; `{}` for the statistics of a network without any.

    Raises:
        ValueError: it has nothing to train, or a parameter of no element, as behind a pool that leaves no pixel.
    """
    if "params" not in variables:
        raise ValueError("the network has no parameters to train")
    if empty := [(name, a.shape) for name, a in flat(variables["params"]).items() if 0 in a.shape]:
        name, shape = empty[0]
        raise ValueError(f"the inputs are too small for the network: of them nothing is left for {name} {shape}")
    return variables["params"], variables.get("batch_stats", {})


def variables_like(model: nn.Module, x: Any) -> PyTree:
    """Shapes and types of what `model.init` gives, traced once for equal networks and inputs.

    Args:
        model: the network.
        x: prepared inputs (n, ...); only the shape of one and the type count.

    Raises:
        ValueError: or whatever else the network raises at inputs that it refuses.
    """
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)

    def traced() -> PyTree:
        return jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), one)

    key = model, one.shape, one.dtype
    return made_once(("variables", key), lambda: remembered(place_of("variables", key), traced), installed=True)


def begin(
    optimizer: optax.GradientTransformation,
    params: PyTree,
    batch_stats: PyTree,
    *,
    averaged: bool = False,
    freeze: Sequence[str] | None = None,
    **hyperparameters: float | jax.Array,
) -> TrainState:
    """`init_state` with these weights instead of drawn ones."""
    trainable, _ = divided(params, freeze)
    try:
        opt_state = optimizer.init(trainable)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"the optimizer cannot start on a network's parameters, a nested dict of arrays: {error}; use another one"
        ) from error
    opt_state = with_hyperparameters(opt_state, **hyperparameters)
    average = Average(params, batch_stats) if averaged else ()
    return TrainState(jnp.zeros((), jnp.int32), params, batch_stats, opt_state, average)


def unsound_weights(params: PyTree, batch_stats: PyTree) -> str | None:
    """What of weights no network can compute with, see `jaxd2l.nn.numbers.unsound`; None where nothing is."""
    arrays = {name: np.asarray(a) for name, a in flat({"params": params, "batch_stats": batch_stats}).items()}
    return unsound(arrays, [name for name in arrays if name.startswith("batch_stats/") and name.endswith("/var")])
