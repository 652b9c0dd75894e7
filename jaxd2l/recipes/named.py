"""A recipe by its name, and the data by a recipe."""

from jaxd2l.catalogue import require
from jaxd2l.data import DATASETS, Dataset, load
from jaxd2l.recipes.catalogue_recipes import RECIPES
from jaxd2l.recipes.own_code import code_of, is_code, load_recipe
from jaxd2l.train.recipe import Recipe


def find(name: str) -> Recipe:
    """The recipe called `name`.

    Args:
        name: of an experiment of the book, or of a network or recipe in a file of one's own, which is executed:
            `mynet.py:Net`, `package.module:NAME`. It is to be fitted to its data, see `fitted_to`.

    Raises:
        ValueError: there is none; the message has the nearest names, or what is wrong with the file.
        FileNotFoundError: there is no such file.
    """
    if is_code(name):
        return load_recipe(code_of(name))
    require(name)
    return RECIPES[name]


def load_data(recipe: Recipe) -> Dataset:
    """The data that `recipe` names.

    Raises:
        ValueError: unknown data set, or one of another kind than the recipe's network takes.
        DataError: its files are not what they claim.
        OSError: its files cannot be read or downloaded.
    """
    if recipe.dataset in DATASETS:
        own = RECIPES[recipe.name].dataset if recipe.name in RECIPES else recipe.dataset
        images = [name for name, source in DATASETS.items() if source.images]
        fitting = images if recipe.image_size is not None else [own]
        if recipe.dataset not in fitting:
            raise ValueError(
                f"recipe {recipe.name} cannot use data set {recipe.dataset!r}; it takes {', '.join(fitting)}"
            )
    return load(recipe.dataset)
