"""Untrained networks: first variables drawn by NumPy, where drawing them in JAX is compiled longer than a network is.

Those of the recipes come with a few examples, the deep ones narrow and with few blocks.
"""

import dataclasses
import math

import jax
import numpy as np
from model_table import MODELS, SHALLOW

from jaxd2l.prediction import Predictor
from jaxd2l.recipes import RECIPES


def zeros(network, shape, dtype=np.float32, **train):
    """Variables of the network or layer, all 0, of the right shapes."""
    x = jax.ShapeDtypeStruct((1, *shape), dtype)
    stored = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, **train), x)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), stored)


def drawn(network, shape, dtype=np.float32, he=False, **train):
    """Variables of the network on the scale of its start: scales and variances 1, kernels by Xavier's rule or He's."""
    rng = np.random.default_rng(0)

    def leaf(path, zero):
        if path[-1].key in ("scale", "var"):
            return np.ones_like(zero)
        if zero.ndim < 2:
            return zero
        fan_in, fan_out = math.prod(zero.shape[:-1]), math.prod(zero.shape[:-2]) * zero.shape[-1]
        limit = (6 / fan_in if he else 6 / (fan_in + fan_out)) ** 0.5
        return rng.uniform(-limit, limit, zero.shape).astype(zero.dtype)

    return jax.tree.map_with_path(leaf, zeros(network, shape, dtype, **train))


def predictor_of(recipe, shape, dtype, classes=(), **options):
    """A predictor of random weights: initial ones have plain statistics, and are slow to draw."""
    draw, prepare = np.random.default_rng(1), recipe.prepare()
    seen = lambda: prepare(np.zeros((1, *shape), dtype)).astype(np.float32)  # noqa: E731
    like = jax.eval_shape(lambda: recipe.model.init(jax.random.key(0), seen(), train=False))

    def random(path, leaf):
        if jax.tree_util.keystr(path).endswith("['var']"):
            return draw.uniform(0.5, 2, leaf.shape).astype(leaf.dtype)
        return (draw.standard_normal(leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(leaf.dtype)

    variables = jax.tree.map_with_path(random, like)
    return Predictor(recipe, variables["params"], variables.get("batch_stats", {}), classes, shape, dtype, **options)


def small(name):
    """A predictor of this recipe and three examples for it."""
    recipe, entry = RECIPES[name], MODELS[name]
    if recipe.image_size is not None and entry.smallest not in (0, 12, 16):  # deeper than LeNet
        model, pixels = SHALLOW[name.rstrip("0123456789")]
        recipe = dataclasses.replace(recipe, model=model, image_size=pixels)
    shape = (28, 28, 1) if recipe.image_size is not None else entry.input_shape
    dtype = np.float32 if name == "linear" else np.uint8
    classes = () if recipe.hits is None else tuple(map(str, range(4 if name == "conv3d" else 10)))
    x = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(dtype)
    return predictor_of(recipe, shape, dtype, classes), x
