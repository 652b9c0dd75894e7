"""What both estimators are: parameters in, a training by the library's loop, plain arrays kept."""

import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from jaxd2l.data.division import held_out_rows
from jaxd2l.data.examples import LARGEST_SEED
from jaxd2l.nn.parameters import flat
from jaxd2l.prediction import Predictor
from jaxd2l.sklearn.inputs import as_stored
from jaxd2l.sklearn.programs import dataset_of, predictor_for, training_of
from jaxd2l.sklearn.recipe import recipe_for
from jaxd2l.sklearn.rows import Weighted, different_rows, some_weight
from jaxd2l.train.loop import beginning, fit
from jaxd2l.train.program import Weights, initial_state
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.results import EpochResult
from jaxd2l.train.state import TrainState, run_keys
from jaxd2l.wording import counted

PyTree = Any

SETTINGS = (  # fields of `Recipe` that an estimator has too
    *("epochs", "batch_size", "learning_rate", "weight_decay", "optimizer", "momentum", "schedule", "warmup"),
    *("clip_norm", "early_stop", "ema", "augment", "mixup", "label_smoothing", "image_size", "precision", "freeze"),
)
_predictors: weakref.WeakKeyDictionary[Any, tuple[Weights, Predictor]] = weakref.WeakKeyDictionary()


class JaxEstimator(BaseEstimator):
    """Training and what is kept of it; see `JaxClassifier` and `JaxRegressor`."""

    network: Any
    validation_fraction: float
    image_shape: Sequence[int] | None
    random_state: Any

    n_features_in_: int
    recipe_: Recipe
    params_: PyTree
    batch_stats_: PyTree
    epochs_: tuple[EpochResult, ...]
    input_shape_: tuple[int, ...]
    input_dtype_: np.dtype
    _run_seed: int
    _state: list[np.ndarray] | None

    @property
    def n_iter_(self) -> int:
        """Epochs that were made."""
        return len(self._fitted().epochs_)

    @property
    def loss_curve_(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [result.train_loss for result in self._fitted().epochs_]

    def _fitted(self) -> Self:
        check_is_fitted(self, "params_")
        return self

    def _train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, classes: Sequence[str]) -> None:
        """Train from the beginning.

        Args:
            x: stored inputs (n, ...).
            y: int32 labels (n,), or float32 values (n, k).
            weight: of each row (n,), not all 0.
            classes: the name of each label; none for a regression.
        """
        rows = different_rows(*(a[weight > 0] for a in (x, y, weight)))
        recipe, seed, held = self._recipe_for(rows, classes), self._seed(), None
        if recipe.early_stop is not None:
            chosen = held_out_rows(rows.y, _share(self.validation_fraction), seed)
            if not chosen.any():
                raise ValueError(
                    "early_stop takes a validation part, and no class has two of the "
                    f"{counted(len(chosen), 'different row')}; give more, or early_stop=None"
                )
            rows, held = rows.part(~chosen), rows.part(chosen)
        training = training_of(recipe, rows, held, classes)
        best: list[Any] = []

        def on_epoch(result: EpochResult, state: TrainState) -> None:
            if held is not None and (not best or result.score > best[0]):
                best[:] = result.score, jax.tree.map(np.array, state.deciding)

        run = fit(
            training.recipe,
            training.data,
            seed,
            program=training.program,
            on_epoch=on_epoch,
            best_weights=lambda: best[1],
            with_test=False,
        )
        self._keep(recipe, rows, seed, run.epochs, best[1] if best else run.state.deciding, None)

    def _train_on(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, classes: Sequence[str]) -> None:
        """One epoch more, from where the estimator stands, or from the beginning; see `_train`."""
        rows = different_rows(*(a[weight > 0] for a in (x, y, weight)))
        begun = hasattr(self, "params_")
        recipe = self.recipe_ if begun else self._recipe_for(rows, classes)
        if not recipe.course.is_constant:
            raise ValueError(
                f"partial_fit has no number of epochs that a {recipe.schedule} schedule with warmup {recipe.warmup:g} "
                "could be laid out for; leave schedule and warmup out, or call fit"
            )
        done, weights = (self.epochs_, (self.params_, self.batch_stats_)) if begun else ((), None)
        seed = self._run_seed if begun else self._seed()
        one_more = dataclasses.replace(recipe, early_stop=None, epochs=len(done) + 1)
        training = training_of(one_more, rows, None, classes)
        state = initial_state(training.program, seed, recipe.learning_rate, recipe.weight_decay, weights)
        if begun and self._state is not None:
            state = jax.tree.unflatten(jax.tree.structure(state), self._state)
        run = fit(
            training.recipe,
            training.data,
            seed,
            program=training.program,
            start=beginning(training.program, state)._replace(epoch=len(done) + 1),
            with_test=False,
        )
        leaves = [np.array(leaf) for leaf in jax.tree.leaves(run.state)]
        self._keep(recipe, rows, seed, (*done, *run.epochs), run.state.deciding, leaves)

    def _recipe_for(self, rows: Weighted, classes: Sequence[str]) -> Recipe:
        settings = {name: getattr(self, name, None) for name in SETTINGS}
        return recipe_for(self.network, settings, dataset_of(rows, classes))

    def _keep(
        self,
        recipe: Recipe,
        rows: Weighted,
        seed: int,
        epochs: tuple[EpochResult, ...],
        weights: Weights,
        state: list[np.ndarray] | None,
    ) -> None:
        """Plain arrays alone; `state` of a training that goes on."""
        params, batch_stats = jax.tree.map(np.array, tuple(weights))
        for name, leaf in flat((params, batch_stats)).items():
            if not np.isfinite(leaf).all():
                raise ArithmeticError(
                    f"the last update left {name} with numbers that are not finite; lower learning_rate"
                )
        self.recipe_, self.params_, self.batch_stats_ = recipe, params, batch_stats
        self.epochs_, self._run_seed, self._state = epochs, seed, state
        self.input_shape_, self.input_dtype_ = rows.x.shape[1:], rows.x.dtype
        _predictors.pop(self, None)

    def _outputs(self, x: np.ndarray, classes: int = 0) -> np.ndarray:
        """What the network puts out for rows of `X`, float64 (n, outputs)."""
        weights = self.params_, self.batch_stats_
        kept = _predictors.get(self)
        if kept is None or any(a is not b for a, b in zip(kept[0], weights, strict=True)):
            kept = weights, predictor_for(self.recipe_, *weights, classes, self.input_shape_, self.input_dtype_)
            _predictors[self] = kept
        return kept[1].outputs(self._stored(x)).astype(np.float64)

    def _stored(self, x: np.ndarray, *, reset: bool = False) -> np.ndarray:
        """Rows in the shape and type that were trained on; in their own where the estimator is to know these.

        Raises:
            ValueError: another shape, or numbers that the type cannot hold.
        """
        stored = as_stored(x, self.image_shape, None if reset else self.input_dtype_)
        if not reset and stored.shape[1:] != self.input_shape_:
            raise ValueError(f"X has rows of shape {stored.shape[1:]}, but was trained on {self.input_shape_}")
        return stored

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer) and not isinstance(self.random_state, bool):
            run_keys(int(self.random_state))  # refuses what is no seed
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(LARGEST_SEED, dtype=np.uint32))

    def _weights(self, sample_weight: Any, x: np.ndarray) -> np.ndarray:
        """The weight of each row, float64 (n,).

        Raises:
            ValueError: they are not finite, below 0, or all 0.
        """
        return some_weight(_check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True))


def _share(fraction: Any) -> float:
    fraction = float(fraction) if isinstance(fraction, np.floating) else fraction
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ValueError(f"validation_fraction must be between 0 and 1, got {fraction!r}")
    return fraction
