"""A kept run that answers: its folder opened as `jaxd2l.run_folder` does, with its network ready to predict."""

import dataclasses
import functools
import os
import sys
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.data import DataError
from jaxd2l.data.own.settings import warn
from jaxd2l.data.table import read_table
from jaxd2l.prediction.predictor import Predictor
from jaxd2l.prediction.rows_of_table import keeps_table, table_rows
from jaxd2l.train import Recipe


@dataclasses.dataclass(frozen=True)
class TrainedRun(run_folder.KeptRun):
    """A `jaxd2l.run_folder.KeptRun` whose network answers.

    Weights are read at the first question for them and stay; open the run again for those of later epochs. The network
    is compiled once for any number of images: they go through it in batches of one size, the last one padded.
    """

    def predict(self, images: Any, which: str = "last") -> np.ndarray:
        """The label of the most probable class, named `classes[label]`; for a regression its values.

        Args:
            images: (n, height, width, channels) as the data set stores them, bytes 0 to 255, n may be 0; inputs of
                other kinds likewise (n, ...). Picture files become such ones by `jaxd2l.prediction.convert_picture`.
                Of a run that `jaxd2l train --target` trained on a table: a pandas frame of rows, or a CSV's path; see
                `table_rows`, whose notes come as a `DataWarning` each.
            which: "last", "best" or "ema" weights.

        Returns:
            Labels (n,), or float32 (n, outputs) for a regression.

        Raises:
            ValueError: images of another shape, dtype or range, and what to do; or another choice of weights.
            DataError: the weights cannot be used, or no epoch is finished; and of a table what `read_table` and
                `table_rows` refuse.
            ArithmeticError: an output is not finite.
        """
        return self.predictor(which).predict(self._stored(images))

    def predict_proba(self, images: Any, which: str = "last") -> np.ndarray:
        """The probability of each class, float32 (n, classes), each row summing to 1.

        Args:
            images: see `predict`.
            which: likewise.

        Raises:
            ValueError: see `predict`; or a regression, which has no classes.
            DataError, ArithmeticError: see `predict`.
        """
        return self.predictor(which).predict_proba(self._stored(images))

    def _stored(self, given: Any) -> Any:
        """Rows of a table as arrays, where the run keeps a table's transform; anything else as it is."""
        pandas = sys.modules.get("pandas")  # nobody has a frame without it, and it takes half a second to import
        is_frame = pandas is not None and isinstance(given, pandas.DataFrame)
        if not (is_frame or isinstance(given, str | PathLike)) or not keeps_table(self.config):
            return given
        name = "table" if is_frame else str(given)
        rows = table_rows(self, given if is_frame else read_table(Path(os.path.expanduser(given))), name)
        for note in rows.notes:
            warn(note)
        return rows.x

    def predictor(self, which: str = "last") -> Predictor:
        """The network with these weights, the same at each call.

        Raises:
            DataError: the weights cannot be used, or no epoch is finished.
            ValueError: another choice, or a run that averages no weights.
        """
        return self._answering(which)[0]

    def origin(self, which: str = "last") -> run_folder.Chosen:
        """Where the weights of `predictor(which)` were read, and of which epoch; its `tensors` are left out.

        Raises:
            DataError, ValueError: see `predictor`.
        """
        return self._answering(which)[1]

    def _answering(self, which: str) -> tuple[Predictor, run_folder.Chosen]:
        if which not in self._predictors:
            try:
                chosen = run_folder.choose_weights(self.folder, which)
            except FileNotFoundError as error:
                raise DataError(
                    f"{self.folder} has no weights yet: no epoch is finished; train on with --resume"
                ) from error
            weights, example = self.fitted(chosen), self.stored_example
            made = Predictor(self.recipe, *weights, self.classes, example.shape[1:], example.dtype)
            self._predictors[which] = made, chosen._replace(tensors={})
        return self._predictors[which]

    @functools.cached_property
    def _predictors(self) -> dict[str, tuple[Predictor, run_folder.Chosen]]:
        return {}


def load_run(run_dir: Path | str, recipe: Recipe | None = None) -> TrainedRun:
    """Open the run that `jaxd2l train` or `jaxd2l.fit(..., run_dir=...)` keeps in a folder, finished or not.

    Args:
        run_dir: the folder.
        recipe: what it was trained with, where that is no recipe of this package; its settings are the folder's.

    Raises:
        DataError: the folder is no run folder, or what it holds is damaged.
        OSError: it cannot be read.
    """
    kept = run_folder.load_run(run_dir, recipe)
    return TrainedRun(**{field.name: getattr(kept, field.name) for field in dataclasses.fields(kept)})
