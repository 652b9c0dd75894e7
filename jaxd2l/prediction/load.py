"""The network of a run's folder, ready to answer, and pictures in the form that it takes."""

from pathlib import Path

import numpy as np

from jaxd2l.prediction.ground import Framing, framing
from jaxd2l.prediction.own_picture import convert_like_own
from jaxd2l.prediction.picture import Conversion, convert_picture
from jaxd2l.prediction.predictor import Predictor
from jaxd2l.prediction.trained_run import load_run
from jaxd2l.recipes import load_data
from jaxd2l.run_folder import KeptRun


def load_predictor(run_dir: Path, weights: str = "last") -> tuple[Predictor, Framing]:
    """A run's network, ready to answer, and how its data show their things; those of a user's own are not needed.

    Args:
        run_dir: a folder that `jaxd2l train` wrote.
        weights: "last", "best" or "ema".

    Raises:
        DataError: no run folder, or its configuration, weights or data are not what they claim.
        ValueError: its recipe takes no pictures, or its data were given from Python, which say how to read a picture.
        OSError: a file cannot be read.
    """
    run = load_run(run_dir)
    require_pictures(run)
    return run.predictor(weights), framing_of(run)


def require_pictures(run: KeptRun) -> None:
    """Refuse a run whose network does not classify pictures.

    Raises:
        ValueError: naming it.
    """
    if run.recipe.image_size is None or run.recipe.hits is None:
        raise ValueError(
            f"{run.folder} is a run of {run.recipe.name}, which classifies no pictures; give one that does"
        )


def framing_of(run: KeptRun) -> Framing:
    """How the data of a run show their things.

    Raises:
        ValueError: they were given from Python.
        DataError, OSError: they are not what they claim, or cannot be read.
    """
    if "own_data" in run.config:
        return Framing(dark=False, fill=None, own=True)
    if run.given_from_python:
        raise ValueError(run.given_from_python)
    return framing(np.asarray(load_data(run.recipe).train.x))


def convert_like(
    frame: Framing, path: str | Path, shape: tuple[int, ...], invert: str = "auto", *, data: bytes | None = None
) -> tuple[np.ndarray, Conversion]:
    """A picture file as one of the examples of data that show their things like `frame`.

    Args:
        frame: from `framing_of`.
        path: see `convert_picture`; of data of a user's own `convert_like_own`.
        shape: (height, width, channels) of the result.
        invert: "yes", "no", or "auto": where the data have a dark ground and the picture a light one.
        data: see `convert_picture`.

    Raises:
        DataError: the file is no picture that can be read.
        OSError: it cannot be read.
    """
    height, width, channels = shape
    if frame.own:
        return convert_like_own(path, height, width, channels, invert == "yes", data=data)
    invert = invert if invert != "auto" or frame.dark else "no"
    return convert_picture(path, height, width, channels, invert, frame.fill, data=data)
