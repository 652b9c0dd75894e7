"""Options that several commands share, and how they become a recipe and its data."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.commands.asked.chosen_device import choose_device as choose_device
from jaxd2l.data import Dataset, Examples, check_examples, deal_out, fold_of, hold_out
from jaxd2l.train.recipe import Recipe
from jaxd2l.wording import counted


def warn_of_other_conditions(paths: Iterable[Path]) -> None:
    """Say once under which other conditions kept results were made; their last bits would come out otherwise here.

    Args:
        paths: of JSON files with `environment`, as `run_folder.conditions` gives it; others are passed over.
    """
    now = run_folder.conditions()
    told: dict[str, Path] = {}
    for path in paths:
        made = json.loads(path.read_bytes()).get("environment")
        for line in run_folder.differences(made if isinstance(made, dict) else {}, now):
            told.setdefault(line, path)
    if told:
        first = next(iter(told.values()))
        print(
            f"warning: kept results such as {first} were made under other conditions ({'; '.join(told)}); their last "
            "bits may differ from what is computed here",
            file=sys.stderr,
            flush=True,
        )


def of_members(
    recipe: Recipe, data: Dataset, facts: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What results that are kept must have been made with to be taken again; own data and networks by their digests.

    Args:
        recipe: what is trained.
        data: what on.
        facts: of both, see `asked.data.fitted`.
        more: of what else was asked for; what is None or False counts as not asked.
    """
    own = facts.get("own_data")
    digests: dict[str, Any] = {} if own is None else {"sha256": own["sha256"]}
    if data.held_out is not None:
        digests["validation_fraction"], digests["split_seed"] = data.held_out
        digests |= {"pictures_together": True} if data.pictures_together else {}
    digests |= {"code": facts["code"]["sha256"]} if "code" in facts else {}
    return {**recipe.settings(), "train_examples": len(data.train.x), "test_examples": len(data.test.x), **digests} | {
        name: value for name, value in (more or {}).items() if value
    }


def require_different_names(recipes: Sequence[Recipe]) -> None:
    """Refuse recipes whose results would be kept under one name.

    Raises:
        ValueError: naming it.
    """
    names = [recipe.name for recipe in recipes]
    if len(set(names)) < len(names):
        raise ValueError(f"two recipes are called {max(names, key=names.count)}; run them with another --out each")


def limited(data: Dataset, limit_train: int | None, limit_test: int | None) -> Dataset:
    """The first rows of each part.

    Raises:
        ValueError: a limit is not between 1 and the rows there are.
    """

    def first(part: Examples, limit: int | None, option: str) -> Examples:
        if limit is None:
            return part
        if not 1 <= limit <= len(part.x):
            raise ValueError(
                f"{option} must be between 1 and the {counted(len(part.x), 'example')} there are, got {limit}"
            )
        return Examples(part.x[:limit], part.y[:limit])

    return data._replace(
        train=first(data.train, limit_train, "--limit-train"), test=first(data.test, limit_test, "--limit-test")
    )


def divided(data: Dataset, values: Mapping[str, Any], on_note: Callable[[str], None]) -> Dataset:
    """The data with a validation part: a share of the training part, or one of its folds, where that is asked for.

    Args:
        data: without a validation part.
        values: settings by name; `fold` is how many there are and which one validates, and `pictures_together` False
            divides as earlier versions did.
        on_note: see `hold_out`.

    Raises:
        ValueError, DataError: see `hold_out` and `deal_out`.
    """
    fraction, seed = values.get("validation_fraction"), values.get("split_seed") or 0
    if (fold := values.get("fold")) is not None:
        return fold_of(data, deal_out(data, fold[0], seed, on_note=on_note), fold[1])
    if fraction is None:
        return data
    return hold_out(data, fraction, seed, together=values.get("pictures_together", True), on_note=on_note)


def fewest_rows(whole: Dataset, data: Dataset, values: Mapping[str, Any]) -> int:
    """How many rows the smallest training has: that of `data`, or of the largest fold of `whole`, which is left out."""
    if (fold := values.get("fold")) is None:
        return len(data.train.x)
    dealt = deal_out(whole, fold[0], values.get("split_seed") or 0, on_note=lambda line: None)
    return len(dealt) - int(np.bincount(dealt).max())


def checked(data: Dataset, recipe: Recipe) -> Dataset:
    """The data, refused where the recipe cannot train on it.

    Raises:
        DataError: see `check_examples`.
    """
    classes = len(data.classes) if recipe.hits is not None else None
    check_examples(data.train, classes, f"{data.name} training part")
    check_examples(data.test, classes, f"{data.name} test part")
    return data
