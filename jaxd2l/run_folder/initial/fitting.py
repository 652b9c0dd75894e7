"""Which of given weights a network takes over, and which layers are drawn anew: those that put the classes out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import DataError, Dataset
from jaxd2l.interop.safetensors_file import printable
from jaxd2l.nn.parameters import arranged, described, differences, flat
from jaxd2l.run_folder.initial.source import Source
from jaxd2l.train import Recipe, TrainState

PyTree = Any
Shape = tuple[int, ...]


class Fit(NamedTuple):
    """Weights as a network takes them.

    Attributes:
        taken: by name, such as `params.Conv_0.kernel`.
        anew: names of the network's arrays that are drawn from the run's seed.
        note: which layers these are of and why, in a line; "" where there are none.
    """

    taken: Mapping[str, np.ndarray]
    anew: tuple[str, ...]
    note: str

    def weights(self, drawn: TrainState) -> tuple[PyTree, PyTree]:
        """`(params, batch_stats)` to begin with; what is drawn anew is that of the state `drawn`."""
        like = {"params": drawn.params, "batch_stats": drawn.batch_stats}
        own = flat(like, ".")
        trees = arranged({**self.taken, **{name: np.asarray(own[name]) for name in self.anew}}, like, ".")
        return trees["params"], trees["batch_stats"]


def fit_to_network(source: Source, recipe: Recipe, data: Dataset) -> Fit:
    """Compare weights with those of the recipe's network, by shapes alone.

    A layer whose arrays differ only where they count outputs is drawn anew.

    Args:
        source: the weights.
        recipe: whose network is to begin with them.
        data: arrays, or their shapes and types.

    Raises:
        DataError: names, shapes or types differ in anything else; all of it is listed.
    """
    image = recipe.input_shape(data.train.x)
    output, variables = jax.eval_shape(
        lambda x: recipe.model.init_with_output(jax.random.key(0), x, train=False),
        jax.ShapeDtypeStruct((1, *image), jnp.float32),
    )
    expected = flat({"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}, ".")
    found = source.tensors
    outputs = output.shape[-1]
    pairs = {name: (found[name].shape, a.shape) for name, a in expected.items() if name in found}
    other = {name: shapes for name, shapes in pairs.items() if shapes[0] != shapes[1]}
    before = {count for shapes in other.values() for count in _of_outputs(*shapes, outputs)}
    layers: tuple[str, ...] = ()
    if len(before) == 1 and all(_of_outputs(*shapes, outputs) for shapes in other.values()):
        layers = tuple(dict.fromkeys(name.rpartition(".")[0] for name in other))
    anew = tuple(name for name in expected if name.rpartition(".")[0] in layers)
    taken = {name: a for name, a in found.items() if name not in anew}
    rest = {name: a for name, a in expected.items() if name not in anew}
    if wrong := differences(described(taken), described(rest), printable):
        hint = "".join(_of_channels(*shapes, image) for shapes in other.values())
        raise DataError(f"{source.shown} does not fit the network of recipe {recipe.name}: {'; '.join(wrong)}{hint}")
    if not layers:
        return Fit(taken, (), "")
    what = "classes" if recipe.takes_labels else "outputs"
    names = ", ".join(layer.removeprefix("params.").replace(".", "/") for layer in layers)
    return Fit(taken, anew, f"{names} drawn anew: {before.pop()} {what} there, {outputs} here")


def _of_outputs(there: Shape, here: Shape, outputs: int) -> set[int]:
    """How many outputs the array counts there, where it differs in nothing else from the one here; else none."""
    if len(there) != len(here):
        return set()
    differing = {pair for pair in zip(there, here, strict=True) if pair[0] != pair[1]}
    if len(differing) != 1 or there[-1] == here[-1]:
        return set()
    (before, after), *_ = differing
    return {before} if after == outputs else set()


def _of_channels(there: Shape, here: Shape, image: Shape) -> str:
    """What to do where a first convolution takes other channels than the images have."""
    first = len(there) == len(here) == len(image) + 1 and here[-2] == image[-1]
    if not first or there[-2] == here[-2] or (*there[:-2], there[-1]) != (*here[:-2], here[-1]):
        return ""
    does = f"--channels {there[-2]} reads pictures of your own so" if there[-2] in (1, 3) else "take other weights"
    return f". The weights are for images of channels: {there[-2]}, and these have {here[-2]}; {does}"
