"""Recipes: those of the book, and how one is made of a network and data of one's own.

- `RECIPES`, `find`: every experiment of the book; `find` also takes `file.py:Name` and `package.module:Name`
- `load_data`: the data that a recipe names
- `fitted_to`, `check_fit`: a recipe for other data than its own
- `Code`, `code_of`, `kept_code`, `is_code`: where a network of one's own comes from
- `kept_recipe`, `kept_statistics`, `open_kept`: recipe and data of a run, by its configuration
"""

from jaxd2l.recipes.catalogue_recipes import RECIPES
from jaxd2l.recipes.fitting import check_fit, fitted_to
from jaxd2l.recipes.kept import kept_recipe, kept_statistics, open_kept
from jaxd2l.recipes.named import find, load_data
from jaxd2l.recipes.own_code import Code, code_of, is_code, kept_code

__all__ = [
    "RECIPES",
    "Code",
    "check_fit",
    "code_of",
    "find",
    "fitted_to",
    "is_code",
    "kept_code",
    "kept_recipe",
    "kept_statistics",
    "load_data",
    "open_kept",
]
