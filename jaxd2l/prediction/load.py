"""The network of a run's folder, ready to answer."""

from pathlib import Path

import numpy as np

from jaxd2l import run_folder
from jaxd2l.data import DataError
from jaxd2l.prediction.picture import Framing, framing
from jaxd2l.prediction.predictor import Predictor
from jaxd2l.recipes import load_data


def load_predictor(run_dir: Path, weights: str = "last") -> tuple[Predictor, Framing]:
    """A run's network, ready to answer, and how its data show their things; those of a user's own are not needed.

    Args:
        run_dir: a folder that `jaxd2l train` wrote.
        weights: "last", "best" or "ema".

    Raises:
        DataError: no run folder, or its configuration, weights or data are not what they claim.
        ValueError: its recipe takes no pictures.
        OSError: a file cannot be read.
    """
    run = run_folder.load_run(run_dir)
    if run.recipe.image_size is None or run.recipe.hits is None:
        raise ValueError(f"{run_dir} is a run of {run.recipe.name}, which classifies no pictures; give one that does")
    try:
        params, batch_stats = run.weights(weights)
    except FileNotFoundError as error:
        raise DataError(f"{run_dir} has no weights yet: no epoch is finished; train on with --resume") from error
    if "own_data" in run.config:
        example = run.stored_example
        predictor = Predictor(run.recipe, params, batch_stats, run.classes, example.shape[1:], example.dtype)
        return predictor, Framing(dark=False, fill=None, own=True)
    data = load_data(run.recipe)
    shape = data.train.x.shape[1:]
    predictor = Predictor(run.recipe, params, batch_stats, run.classes or data.classes, shape, data.train.x.dtype)
    return predictor, framing(np.asarray(data.train.x))
