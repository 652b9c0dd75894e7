"""Which recipe an estimator trains: that of a name, a network or none, with the estimator's settings, for its data."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jaxd2l.data import Dataset
from jaxd2l.nn.init import xavier_uniform
from jaxd2l.nn.models import MLP
from jaxd2l.recipes import check_fit, find, fitted_to
from jaxd2l.train.recipe import Recipe, overridden

# For a standardised table of some hundred rows or more; the book's own settings are for 60,000 pictures.
TABLE = Recipe(
    "table",
    MLP(hidden=(100,), kernel_init=xavier_uniform),
    "",
    optimizer="adam",
    learning_rate=0.01,
    batch_size=32,
    epochs=40,
)


def recipe_for(network: Any, settings: Mapping[str, Any], data: Dataset) -> Recipe:
    """The recipe that is trained.

    Args:
        network: a recipe or its name, a network that is trained as `TABLE` is, or None for `TABLE`.
        settings: fields of `Recipe`; None leaves the recipe's own.
        data: arrays, or their shapes and types.

    Raises:
        ValueError: no recipe, a setting out of range, or a network that does not fit the data.
    """
    if isinstance(network, nn.Module):
        recipe = dataclasses.replace(TABLE, name=type(network).__name__, model=network)
    elif isinstance(network, str):
        recipe = find(network)
    elif network is None or isinstance(network, Recipe):
        recipe = network or TABLE
    else:
        raise ValueError(
            f"network must be the name of a recipe, a Recipe, a Flax network or None, got {type(network).__name__}"
        )
    recipe = overridden(fitted_to(recipe, data), settings)
    if not data.classes:
        recipe = dataclasses.replace(recipe, hits=None)
    check_fit(recipe, data)
    return recipe
