"""Trainings for the claims on networks, made anew, and what the networks consist of."""

import dataclasses
from collections.abc import Sequence
from functools import cache, partial

import jax
import jax.numpy as jnp

from jaxd2l.claims.claim import Seeds, seeds
from jaxd2l.data import Dataset
from jaxd2l.nn.parameters import flat
from jaxd2l.recipes import RECIPES, find, load_data
from jaxd2l.train import EpochResult, compile_program, fit

SEEDS = 5


def _figures(results: Sequence[EpochResult]) -> list[list[float]]:
    return [[r.train_loss, r.train_accuracy or 0.0, r.test_accuracy or 0.0] for r in results]


@cache
def over_seeds(name: str, learning_rate: float | None = None, number: int = SEEDS) -> Seeds:
    """Train a recipe over seeds, compiled once: (seeds, epochs, 3)."""
    recipe = find(name)
    recipe = recipe if learning_rate is None else dataclasses.replace(recipe, learning_rate=learning_rate)
    data = load_data(recipe)
    program = compile_program(recipe, data)
    return seeds([_figures(fit(recipe, data, seed, program=program).epochs) for seed in range(number)])


def swap(data: Dataset) -> Dataset:
    """Training and test part the wrong way round, as the notes once had them."""
    return data._replace(train=data.test, test=data.train)


def swapped(name: str) -> Seeds:
    """One training on the 10,000 test images, judged by the 60,000 training images: (1, epochs, 3)."""
    recipe = find(name)
    return seeds([_figures(fit(recipe, swap(load_data(recipe))).epochs)])


@cache
def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of a recipe's network by its path; nothing is computed."""
    recipe = RECIPES[name]
    size = recipe.image_size or 28
    made = jax.eval_shape(
        partial(recipe.model.init, train=False),
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32),
    )
    return {path: leaf.shape for path, leaf in flat(made["params"]).items()}


def kernels(name: str) -> list[tuple[int, ...]]:
    """The shape of every kernel of a recipe's network, in order; nothing is computed."""
    return [shape for path, shape in shapes(name).items() if path.endswith("kernel")]


def layers(name: str) -> list[int]:
    """Convolutions and dense layers."""
    return [sum(len(shape) == rank for shape in kernels(name)) for rank in (4, 2)]
