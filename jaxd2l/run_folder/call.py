"""What `jaxd2l.fit` is asked that cannot be, before anything in a folder is replaced; and what it is without one."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from jaxd2l import train
from jaxd2l.data import Dataset
from jaxd2l.run_folder.files import CONFIG
from jaxd2l.run_folder.initial.source import INIT_FROM
from jaxd2l.train import Progress, Recipe
from jaxd2l.train.check_recipe import as_python
from jaxd2l.train.recipe import OVERRIDABLE
from jaxd2l.train.results import stopped_early

Stop = Callable[[], type[BaseException] | None]

# What the folder says of recipe, seed and data, which they alone decide.
_DECIDED = frozenset(
    (*("recipe", "seed", *OVERRIDABLE), *("model", "loss", "hits", "constants", "statistics", "data", INIT_FROM))
)


def refuse_options(options: Mapping[str, Any], data: Dataset) -> None:
    """Refuse what a run that is kept in a folder cannot be given, before anything there is replaced.

    Raises:
        TypeError: `train.fit` has no such option.
        ValueError: the folder itself decides it.
    """
    if unknown := options.keys() - inspect.signature(train.fit).parameters.keys():
        raise TypeError(f"fit() got an unexpected keyword argument {min(unknown)!r}")
    if "weights" in options:
        raise ValueError("a run in a folder begins with init_from=(params, batch_stats), which it records; not weights")
    if kept := sorted({"start", "best_weights"} & options.keys()):
        raise ValueError(f"a run in a folder goes on by what that holds; leave {kept[0]} out and give resume=True")
    if not options.get("with_test", True) and data.validation is None:
        raise ValueError("a run in a folder is judged in each epoch: give with_test=False with a validation part alone")


def refuse_without_folder(resume: bool, overwrite: bool, settings: Mapping[str, Any] | None) -> None:
    """Refuse what is about a folder where there is none.

    Raises:
        ValueError: any of it is given.
    """
    if resume or overwrite:
        raise ValueError("resume and overwrite are about the run in a folder; name it: run_dir=...")
    if settings:
        raise ValueError(f"settings are entries of a folder's {CONFIG}; name it: run_dir=...")


def refuse_init_weights(init_from: Any, init_weights: str | None, options: Mapping[str, Any]) -> None:
    """Refuse weights to begin with that are said twice, or of nothing.

    Raises:
        ValueError: `init_weights` without what it chooses from, or another option that says where to begin.
    """
    if init_from is None:
        if init_weights is not None:
            raise ValueError(f"init_weights={init_weights!r} says which weights of a run; name the run: init_from=...")
        return
    if said := [name for name in ("weights", "start") if options.get(name) is not None]:
        raise ValueError(f"init_from and {said[0]} both say what to begin with; give one of them")


def further_entries(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Entries of `config.json` beside those of recipe, seed and data, as plain values.

    Raises:
        ValueError: a name that those decide.
    """
    entries = {name: as_python(value) for name, value in (settings or {}).items()}
    for name in entries:
        if not isinstance(name, str) or name in _DECIDED:
            raise ValueError(
                f"settings hold {name!r}, expected names that {CONFIG} has not got yet: recipe, seed and data say the "
                "others; leave it out"
            )
    return entries


def require_plain(name: str, value: Any) -> None:
    """Refuse what `config.json` cannot hold.

    Raises:
        ValueError: naming it.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is {value!r:.100}, which {CONFIG} cannot hold ({error}); give text or finite numbers"
        ) from error


def watching(
    stop: Stop, on_chunk: Callable[[Progress], None] | None, recipe: Recipe, *, tests: bool
) -> Callable[[Progress], None]:
    """The `on_chunk` of a run that nothing is kept of: asks `stop` as a folder's writer does.

    Args:
        stop: see `jaxd2l.fit`.
        on_chunk: called after it.
        recipe: of the run.
        tests: whether the test part is judged after the epochs.
    """

    def watched(now: Progress) -> None:
        over = now.epoch > recipe.epochs or stopped_early(now.results, recipe.early_stop)
        if (tests or not over) and (ending := stop()) is not None:
            raise ending(f"stopped at epoch {now.epoch}, step {now.step}; without run_dir nothing of it is kept")
        if on_chunk is not None:
            on_chunk(now)

    return watched
