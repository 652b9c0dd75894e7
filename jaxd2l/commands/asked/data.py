"""A user's own data as the options name them, read with a bar on the terminal and notes on stderr."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from jaxd2l.cli.output import bar_on_stderr
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.pictures import LikePredict
from jaxd2l.data import DATASETS, DataError, Dataset, channel_statistics, load
from jaxd2l.data.division import held_out_rows
from jaxd2l.data.division.folds import fold_rows_out
from jaxd2l.data.own import Kept, Opened, OwnData, kept_data, other_settings
from jaxd2l.recipes import Code, check_fit, fitted_to, load_data
from jaxd2l.recipes.fitting import is_images
from jaxd2l.recipes.kept import gone, require_same
from jaxd2l.run_folder import KeptRun
from jaxd2l.train.recipe import Recipe, overridden
from jaxd2l.wording import counted

_SMALL_BATCH = 32  # where the recipe's own is larger than the data
_OPTIONS = tuple(field.name for field in dataclasses.fields(OwnData))


def own_data(args: argparse.Namespace, kept: Kept | None = None) -> OwnData | None:
    """The data that the options name; None where they name none.

    Args:
        args: of a command with `options.add_own_data_options`.
        kept: of the run that goes on: what options that are left out say.

    Raises:
        ValueError: an option of own data without them or beside --dataset, or another one than the run began with.
    """
    values = {name: getattr(args, name, None) for name in _OPTIONS}
    given = {name: value for name, value in values.items() if value is not None}
    if kept is None and "data" not in given:
        validated = any(getattr(args, name, None) is not None for name in ("validation_fraction", "folds"))
        elsewhere = ("image_size", "split_seed") if validated else ("image_size",)
        if alone := [name for name in given if name not in elsewhere]:
            other = ", or hold out a --validation-fraction" if alone == ["split_seed"] else ""
            raise ValueError(f"--{alone[0].replace('_', '-')} is about data of your own; name them with --data{other}")
        return None
    if getattr(args, "dataset", None) is not None:
        raise ValueError("--dataset names data that come with jaxd2l, and these are of your own; leave it out")
    if kept is None:
        return OwnData(**given).absolute()
    own = dataclasses.replace(kept.own, **given).absolute()
    if differing := other_settings(kept.own, own):
        raise ValueError(f"{args.out} holds a run with {', '.join(differing)}; give the same or name another folder")
    return own


def without_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that data of one's own do not decide."""
    return {**values, "image_size": None, "dataset": None}


def opened(own: OwnData, **options: Any) -> Opened:
    """Read the data with a bar on a terminal; notes go to stderr."""
    with decoding() as progress:
        return own.read(**{"on_progress": progress, "on_note": note, **options})


def other_data(run: KeptRun, where: str, skip_unreadable: bool) -> tuple[Dataset, bool]:
    """Data of the user's own, as a run's network takes them.

    Args:
        run: that is to be judged.
        where: see `OwnData.data`.
        skip_unreadable: likewise.

    Returns:
        The run's own data where these are the same, wherever they lie now, and True. Of others, and False, the test
        part is to be judged by, which is every example where they have none of their own; labels are the run's, by the
        names of classes.

    Raises:
        DataError: they are not what they claim, have another form, or a class that the network does not know.
        ValueError: the run takes neither pictures nor a table of this kind.
        OSError: they cannot be read.
    """
    kept, example = kept_data(run.config), run.stored_example
    own = dataclasses.replace(OwnData("") if kept is None else kept.own, data=where).absolute()
    if own.target is None:
        if not is_images(example):
            raise ValueError(f"{run.folder} is a run of {run.recipe.name}, which takes no pictures; leave --data out")
        height, width, channels = example.shape[1:]
        size = height if height == width else None
        own = dataclasses.replace(own, image_size=size, channels=channels, skip_unreadable=skip_unreadable)
    else:
        own = dataclasses.replace(own, task="classification" if run.classes else "regression")
    options: dict[str, Any] = {"table": None if kept is None else kept.table, "classes": run.classes}
    notes: list[str] = []
    like_predict = LikePredict(run) if kept is None and not run.given_from_python else None
    options |= {"convert": like_predict, "stream": None if like_predict is None else False}
    with decoding() as progress:
        found = own.read(hold_out=False, on_progress=progress, on_note=notes.append, **options).dataset
    if kept is not None:
        drawn = found.train.x is found.test.x and len(found.train.x) == sum(kept.examples)
        same = _drawn(own, options) if drawn else found
        if same is not None and not kept.differences(same):
            return same, True
    for line in [*notes, *([] if like_predict is None else like_predict.told())]:
        note(line)
    if found.test.x.shape[1:] != example.shape[1:]:
        raise DataError(f"{found.name}: examples are {found.test.x.shape[1:]}, the run takes {example.shape[1:]}")
    return found, False


def _drawn(own: OwnData, options: Mapping[str, Any]) -> Dataset | None:
    """The data with a test part held out as for a training; None where they are no data to train on."""
    try:
        return own.read(on_note=lambda note: None, **options).dataset
    except DataError:
        return None


def note(line: str) -> None:
    """Say a line on stderr."""
    print(f"note: {line}", file=sys.stderr, flush=True)


def decoding() -> AbstractContextManager[Callable[[int, int], None]]:
    """A bar on stderr for the pictures that are being read, where that is a terminal."""
    return bar_on_stderr("reading pictures")


def fitted(
    base: Recipe,
    own: OwnData | None,
    values: Mapping[str, Any],
    limit_train: int | None,
    limit_test: int | None,
    kept: Kept | None = None,
    code: Code | None = None,
    stream: bool | None = False,
) -> tuple[Recipe, Dataset, dict[str, Any]]:
    """The recipe with the settings asked for, and its data.

    Args:
        base: as it is named.
        own: data of the user's own; None takes those that the recipe names.
        values: settings that are given, by name.
        limit_train: see `settings.limited`.
        limit_test: likewise.
        kept: of the run that goes on.
        code: where `base` comes from, if it is none of this package.
        stream: how pictures of the user's own are read, see `open_data`.

    Returns:
        The recipe, the data, and what of both goes into a run's configuration.

    Raises:
        ValueError: a setting out of range, or a network that cannot take the data.
        DataError: the data are not what they claim.
        OSError: they cannot be read.
    """
    fold = values.get("fold")
    say = note if fold is None or fold[1] == 0 else lambda line: None  # once for all folds
    if own is None and code is None:
        recipe = overridden(base, values)
        data = settings.limited(load_data(recipe), limit_train, limit_test)
        return recipe, settings.divided(settings.checked(data, recipe), values, say), {}
    facts: dict[str, Any] = {} if code is None else {"code": code._asdict()}
    if own is None:
        data = settings.limited(load(named_data(base, values)), limit_train, limit_test)
        recipe = overridden(fitted_to(base, data), values)
        check_fit(recipe, data)
        return recipe, settings.divided(settings.checked(data, recipe), values, say), facts
    try:
        found = opened(
            own,
            table=None if kept is None else kept.table,
            learned_from=lambda y: _learned_from(y, limit_train, values),
            on_note=say,
            stream=stream,
        )
    except FileNotFoundError as error:
        if kept is not None and kept.own.data == own.data:
            raise gone(error) from error
        raise
    if kept is not None:
        require_same(kept, own, found.dataset)
        found = found._replace(dataset=found.dataset._replace(name=kept.name or found.dataset.name))
    whole = settings.limited(found.dataset, limit_train, limit_test)
    data = settings.divided(whole, values, say)
    statistics = channel_statistics(data.train) if is_images(data.train.x) else None
    recipe = fitted_to(base, data, statistics)
    if own.image_size is not None:
        recipe = dataclasses.replace(recipe, image_size=own.image_size)
    by_itself = values.get("batch_size") is None and recipe.accumulate == 1
    if by_itself and recipe.batch_size > (n := settings.fewest_rows(whole, data, values)):
        smaller = min(_SMALL_BATCH, n)
        say(f"{data.name}: {counted(n, 'training example')} for batches of {recipe.batch_size}; {smaller} are taken")
        recipe = dataclasses.replace(recipe, batch_size=smaller)
    recipe = overridden(recipe, without_data(values))
    check_fit(recipe, data)
    return recipe, settings.checked(data, recipe), {**facts, "own_data": own.record(found)}


def _learned_from(y: np.ndarray, limit_train: int | None, values: Mapping[str, Any]) -> np.ndarray:
    """The rows that remain for training, by their targets: the first ones, less what is held out for validation."""
    n, fraction = min(limit_train or len(y), len(y)), values.get("validation_fraction")
    learned = np.arange(len(y)) < n
    if (fold := values.get("fold")) is not None:
        learned[:n] = fold_rows_out(y[:n], fold[0], values.get("split_seed") or 0) != fold[1]
    elif fraction is not None and 0 < fraction < 1 and n > 0:  # what else was typed is refused where the rows are taken
        learned[:n] = ~held_out_rows(y[:n], fraction, values.get("split_seed") or 0)
    return learned if learned.any() else np.ones(len(y), bool)


def named_data(base: Recipe, values: Mapping[str, Any]) -> str:
    """The name of the data that come with jaxd2l and a network of one's own is to be trained on.

    Raises:
        ValueError: none is given.
    """
    name = values.get("dataset") or base.dataset
    if not name:
        raise ValueError(f"say what to train {base.name} on: --data WHERE, or --dataset {' or '.join(DATASETS)}")
    return str(name)


def in_range(base: Recipe, own: OwnData | None, code: Code | None, values: Mapping[str, Any]) -> Recipe:
    """The recipe with the settings asked for, before its data are known.

    Raises:
        ValueError: a setting is out of range.
    """
    if own is None and code is None:
        return overridden(base, values)
    pictures = dataclasses.replace(base, image_size=base.image_size or 1)  # unless the data say otherwise
    return overridden(pictures, without_data(values))
