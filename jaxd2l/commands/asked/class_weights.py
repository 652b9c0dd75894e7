"""`--class-weights`: how much each class counts in training, balanced by its rows or as a file says."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

from jaxd2l.data import DataError, Dataset, balanced_class_weights
from jaxd2l.train import Recipe
from jaxd2l.wording import counted, some


def weighted(recipe: Recipe, asked: str | None, data: Dataset, classes: Sequence[str] = ()) -> Recipe:
    """The recipe with the class weights that `--class-weights` asks for: balanced by the training rows, or a file's.

    Args:
        recipe: may have class weights already.
        asked: what was typed; None keeps those of the recipe.
        data: to be trained on.
        classes: what the weights of the recipe are of, where they come from a run; () for the labels themselves.

    Raises:
        ValueError: the recipe knows no classes, or its class weights are of others.
        DataError: a class has no training row, or the file does not give each class a weight.
        OSError: the file cannot be read.
    """
    if asked is None:
        return _weighted_alike(recipe, data, classes)
    if not recipe.takes_labels:
        raise ValueError(f"--class-weights is about classes, and recipe {recipe.name} predicts values; leave it out")
    if asked == "balanced":
        return dataclasses.replace(recipe, class_weights=balanced_class_weights(data.train.y, len(data.classes)))
    return dataclasses.replace(recipe, class_weights=read_class_weights(Path(asked), data.classes))


def _weighted_alike(recipe: Recipe, data: Dataset, classes: Sequence[str]) -> Recipe:
    """The recipe with its class weights in the order of the data's classes."""
    weights = recipe.class_weights
    if weights is None or not data.classes or (tuple(classes) or data.classes) == data.classes:
        if weights is not None and data.classes and len(weights) != len(data.classes):
            raise ValueError(
                f"recipe {recipe.name} has {counted(len(weights), 'class weight')}, but {data.name} "
                f"{counted(len(data.classes), 'class')}; give each one: --class-weights"
            )
        return recipe
    by_class = dict(zip(classes, weights, strict=True))
    if unknown := [name for name in data.classes if name not in by_class]:
        raise ValueError(
            f"the class weights of that run are of {some(classes)}, and {data.name} has {some(unknown)}; give weights "
            "of its classes: --class-weights"
        )
    return dataclasses.replace(recipe, class_weights=tuple(by_class[name] for name in data.classes))


def read_class_weights(path: Path, classes: Sequence[str]) -> tuple[float, ...]:
    """The weights in a file: a JSON object or a CSV of two columns, from class to weight.

    Args:
        path: of JSON where its name ends in .json, else of a CSV, with or without a line of headings.
        classes: the name of each label; the file names a class by its name or its label.

    Returns:
        A weight for each class.

    Raises:
        DataError: the file is neither, a class is unknown, without a weight or named twice, a weight is no number of
            at least 0.
        OSError: it cannot be read.
    """
    weights: dict[int, float] = {}
    for name, value in _pairs(path):
        label = classes.index(name) if name in classes else int(name) if name.isdecimal() else len(classes)
        if label >= len(classes):
            raise DataError(f"{path}: unknown class {name!r}; expected one of {', '.join(classes)}, or its number")
        if label in weights:
            raise DataError(f"{path}: class {name!r} has two weights; give one")
        try:
            weights[label] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            weights[label] = math.nan
        if isinstance(value, bool) or not 0 <= weights[label] < math.inf:
            raise DataError(f"{path}: the weight of class {name!r} is {value!r}, expected a number of at least 0")
    missing = [name for label, name in enumerate(classes) if label not in weights]
    if missing:
        raise DataError(f"{path}: no weight for {', '.join(missing)}; give every class one, 1 changes nothing")
    return tuple(weights[label] for label in range(len(classes)))


def _pairs(path: Path) -> list[tuple[str, object]]:
    is_json = path.suffix.lower() == ".json"
    pairs, rows = None, []
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if is_json:
            pairs = json.loads(text, object_pairs_hook=list)
        else:
            rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), strict=True) if row]
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataError(f"{path}: neither JSON nor CSV ({error})") from error
    if is_json:
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            raise DataError(f'{path}: expected a JSON object from class to weight, such as {{"cat": 2}}')
        return pairs
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong is not None or not rows:
        raise DataError(f"{path}, line {wrong or 1}: expected two columns, the class and its weight")
    return [(name, value) for number, (name, value) in enumerate(rows) if number or _is_number(value)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
