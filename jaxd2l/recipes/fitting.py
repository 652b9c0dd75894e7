"""A recipe for other data than its own: as many outputs as they need, the size they have, their statistics."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import ChannelStatistics, Dataset
from jaxd2l.nn.loss import cross_entropy, squared_error
from jaxd2l.nn.models import SoftmaxRegression
from jaxd2l.recipes.catalogue_recipes import RECIPES
from jaxd2l.train.called import CalledWithTrain
from jaxd2l.train.check_data import require_fitting_outputs
from jaxd2l.train.program import stored
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import weights_of
from jaxd2l.wording import counted

OUTPUTS = ("num_classes", "num_outputs")  # what a network calls the field
_LONGEST = 200  # characters of a network's own error


def fitted_to(recipe: Recipe, data: Dataset, statistics: ChannelStatistics | None = None) -> Recipe:
    """The recipe for a user's own data.

    Its network has one output a class, or one a value; pictures keep the size they are stored in; a target of numbers
    is learned by the squared error. Figures that were published for other data are left out. What a recipe of one's
    own says of image size and statistics stays.

    Args:
        recipe: whose network and settings are used.
        data: arrays, or their shapes and types.
        statistics: of the training part, where pictures are to be standardised.

    Raises:
        ValueError: the recipe is for another kind of data.
    """
    x, y = data.train
    images, ours = is_images(x), RECIPES.get(recipe.name) == recipe
    if images and ours and recipe.image_size is None:
        raise ValueError(f"recipe {recipe.name} takes no pictures; name one that does, such as lenet or mlp")
    if ours and data.classes and recipe.hits is None:
        raise ValueError(f"recipe {recipe.name} predicts numbers, but {data.name} has classes; use softmax or mlp")
    changes: dict[str, Any] = {}
    if not data.classes and recipe.loss is cross_entropy:
        if isinstance(recipe.model, SoftmaxRegression):
            raise ValueError(f"recipe {recipe.name} predicts classes, but {data.name} has numbers; use linear or mlp")
        changes = {"loss": squared_error, "hits": None}
    size = recipe.image_size if recipe.image_size is not None and not ours else _size(x.shape[1:3])
    return dataclasses.replace(
        recipe,
        dataset=data.name,
        model=with_outputs(recipe.model, len(data.classes) or int(y.shape[-1])),
        image_size=size if images else None,
        statistics=(recipe.statistics or statistics) if images else None,
        parameters=None,
        macs=None,
        published=(),
        **changes,
    )


def is_images(x: Any) -> bool:
    """Whether inputs (n, ...) are stored pictures."""
    return x.dtype == np.uint8 and len(x.shape) == 4


def _size(sides: tuple[int, ...]) -> int | tuple[int, int] | None:
    if len(sides) != 2:
        return None
    height, width = map(int, sides)
    return height if height == width else (height, width)


def with_outputs(model: nn.Module, count: int) -> nn.Module:
    """The network with `count` outputs where it has a field for their number, else as it is."""
    if isinstance(model, CalledWithTrain):
        return model.clone(network=with_outputs(model.network, count))
    names = {field.name for field in dataclasses.fields(model) if field.init}
    name = next((name for name in OUTPUTS if name in names), None)
    if name is None or getattr(model, name) == count:
        return model
    return model.clone(**{name: count})


def check_fit(recipe: Recipe, data: Dataset) -> None:
    """Refuse, by shapes alone, a network that cannot take the inputs or does not fit the classes.

    Args:
        recipe: from `fitted_to`.
        data: arrays, or their shapes and types.

    Raises:
        ValueError: in one line.
    """
    like, classes = stored(recipe, data.train), len(data.classes)
    resized = "; --image-size resizes the pictures" if is_images(data.train.x) else ""
    where = f"recipe {recipe.name} on {data.name}, inputs (n, {', '.join(map(str, data.train.x.shape[1:]))})"
    try:
        output = require_fitting_outputs(recipe.model, recipe.loss, *like, data.name, recipe.hits, recipe.image_size)
        if not type(recipe.model).__module__.startswith("jaxd2l.nn."):
            _require_both_modes(recipe, like[0])
    except ValueError as error:
        raise ValueError(f"{where}: {_first_line(error)}{resized}") from error
    except Exception as error:  # a network of one's own fails in every way
        raise ValueError(f"{where}: the network fails with {type(error).__name__}: {_first_line(error)}") from error
    if classes and recipe.loss is cross_entropy and output.shape[1] != classes:
        raise ValueError(
            f"{where}: the network puts out {counted(output.shape[1], 'value')}, but the data have "
            f"{counted(classes, 'class')}; give it that many, or a field num_classes that says how many"
        )


def _require_both_modes(recipe: Recipe, stored: Any) -> None:
    """Trace the network as a step and a judgement call it: with the key of dropout, and running statistics alone.

    Raises:
        Exception: whatever the network raises; ValueError where `weights_of` refuses its parameters.
    """

    def called(stored: jax.Array) -> None:
        key, x = jax.random.key(0), recipe.prepare()(stored).astype(jnp.float32)
        variables = recipe.model.init(key, x, train=False)
        params, batch_stats = weights_of(variables)
        kept = {"params": params, "batch_stats": batch_stats}
        recipe.model.apply(kept, x, train=False)
        recipe.model.apply(kept, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])

    jax.eval_shape(called, jax.ShapeDtypeStruct((2, *stored.shape[1:]), stored.dtype))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return lines[0] if len(lines[0]) <= _LONGEST else f"{lines[0][:_LONGEST]}..."
