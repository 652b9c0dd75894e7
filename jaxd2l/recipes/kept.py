"""Recipe and data of a run, by what its configuration says."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.data import ChannelStatistics, DataError, Dataset, Examples
from jaxd2l.data.own import Kept, OwnData, kept_data
from jaxd2l.recipes.fitting import fitted_to
from jaxd2l.recipes.named import find, load_data
from jaxd2l.recipes.own_code import kept_code, load_recipe
from jaxd2l.train.recipe import Recipe


def kept_recipe(config: Mapping[str, Any]) -> Recipe:
    """The recipe of a run without its settings: its network as it was fitted to the run's data.

    Raises:
        ValueError: there is no such recipe, or the file with its network cannot be used.
        FileNotFoundError: that file is gone.
        DataError: the configuration is damaged.
    """
    code = kept_code(config)
    recipe = find(config.get("recipe", "")) if code is None else load_recipe(code)
    if code is None and "own_data" not in config:
        return recipe
    return fitted_to(recipe, described(config), kept_statistics(config))


def described(config: Mapping[str, Any]) -> Dataset:
    """The shapes and types of the data that a configuration describes, holding no data.

    Raises:
        DataError: it does not.
    """
    try:
        data = config["data"]
        arrays = []
        for name in ("input", "target"):
            dtype, *shape = data[name]
            arrays.append(jax.ShapeDtypeStruct((1, *map(int, shape)), jnp.dtype(dtype)))
        part = Examples(*arrays)  # type: ignore[arg-type]
        return Dataset(str(data["name"]), part, part, tuple(map(str, data["classes"])))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"data is not what a training writes ({error!r})") from error


def kept_statistics(config: Mapping[str, Any]) -> ChannelStatistics | None:
    """The statistics of each channel that a run's images are prepared with; None where it says none.

    Raises:
        DataError: the configuration is damaged.
    """
    record = config.get("statistics")
    if record is None:
        return None
    try:
        return ChannelStatistics(*(tuple(map(float, record[name])) for name in ChannelStatistics._fields))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"statistics are not what a training writes ({error!r})") from error


def open_kept(
    recipe: Recipe,
    config: Mapping[str, Any],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The data that a run was trained on, opened again.

    Args:
        recipe: of the run.
        config: of the run.
        on_progress: called with the pictures decoded so far and their number.

    Raises:
        DataError: they are no longer there, or not as they were when the run began.
        ValueError, OSError: see `load_data`.
    """
    kept = kept_data(config)
    return load_data(recipe) if kept is None else reopened(kept, on_progress=on_progress)


def reopened(kept: Kept, *, on_progress: Callable[[int, int], None] | None = None) -> Dataset:
    """A user's own data as a run had them.

    Raises:
        DataError: they are no longer there, or not as they were.
    """
    try:
        # what a user should know was said when the run began
        options: dict[str, Any] = {"on_progress": on_progress, "on_note": lambda note: None, "stream": None}
        data = kept.own.read(table=kept.table, **options).dataset
    except FileNotFoundError as error:
        raise gone(error) from error
    require_same(kept, kept.own, data)
    return data


def gone(error: FileNotFoundError) -> DataError:
    """What to say of a run's data that are not where they were."""
    return DataError(f"the data of the run are gone: {error}; say where they are with --data")


def require_same(kept: Kept, own: OwnData, data: Dataset) -> None:
    """Refuse data that are not as they were when the run began.

    Raises:
        DataError: naming what differs.
    """
    if differences := kept.differences(data):
        raise DataError(
            f"{own.data} is not what the run was trained on: it has {', '.join(differences)}; restore it, or say where "
            "the run's data are with --data"
        )
