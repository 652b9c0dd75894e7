"""A classifier of scikit-learn over any recipe or network."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import column_or_1d

from jaxd2l.sklearn.estimator import JaxEstimator
from jaxd2l.sklearn.inputs import checked
from jaxd2l.sklearn.rows import some_weight


class JaxClassifier(ClassifierMixin, JaxEstimator):
    """A network that tells classes apart.

        JaxClassifier().fit(X, y).predict_proba(X)
        JaxClassifier("lenet", image_shape=(28, 28, 1), epochs=5, random_state=0)
        JaxClassifier(MLP(hidden=(64, 64)), learning_rate=0.003, early_stop=5)

    What is learned is a function of the rows, their weights and `random_state`: their order says nothing, a row of
    weight 2 is a row given twice, and one of weight 0 is left out.

    Args:
        network: the name of a recipe, a `Recipe`, a Flax network, or None for `jaxd2l.sklearn.TABLE`, by whose settings
            a network is trained too. The number of outputs follows the classes.
        epochs, batch_size, learning_rate, weight_decay, optimizer, momentum, schedule, warmup, clip_norm, early_stop,
            ema, augment, mixup, label_smoothing, image_size, precision, freeze: of `Recipe`; None leaves the recipe's.
        validation_fraction: of the rows, held out of the training where `early_stop` says how many epochs to wait for
            a better one; the best epoch's weights are kept then.
        class_weight: a weight for each class, 1 for one that has none, "balanced", or None; it multiplies
            `sample_weight`. Balanced classes weigh the same altogether, of those among the rows.
        image_shape: (height, width, channels) of pictures that are given flattened.
        random_state: an integer is the seed of the run; None draws one.

    Attributes:
        classes_: the labels, sorted.
        recipe_: what was trained.
        params_, batch_stats_: the network's weights, arrays of NumPy.
        epochs_: what each epoch came to.
        n_iter_, loss_curve_: how many they were, and the mean training loss of each.
        n_features_in_, feature_names_in_: as in every estimator; of pictures all numbers of one.
    """

    classes_: np.ndarray

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
        label_smoothing: float | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.image_shape = image_shape
        self.image_size = image_size
        self.precision = precision
        self.freeze = freeze
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train from the beginning.

        Args:
            X: a table (n, features); or pictures (n, height, width), (n, height, width, channels) or, with
                `image_shape`, flattened: bytes are scaled to [0, 1] and float pictures are taken as they are.
            y: labels (n,) of any type.
            sample_weight: (n,), at least 0.

        Raises:
            ValueError: no such data, or settings out of range.
            DivergenceError: the loss became non-finite.
        """
        x, labels, weight = self._checked(X, y, sample_weight, reset=True)
        classes, y = np.unique(labels[weight > 0], return_inverse=True)
        self._learn(x[weight > 0], y, weight[weight > 0], classes, one_more=False)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch more over these rows, by the settings it began with; the first call begins, where `fit` has not.

        Args:
            X: as in `fit`.
            y: likewise, of the classes known.
            classes: all labels there are, in the first call.
            sample_weight: as in `fit`.

        Raises:
            ValueError: as `fit`, a label that is none of the classes, or no classes in the first call.
        """
        first = not hasattr(self, "params_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        known = unique_labels(classes) if first else self.classes_
        if not first and classes is not None and not np.array_equal(unique_labels(classes), known):
            raise ValueError(f"classes {classes!r} are not those of the first call, {known!r}")
        x, labels, weight = self._checked(X, y, sample_weight, reset=first)
        if outside := sorted(set(labels.tolist()) - set(known.tolist()), key=str):
            raise ValueError(f"y has the label {outside[0]!r}, which is none of the classes {known.tolist()}")
        self._learn(x, np.searchsorted(known, labels), weight, known, one_more=True)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, in the order of `classes_`: float64 (n, classes)."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of each probability, float64 (n, classes)."""
        x, _ = checked(self._fitted(), X)
        logits = self._outputs(x, len(self.classes_))
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row, (n,)."""
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _checked(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = checked(self, X, y, reset=reset)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        weight = self._weights(sample_weight, x)
        return self._stored(x, reset=reset), labels, weight

    def _learn(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, classes: np.ndarray, *, one_more: bool) -> None:
        if self.class_weight is not None:
            weight = some_weight(weight * _factors(self.class_weight, classes, y, weight)[y])
        train = self._train_on if one_more else self._train
        train(x, y.astype(np.int32), weight, [str(k) for k in range(len(classes))])
        self.classes_ = classes


def _factors(class_weight: Any, classes: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """By what the weight of a row of each class is multiplied, float64 (classes,).

    Args:
        class_weight: see `JaxClassifier`.
        classes: all that are known.
        y: the place of each row's among them.
        weight: of each row, not all 0.

    Raises:
        ValueError: another word, a weight below 0 or not finite, or a key that is no class where a class has no weight.
    """
    factors = np.ones(len(classes))
    if isinstance(class_weight, Mapping):
        labels = classes.tolist()
        without = [label for label in labels if label not in class_weight]
        if without and len(labels) - len(without) != len(class_weight):
            raise ValueError(f"The classes, {without}, are not in class_weight")
        factors[:] = [class_weight.get(label, 1) for label in labels]
    else:
        rows = weight > 0
        present = np.unique(y[rows])
        factors[present] = compute_class_weight(class_weight, classes=present, y=y[rows], sample_weight=weight[rows])
    if not (np.isfinite(factors).all() and (factors >= 0).all()):
        raise ValueError(f"class_weight must be finite numbers of at least 0, got {class_weight!r}")
    return factors
