"""The network of a run's folder, ready to answer."""

from pathlib import Path

import numpy as np

from jaxd2l.prediction.picture import Framing, framing
from jaxd2l.prediction.predictor import Predictor
from jaxd2l.prediction.trained_run import load_run
from jaxd2l.recipes import load_data


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
    if run.recipe.image_size is None or run.recipe.hits is None:
        raise ValueError(f"{run_dir} is a run of {run.recipe.name}, which classifies no pictures; give one that does")
    predictor = run.predictor(weights)
    if "own_data" in run.config:
        return predictor, Framing(dark=False, fill=None, own=True)
    if run.given_from_python:
        raise ValueError(run.given_from_python)
    return predictor, framing(np.asarray(load_data(run.recipe).train.x))
