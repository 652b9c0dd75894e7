"""Open the run that a folder holds, finished or interrupted: recipe, results and weights."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.data import DATASETS, DataError, Dataset, Examples, hold_out, shapes
from jaxd2l.data.own import by_class_name
from jaxd2l.data.own.settings import warn
from jaxd2l.recipes import open_kept
from jaxd2l.run_folder.best import Chosen, best_of, choose_weights
from jaxd2l.run_folder.files import CONFIG
from jaxd2l.run_folder.metrics import read_tested, whole_rows
from jaxd2l.run_folder.settings import changed_code, digest_of_rows, recipe_of
from jaxd2l.run_folder.weights import fit_to, unsound
from jaxd2l.train import EpochResult, Judged, Recipe, Run, TrainState, evaluate
from jaxd2l.train.results import epochs_table, stopped_early
from jaxd2l.train.state import Average, variables_like

PyTree = Any


@dataclasses.dataclass(frozen=True)
class KeptRun:
    """A run as its folder holds it.

    Attributes:
        folder: where it is kept.
        recipe: what was trained, with the run's settings.
        seed: decided the parameters, the order and the dropout masks.
        epochs: one result a finished epoch.
        classes: the name of each label, empty for regression.
        config: all of `config.json`.
    """

    folder: Path
    recipe: Recipe
    seed: int
    epochs: tuple[EpochResult, ...]
    classes: tuple[str, ...]
    config: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train or to judge; else `jaxd2l.fit(..., run_dir=..., resume=True)` goes on.

        So it is after every epoch that was asked for, or where it stopped early, and with a validation part once the
        test part is judged.
        """
        over = len(self.epochs) == self.recipe.epochs or self.stopped_early
        validated = any(result.validation_loss is not None for result in self.epochs[:1])
        return over and (not validated or bool(self.tested))

    @property
    def stopped_early(self) -> bool:
        """Whether `recipe.early_stop` ended it."""
        return stopped_early(self.epochs, self.recipe.early_stop)

    @property
    def tested(self) -> dict[str, Judged]:
        """What the test part said at the end, see `jaxd2l.train.Run`; {} before it and without a validation part."""
        return read_tested(self.folder, len(self.epochs))

    @property
    def best_epoch(self) -> int | None:
        """The best epoch, see `jaxd2l.train.best_epoch`; None where none is finished."""
        return best_of([result._asdict() for result in self.epochs])

    @property
    def params(self) -> PyTree:
        """The network's parameters after the last finished epoch; see `weights`."""
        return self.weights()[0]

    @property
    def batch_stats(self) -> PyTree:
        """The running statistics after the last finished epoch, `{}` without batch normalisation."""
        return self.weights()[1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example as the network sees it."""
        return self.recipe.input_shape(self.stored_example)

    def data(
        self, on_progress: Callable[[int, int], None] | None = None, on_note: Callable[[str], None] = warn
    ) -> Dataset:
        """The data that it was trained on, opened again; the test part is whole.

        Args:
            on_progress: called with the pictures decoded so far and their number.
            on_note: called with a line where other rows of a data set that ships were given from Python; by default a
                `DataWarning`.

        Raises:
            DataError: a user's own are gone, or not as they were when the run began.
            ValueError: they were given from Python, so only the caller has them.
        """
        if self.given_from_python:
            raise ValueError(self.given_from_python)
        data = open_kept(self.recipe, self.config, on_progress=on_progress)
        limit, fraction = self.config.get("limit_test"), self.config.get("validation_fraction")
        found = data._replace(train=Examples(*(a[: self.config.get("limit_train")] for a in data.train)))
        if fraction is not None:
            together = bool(self.config.get("pictures_together"))  # else none was parted
            seed = self.config.get("split_seed", 0)
            found = hold_out(found, fraction, seed, together=together, on_note=lambda note: None)
        name = self.recipe.dataset
        if "own_data" not in self.config and DATASETS[name].generate is None:  # which may round otherwise here
            trained_on = found._replace(test=Examples(*(a[:limit] for a in found.test)))
            if self._described("sha256") not in (None, digest_of_rows(trained_on)):
                on_note(f"{self.folder} was trained on rows given from Python; these are those of {name} as it ships")
        return found

    @property
    def given_from_python(self) -> str:
        """Why its data cannot be opened again, where they were no data set that has a name; else ""."""
        named = self.recipe.dataset in DATASETS and self._described("name") in (None, self.recipe.dataset)
        if named or "own_data" in self.config:
            return ""
        return (
            f"{self.folder} was trained on data given from Python, which only the caller has; give others to judge by: "
            "run.evaluate(data), on the command line --data WHERE"
        )

    def _described(self, name: str) -> Any:
        """What the configuration says of the data, None where it does not."""
        described = self.config.get("data")
        return described.get(name) if isinstance(described, Mapping) else None

    def weights(self, which: str = "last") -> tuple[PyTree, PyTree]:
        """`(params, batch_stats)`, read and verified at each call.

        Args:
            which: "last" for those after the last finished epoch, "best" for those after the best one, averaged where
                weights are averaged, "ema" for the average after the last finished one.

        Raises:
            DataError: the file is damaged, does not fit the network, holds numbers that are not finite, or the
                weights of the best epoch were not kept.
            ValueError: another choice, no epoch to choose the best of, or a run that averages no weights.
            OSError: it cannot be read.
        """
        return self.fitted(choose_weights(self.folder, which))

    def fitted(self, chosen: Chosen) -> tuple[PyTree, PyTree]:
        """Weights of the folder as the network's `(params, batch_stats)`.

        Raises:
            DataError: they do not fit the network, or numbers are not finite: how many and where.
        """
        place = str(self.folder / chosen.place)
        expected = variables_like(self.recipe.model, jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32))
        said = f"{place}{changed_code(self.config)}"
        trees = fit_to(chosen.tensors, expected["params"], expected.get("batch_stats", {}), said)
        if problem := unsound(chosen.tensors):
            raise DataError(f"{place}: {problem}; take other weights")
        return trees

    def evaluate(self, data: Dataset | None = None, which: str = "last") -> tuple[float, float | None]:
        """Mean loss and accuracy on the test examples.

        Args:
            data: with the test examples, whose labels are understood by the names of their classes where it has any;
                those that it was trained on where None.
            which: "last", "best" or "ema" weights.

        Raises:
            DataError: the weights or the data cannot be used, or a class is none of the run's.
            ValueError: `data` is None, and they were given from Python.
        """
        data = self.data() if data is None else data
        if data.classes and self.classes:
            data = by_class_name(data, self.classes)
        return evaluate(self.recipe, *self.weights(which), data.test)

    def as_run(self) -> Run:
        """The run as `jaxd2l.fit` returns it, after the last finished epoch; its state has no optimizer, a `step` of 0.

        Raises:
            DataError: the weights are damaged.
        """
        params, batch_stats = jax.tree.map(jnp.asarray, self.weights())
        average = () if self.recipe.ema is None else Average(*jax.tree.map(jnp.asarray, self.weights("ema")))
        state = TrainState(jnp.zeros((), jnp.int32), params, batch_stats, (), average)
        return Run(self.recipe, self.seed, state, self.epochs, 0.0, self.tested)

    def _repr_html_(self) -> str:
        return epochs_table(f"{self.recipe.name}, seed {self.seed}, {self.folder}", self.epochs)

    @property
    def stored_example(self) -> jax.ShapeDtypeStruct:
        """The form of one stored example, batch axis included."""
        try:
            dtype, *shape = self.config["data"]["input"]
            return jax.ShapeDtypeStruct((1, *map(int, shape)), jnp.dtype(dtype))
        except (KeyError, TypeError, ValueError, OverflowError):  # runs of earlier versions do not say
            x = shapes(self.recipe.dataset).train.x
            return jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)


def load_run(run_dir: Path | str, recipe: Recipe | None = None) -> KeptRun:
    """Open the run that `jaxd2l train` or `jaxd2l.fit(..., run_dir=...)` keeps in a folder, finished or not.

    Args:
        run_dir: the folder.
        recipe: what it was trained with, where that is no recipe of this package; its settings are the folder's.

    Raises:
        DataError: the folder is no run folder, or what it holds is damaged.
        OSError: it cannot be read.
    """
    folder = Path(run_dir)
    found, config = recipe_of(folder, recipe)
    epochs = tuple(EpochResult(**row) for row in whole_rows(folder))
    described, seed = config.get("data"), config.get("seed", 0)
    classes = described.get("classes", []) if isinstance(described, dict) else []
    if not isinstance(seed, int) or not isinstance(classes, list):
        raise DataError(
            f"{folder / CONFIG}: expected a number as seed and a list of classes, got {seed!r}, {classes!r}"
        )
    classes = tuple(classes)
    if not classes and found.hits is not None and recipe is None:
        classes = shapes(found.dataset).classes
    return KeptRun(folder, found, seed, epochs, classes, config)
