"""A regressor of scikit-learn over any recipe or network."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from jaxd2l.sklearn.estimator import JaxEstimator
from jaxd2l.sklearn.inputs import as_values, checked
from jaxd2l.wording import counted


class JaxRegressor(RegressorMixin, JaxEstimator):
    """A network that predicts one number or several, by the squared error unless its recipe has another loss.

        make_pipeline(StandardScaler(), JaxRegressor(random_state=0))

    Targets are learned as they are; far from 0 and 1 in size they are best given to
    `sklearn.compose.TransformedTargetRegressor(JaxRegressor(), transformer=StandardScaler())`.

    What is learned is a function of the rows, their weights and `random_state`, see `JaxClassifier`.

    Args:
        network: the name of a recipe, a `Recipe`, a Flax network, or None for `jaxd2l.sklearn.TABLE`, by whose settings
            a network is trained too. The number of outputs follows the targets.
        epochs, batch_size, learning_rate, weight_decay, optimizer, momentum, schedule, warmup, clip_norm, early_stop,
            ema, augment, mixup, image_size, precision, freeze: as in `Recipe`; None leaves the recipe's.
        validation_fraction: of the rows, held out of the training where `early_stop` says how many epochs to wait for
            a better one; the best epoch's weights are kept then.
        image_shape: (height, width, channels) of pictures that are given flattened.
        random_state: an integer is the seed of the run; None draws one.

    Attributes:
        recipe_: what was trained.
        params_, batch_stats_: the network's weights, arrays of NumPy.
        epochs_: what each epoch came to.
        n_iter_, loss_curve_: how many they were, and the mean training loss of each.
        n_features_in_, feature_names_in_: as in every estimator; of pictures all numbers of one.
    """

    _one_number: bool
    _outputs_trained: int

    def __init__(
        self,
        network: Any = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        optimizer: Any = None,
        momentum: float | None = None,
        schedule: str | None = None,
        warmup: float | None = None,
        clip_norm: float | None = None,
        early_stop: int | None = None,
        validation_fraction: float = 0.1,
        ema: float | None = None,
        augment: str | None = None,
        mixup: float | None = None,
        image_shape: Sequence[int] | None = None,
        image_size: int | None = None,
        precision: str | None = None,
        freeze: str | Sequence[str] | None = None,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.momentum = momentum
        self.schedule = schedule
        self.warmup = warmup
        self.clip_norm = clip_norm
        self.early_stop = early_stop
        self.validation_fraction = validation_fraction
        self.ema = ema
        self.augment = augment
        self.mixup = mixup
        self.image_shape = image_shape
        self.image_size = image_size
        self.precision = precision
        self.freeze = freeze
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train from the beginning.

        Args:
            X: as in `JaxClassifier.fit`.
            y: numbers (n,) or (n, outputs).
            sample_weight: (n,), at least 0.

        Raises:
            ValueError: no such data, or settings out of range.
            DivergenceError: the loss became non-finite.
        """
        self._train(*self._checked(X, y, sample_weight, reset=True), classes=())
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch more over these rows, by the settings it began with; the first call begins, where `fit` has not.

        Raises:
            ValueError: as `fit`, or another number of targets than before.
        """
        first = not hasattr(self, "params_")
        self._train_on(*self._checked(X, y, sample_weight, reset=first), classes=())
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers for each row: float64 (n,), or (n, outputs) where that was trained on."""
        x, _ = checked(self._fitted(), X)
        outputs = self._outputs(x)
        return outputs[:, 0] if self._one_number else outputs

    def _checked(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = checked(self, X, y, reset=reset, multi_output=True, y_numeric=True)
        values = as_values(y)
        if not reset and values.shape[1] != self._outputs_trained:
            raise ValueError(
                f"y has {counted(values.shape[1], 'number')} a row, expected {self._outputs_trained} as before"
            )
        if reset:
            self._one_number, self._outputs_trained = y.ndim == 1, values.shape[1]
        return self._stored(x, reset=reset), values, self._weights(sample_weight, x)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
