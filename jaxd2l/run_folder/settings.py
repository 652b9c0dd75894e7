"""`config.json`: what a run was asked to do, enough to run it again, and whether two runs were asked the same.

Beside the recipe's settings it holds what the data look like, so that a run on a user's own data can be opened
without them.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l.data import DataError, Dataset
from jaxd2l.data.streaming import rows_in_order
from jaxd2l.recipes import kept_code, kept_recipe, kept_statistics
from jaxd2l.run_folder.files import CONFIG
from jaxd2l.run_folder.identity import constants, identity
from jaxd2l.run_folder.layout import read_config
from jaxd2l.train import Recipe
from jaxd2l.train.check_recipe import as_python
from jaxd2l.train.optimizer import OPTIMIZERS
from jaxd2l.train.recipe import OVERRIDABLE, complete, overridden
from jaxd2l.wording import counted, in_short, in_short_both

_FUNCTIONS = ("optimizer", "loss", "hits")
_ADDED = ("data.", "constants.", "rows", "pictures_together", *_FUNCTIONS)
# Where data, network and first weights lie and how they were read: what they are is compared instead.
WHERE = ("own_data", "code", "init_from")


def configuration(recipe: Recipe, seed: int, data: Dataset | None = None, **others: Any) -> dict[str, Any]:
    """The content of `config.json` for a run of `recipe` with `seed`.

    Args:
        recipe: what is trained.
        seed: of the run.
        data: what on, where it is known already; its name, classes, shapes and types are kept.
        **others: further entries, such as `limit_train`.
    """
    config = {
        "recipe": recipe.name,
        "seed": int(seed),
        **recipe.settings(),
        "limit_train": None,
        "limit_test": None,
        "deterministic": False,
        **others,
        "model": _as_today(repr(recipe.model)),
        **{name: identity(getattr(recipe, name)) for name in _FUNCTIONS},
        "constants": {name: constants(getattr(recipe, name)) for name in (*_FUNCTIONS, "learning_rate")},
    }
    if callable(recipe.learning_rate):
        config["learning_rate"] = identity(recipe.learning_rate)
    if recipe.statistics is not None:
        config["statistics"] = recipe.statistics.plain()
    if data is None:
        return config
    if data.held_out is not None:
        config["validation_fraction"], config["split_seed"] = data.held_out
    if data.pictures_together:
        config["pictures_together"] = True
    return {**config, "data": _described(data)}


def _described(data: Dataset) -> dict[str, Any]:
    x, y = data.train
    validation = {} if data.validation is None else {"validation": len(data.validation.x)}
    return {
        "name": data.name,
        "classes": [as_python(name) for name in data.classes],
        "input": [str(x.dtype), *x.shape[1:]],
        "target": [str(y.dtype), *y.shape[1:]],
        **validation,
        "sha256": digest_of_rows(data),
    }


def digest_of_rows(data: Dataset) -> str:
    """SHA-256 of the arrays of all parts, their shapes and types; those on a disk are read, some rows at a time."""
    digest = hashlib.sha256()
    for array in (*data.train, *data.test, *(data.validation or ())):
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        for rows in rows_in_order(array):
            digest.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def fingerprint(config: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """What must be the same when a run goes on from a checkpoint: its configuration but for the epochs, and its data.

    Args:
        config: from `configuration`.
        files: digest of each file that the data were read from.
    """
    described = {name: value for name, value in config.items() if name not in ("epochs", "data", *WHERE)}
    rows = config.get("data", {}).get("sha256")
    return {**described, "data": dict(files), **({} if rows is None else {"rows": rows})}


def recipe_of(folder: Path, recipe: Recipe | None = None) -> tuple[Recipe, dict[str, Any]]:
    """The recipe that a run folder's configuration describes, and the configuration.

    Args:
        folder: of the run.
        recipe: with the network and the loss of a run whose recipe is not one of this package.

    Raises:
        DataError: the folder is no run folder, its configuration is not what a training writes, or it trained another
            network than the recipe's.
    """
    config = read_config(folder)
    try:
        _refuse_code_inside(folder, config)
        found = switched_off(recipe if recipe is not None else kept_recipe(config), config)
        found = overridden(found, plain_settings(config))
        if (statistics := kept_statistics(config)) is not None:
            found = dataclasses.replace(found, statistics=statistics)
    except FileNotFoundError as error:
        raise DataError(f"{folder} was trained with a network that is gone: {error.filename}; put it back") from error
    except (ValueError, OverflowError, TypeError) as error:
        own = "" if recipe is not None else "; a run of a recipe of your own is opened with it: recipe=..."
        raise DataError(f"{folder / CONFIG}: {error}{own}") from error
    here = {"network": (repr(found.model), config.get("model"))}
    for what, of in (("loss", found.loss), ("hits", found.hits)):
        here[what] = identity(of), config.get(what)
        here[f"{what} with"] = constants(of), config.get("constants", {}).get(what)
    for what, (has, then) in here.items():
        then = has if then is None else then
        if _as_today(then) != _as_today(has):
            raise DataError(
                f"{folder} trained the {what} {in_short(then)}, but recipe {found.name} has {in_short(has)}"
                f"{changed_code(config)}; give the recipe that it was trained with: recipe=..."
            )
    return dataclasses.replace(found, epochs=config.get("epochs", found.epochs)), config


def _refuse_code_inside(folder: Path, config: Mapping[str, Any]) -> None:
    """Nothing in a run folder is executed.

    Raises:
        ValueError: the configuration names a file in the folder.
    """
    code = kept_code(config)
    if code is not None and code.file is not None and code.file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{code.name} lies in the run's folder, from which nothing is executed; move it elsewhere")


def changed_code(config: Mapping[str, Any]) -> str:
    """Words for a message where the file with the run's network is another one than when the run began."""
    code = kept_code(config)
    return f" ({code.name} has changed since)" if code is not None and code.changed else ""


def refuse_other_settings(folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to go on with a run under other settings than it began with.

    What one of the two does not say of the data is not compared: runs of earlier versions do not say it, and it is
    not known before the data are read.

    Raises:
        ValueError: naming each setting that differs, with both values.
    """
    then, now = _flat(found), _flat(asked)
    names = [name for name in {**then, **now} if not name.startswith(_ADDED) or (name in then and name in now)]
    then, now = complete(then), complete(now)
    names = [name for name in names if name not in WHERE]
    differing = [name for name in names if _as_today(then.get(name)) != _as_today(now.get(name))]
    if differing:
        said = ", ".join("{} {} (asked: {})".format(n, *in_short_both(then.get(n), now.get(n))) for n in differing)
        raise ValueError(f"{folder} holds a run with {said}; give the same settings or name another folder")


def refuse_other_run(folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any], recipe: Recipe) -> None:
    """`refuse_other_settings`, except that more epochs make a run longer, where its schedule is not laid out for them.

    Raises:
        ValueError: a setting differs, or the number of epochs under a schedule that spans the run.
    """
    refuse_other_settings(folder, {**found, "epochs": None}, {**asked, "epochs": None})
    then = found.get("epochs")
    if then != recipe.epochs and recipe.course.spans_the_run:
        raise ValueError(
            f"{folder} holds a run of {counted(then, 'epoch')} whose {recipe.schedule} schedule goes over all of them; "
            f"it cannot become one of {recipe.epochs}; train that anew in another folder, or under a schedule that can "
            "go on: constant, or step with a number of step_epochs"
        )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those of the data by `data.name` and so on, and constants likewise."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        parted = name in ("data", "constants") and isinstance(value, Mapping)
        flat |= {f"{name}.{part}": one for part, one in value.items()} if parted else {name: value}
    return flat


def plain_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what it only describes, a schedule or optimizer of one's own: the recipe has it."""
    described = {"learning_rate": isinstance(config.get("learning_rate"), str)}
    described["optimizer"] = config.get("optimizer") not in OPTIMIZERS
    return {name: value for name, value in config.items() if not described.get(name, False)}


def switched_off(recipe: Recipe, config: Mapping[str, Any]) -> Recipe:
    """The recipe without the settings that a run's configuration says it had none of."""
    names = [name for name in OVERRIDABLE if name != "image_size" and getattr(Recipe, name, "") is None]
    none: dict[str, Any] = {name: None for name in names if name in config and config[name] is None}
    return dataclasses.replace(recipe, **none)


# Until a network's start became that of its layers, every network said it in two fields of its own.
_OLD_FIELDS = re.compile(r"\n *(kernel_init = xavier_uniform|bias_init = torch_bias)(?=\n)")
_ADDRESS = re.compile(r"(?<=[\w>]) at 0x[0-9a-fA-F]+(?=>)")  # of a function within a field, another in each process


def _as_today(value: Any) -> Any:
    """A value as this version writes it."""
    return _ADDRESS.sub("", _OLD_FIELDS.sub("", value)) if isinstance(value, str) else value
