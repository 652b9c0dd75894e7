"""Untrained networks of the recipes, the deep ones narrow and with few blocks, and a few examples."""

import dataclasses

import jax
import numpy as np
from model_table import MODELS, SHALLOW

from jaxd2l.prediction import Predictor
from jaxd2l.recipes import RECIPES


def predictor_of(recipe, shape, dtype, classes=(), **options):
    """A predictor of random weights: initial ones have plain statistics, and are slow to draw."""
    draw, prepare = np.random.default_rng(1), recipe.prepare()
    seen = lambda: prepare(np.zeros((1, *shape), dtype)).astype(np.float32)  # noqa: E731
    like = jax.eval_shape(lambda: recipe.model.init(jax.random.key(0), seen(), train=False))

    def drawn(path, leaf):
        if jax.tree_util.keystr(path).endswith("['var']"):
            return draw.uniform(0.5, 2, leaf.shape).astype(leaf.dtype)
        return (draw.standard_normal(leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(leaf.dtype)

    variables = jax.tree.map_with_path(drawn, like)
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
