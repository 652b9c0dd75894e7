"""Prediction: a network's answer for any number of examples, compiled once.

Examples are given as the data set stores them (bytes for images), because bytes cannot be divided by 255 twice; the
recipe prepares them. The last batch is padded, so one executable serves one picture and ten thousand.
"""

import copy
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.earlier import place_of, remembered
from jaxd2l.nn import softmax
from jaxd2l.nn.parameters import differences, flat
from jaxd2l.train.compiler import compiled
from jaxd2l.train.program import identity
from jaxd2l.train.recipe import PRECISIONS, Recipe
from jaxd2l.train.state import variables_like
from jaxd2l.wording import counted

PyTree = Any

BATCH_SIZE = 32  # large enough for a test set, small enough for one picture through a deep network on a CPU


class Predictor:
    """A trained network that answers.

    Attributes:
        recipe: the network and how its examples are prepared.
        classes: names by label, the labels themselves where none have a name; () for regression.
        input_shape, input_dtype: of one stored example.
        batch_size: examples at a time.
        variables: the network's, as Flax takes them: `params` and `batch_stats`.
    """

    def __init__(
        self,
        recipe: Recipe,
        params: PyTree,
        batch_stats: PyTree,
        classes: Sequence[str],
        input_shape: Sequence[int],
        input_dtype: Any = np.uint8,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Check that everything fits; nothing is compiled yet.

        Args:
            recipe: whose network the parameters are of.
            params: the network's parameters.
            batch_stats: its running statistics, `{}` without batch normalisation.
            classes: names by label; () where none have a name, and for regression.
            input_shape: of one example as the data set stores it, such as (28, 28, 1).
            input_dtype: uint8 for images and clips.
            batch_size: examples at a time.

        Raises:
            ValueError: the parameters do not fit the network, the classes not its outputs, or the network refuses the
                shape.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.recipe, self.classes, self.batch_size = recipe, tuple(classes), int(batch_size)
        self.input_shape, self.input_dtype = tuple(int(n) for n in input_shape), np.dtype(input_dtype)
        self.variables = jax.device_put({"params": params, "batch_stats": batch_stats})
        outputs = self._outputs()
        if recipe.hits is not None and not self.classes:
            self.classes = tuple(map(str, range(outputs.shape[-1])))
        if recipe.hits is not None and outputs.shape[1:] != (len(self.classes),):
            raise ValueError(
                f"recipe {recipe.name} puts out {outputs.shape[1:]} for an example, expected ({len(self.classes)},): "
                "one logit a class; give the classes that it was trained on"
            )

    def predict_proba(self, images: Any) -> np.ndarray:
        """The probability of each class.

        Args:
            images: (n, *input_shape) in the stored dtype; n may be 0.

        Returns:
            Float32 (n, classes), each row summing to 1.

        Raises:
            ValueError: a regression has no classes; or images of another shape, dtype or range than the stored one.
            ArithmeticError: an output is not finite, because a weight is not.
        """
        if self.recipe.hits is None:
            raise ValueError(f"recipe {self.recipe.name} is a regression without classes; call predict")
        return np.asarray(softmax(jnp.asarray(self.outputs(images))))

    def predict(self, images: Any) -> np.ndarray:
        """The label of the most probable class, int64 (n,); for a regression its outputs, float32 (n, outputs).

        Raises:
            ValueError: see `predict_proba`.
            ArithmeticError: likewise.
        """
        outputs = self.outputs(images)
        return outputs if self.recipe.hits is None else outputs.argmax(axis=-1)

    def outputs(self, images: Any) -> np.ndarray:
        """What the network puts out in prediction mode: logits, or values for a regression; float32 (n, outputs).

        Raises:
            ValueError: see `predict_proba`.
            ArithmeticError: likewise.
        """
        x = stored_examples(images, self.input_shape, self.input_dtype)
        if not len(x):
            return np.zeros((0, *self._outputs().shape[1:]), np.float32)
        parts = []
        for first in range(0, len(x), self.batch_size):
            part = x[first : first + self.batch_size]
            full = np.concatenate([part, np.zeros((self.batch_size - len(part), *self.input_shape), x.dtype)])
            parts.append(np.asarray(self._executable(self.variables, full))[: len(part)])
        outputs = np.concatenate(parts)
        if not np.isfinite(outputs).all():
            row = int(np.argwhere(~np.isfinite(outputs))[0][0])
            raise ArithmeticError(
                f"the network's output for example {row} is not finite: weights of recipe {self.recipe.name} are not, "
                "or overflow; train again at a lower learning rate"
            )
        return outputs

    def apply(self, variables: PyTree, stored: jax.Array) -> jax.Array:
        """The pure function that is compiled: stored examples (b, *input_shape) to float32 outputs."""
        return self.apply_prepared(variables, self.recipe.prepare()(stored))

    def apply_prepared(self, variables: PyTree, x: jax.Array) -> jax.Array:
        """Likewise from inputs as the network sees them, prepared already."""
        dtype = PRECISIONS[self.recipe.precision]
        params = jax.tree.map(lambda leaf: leaf.astype(dtype), variables["params"])
        output = self.recipe.model.apply({**variables, "params": params}, x.astype(dtype), train=False)
        return jnp.asarray(output, jnp.float32)

    def with_weights(self, params: PyTree, batch_stats: PyTree) -> "Predictor":
        """The same network with other weights of the same shapes; what is compiled serves both.

        Raises:
            ValueError: the parameters do not fit the network.
        """
        other = copy.copy(self)
        other.variables = jax.device_put({"params": params, "batch_stats": batch_stats})
        other._outputs()
        return other

    def _like(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self.batch_size, *self.input_shape), self.input_dtype)

    def _outputs(self) -> jax.ShapeDtypeStruct:
        """The outputs' shape, from shapes alone.

        Raises:
            ValueError: the parameters do not fit the network, or it refuses the shape.
        """
        x = jax.eval_shape(lambda stored: self.recipe.prepare()(stored).astype(jnp.float32), self._like())
        needed = variables_like(self.recipe.model, x)
        for collection in ("params", "batch_stats"):
            found, expected = (
                {name: leaf.shape for name, leaf in flat(tree).items()}
                for tree in (self.variables[collection], needed.get(collection, {}))
            )
            if wrong := differences(found, expected):
                raise ValueError(
                    f"{collection} do not fit the network of recipe {self.recipe.name}: {'; '.join(wrong)}"
                )
        like = self._like()
        return remembered(
            place_of("outputs", (identity(self.recipe), like.shape, like.dtype)),
            lambda: jax.eval_shape(self.apply, self.variables, like),
        )

    @functools.cached_property
    def _executable(self) -> Any:
        return compiled(self.apply, (self.variables, self._like()), key=("prediction", identity(self.recipe)))


def stored_examples(images: Any, shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
    """Examples as they are stored, or the reason why these are none.

    Args:
        images: what the caller has; nothing about it is guessed.
        shape: of one stored example.
        dtype: of the stored data.

    Returns:
        (n, *shape) in `dtype`.

    Raises:
        ValueError: another rank, size, number of channels, dtype or range, numbers that the stored dtype does not hold,
            or masked ones; the message says what to do.
    """
    expected = f"(n, {', '.join(map(str, shape))}) of {np.dtype(dtype)}"
    if isinstance(images, np.ma.MaskedArray) and np.ma.is_masked(images):
        raise ValueError(f"images must be {expected}, got masked values among them; fill in what is missing")
    try:
        x = np.asarray(images)
    except (ValueError, TypeError) as error:
        raise ValueError(f"images must be one array {expected}: {error}") from error
    narrow = x.dtype.kind == "V" and jnp.issubdtype(x.dtype, jnp.floating)  # bfloat16, float8
    if not narrow and (x.dtype == object or x.dtype.kind in "USMmVc"):
        raise ValueError(f"images must be one array of numbers {expected}, got {x.dtype} of shape {x.shape}")
    if x.shape[1:] != shape:
        raise ValueError(f"images must be {expected}, got shape {x.shape}{_advice(x.shape, shape)}")
    if np.dtype(dtype) != np.uint8:
        with np.errstate(over="ignore", invalid="ignore"):
            stored = x.astype(dtype)
        if not np.isfinite(stored).all():
            raise ValueError(f"inputs must be finite, got {stored[~np.isfinite(stored)][0]} among them")
        if stored.dtype.kind in "biu" and (other := stored != x).any():
            raise ValueError(f"inputs must be {expected}, as in training, got {x[other][0]} among them")
        return stored
    if x.dtype != np.uint8:
        span = f" from {x.min():g} to {x.max():g}" if x.size and x.dtype != bool else ""
        known = "in [0, 1]: np.round(255 * x).astype(np.uint8)" if x.dtype.kind in "fb" else "as x.astype(np.uint8)"
        raise ValueError(f"images must be bytes 0 to 255 (uint8), got {x.dtype}{span}; convert them yourself, {known}")
    return x


def _advice(found: tuple[int, ...], shape: tuple[int, ...]) -> str:
    if found == shape:
        return "; one image is a batch of one: images[None]"
    if len(shape) > 1 and shape[-1] == 1 and found[1:] == shape[:-1]:
        return "; add the axis of channels: images[..., None]"
    if len(found) == len(shape) + 1 and len(shape) == 3:
        if (found[2], found[3], found[1]) == shape:
            return "; channels come last: images.transpose(0, 2, 3, 1)"
        if found[1:-1] == shape[:-1]:
            return f"; this network takes {counted(shape[-1], 'channel')}, not {found[-1]}"
        return "; convert_picture resizes picture files"
    return ""
