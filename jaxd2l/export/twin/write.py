"""Both files of a twin: all that is refused before anything is trained, then our side, then script and numbers."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxd2l.data import Dataset
from jaxd2l.export.twin.numbers import Numbers, numbers_of
from jaxd2l.export.twin.script import require_network, script_of
from jaxd2l.export.write import write_all
from jaxd2l.train import Recipe

_PLAIN = {
    "augment": None,
    "mixup": 0.0,
    "label_smoothing": 0.0,
    "class_weights": None,
    "precision": "float32",
    "accumulate": 1,
    "clip_norm": None,
    "freeze": None,
    "statistics": None,
}


class Twin(NamedTuple):
    """What was made.

    Attributes:
        script: its text.
        numbers: our side of the training.
    """

    script: str
    numbers: Numbers


def data_file(path: Path) -> Path:
    """Where the numbers lie: beside the script."""
    return path.with_suffix(".npz")


def require_twin(recipe: Recipe, data: Dataset) -> tuple[int, ...]:
    """Refuse what has no twin; the shape of an example.

    Raises:
        ValueError: naming it.
    """
    require_network(recipe.model)
    for name, plain in _PLAIN.items():
        if getattr(recipe, name) != plain:
            raise ValueError(f"a twin trains plainly: {name} {getattr(recipe, name)!r} is not written; leave it out")
    if callable(recipe.learning_rate) or not callable(recipe.optimizer):
        raise ValueError("a twin needs a learning rate by number and an optimizer by name")
    shape = recipe.input_shape(data.train.x)
    if shape != data.train.x.shape[1:]:
        raise ValueError(
            f"a twin does not resize: examples of {recipe.dataset} are {data.train.x.shape[1:]}, and {recipe.name} "
            f"sees {shape}; give --image-size {data.train.x.shape[1]}"
        )
    script_of(recipe, shape, name="", seed=0)
    return shape


def twin_of(recipe: Recipe, data: Dataset, *, name: str = "twin", steps: int = 50, seed: int = 0) -> Twin:
    """A training of a recipe as a script of PyTorch and its numbers.

    Args:
        recipe: one of the book's whose network is an `nn.Sequential` there: linear, softmax, mlp, dropout_mlp, lenet,
            lenet_relu, lenet_conv_relu, lenet_bn; with other settings where it still trains plainly.
        data: what it is trained on.
        name: of the files, without suffix.
        steps: updates, from the first.
        seed: of the run.

    Raises:
        ValueError: there is no twin; the message says of what.
    """
    shape = require_twin(recipe, data)
    if steps < 1:
        raise ValueError(f"a twin takes at least 1 step, got {steps}")
    return Twin(script_of(recipe, shape, name=name, seed=seed), numbers_of(recipe, data, steps=steps, seed=seed))


def write_twin(recipe: Recipe, data: Dataset, path: Path, *, steps: int = 50, seed: int = 0) -> Twin:
    """Write `path`, the script, and beside it `data_file(path)`; both or none, see `write_all`.

    Raises:
        ValueError: see `twin_of`.
        OSError: a file cannot be written.
    """
    twin, content = twin_of(recipe, data, name=path.stem, steps=steps, seed=seed), io.BytesIO()
    np.savez_compressed(content, **twin.numbers.arrays())  # type: ignore[arg-type]
    write_all({data_file(path): content.getvalue(), path: twin.script.encode()})
    return twin
