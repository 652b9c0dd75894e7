"""A trained network looked into: its answers on the test examples, its units, kernels and feature maps.

The test part is predicted once, in compiled batches. Where that would take long on the device at hand, fewer examples
are looked at, and how many is part of the result.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxd2l.data import Dataset
from jaxd2l.data.streaming import OnDisk
from jaxd2l.nn.parameters import flat
from jaxd2l.prediction.predictor import Predictor
from jaxd2l.report.activations import Layer, maps, units
from jaxd2l.report.judgement import Judgement, judge
from jaxd2l.train import Recipe

PyTree = Any

CPU_FLOPS = 4e11  # what a test set may take: some seconds on two cores
ACCELERATOR_FLOPS = 1e14
ON_DISK_BYTES = 2**28  # of pixels that are read for a page, where they do not lie in memory


class Inspection(NamedTuple):
    """What was found; every part that could not be is None or empty, and `problems` says why.

    Attributes:
        examples: test examples looked at, the first of them.
        of: how many there are.
        judgement: of a classifier.
        outputs: of a regression (n, outputs).
        layers: activations and how active their units are.
        kernel: name and kernel (kh, kw, channels, features) of the first convolution.
        feature_maps: of the first test example, `(name, (h, w, c))` each.
        problems: a sentence each.
    """

    examples: int
    of: int
    judgement: Judgement | None
    outputs: np.ndarray | None
    layers: list[Layer]
    kernel: tuple[str, np.ndarray] | None
    feature_maps: list[tuple[str, np.ndarray]]
    problems: tuple[str, ...]


def inspect(
    recipe: Recipe, params: PyTree, batch_stats: PyTree, data: Dataset, flops_an_example: float | None = None
) -> Inspection:
    """Look into a trained network.

    Args:
        recipe: the network.
        params: its parameters.
        batch_stats: its running statistics.
        data: whose test part it is judged on.
        flops_an_example: of one prediction, by which the examples are limited; all are taken where it is not known.

    Returns:
        All that could be found.
    """
    of = len(data.test.x)
    examples = of if not flops_an_example else min(of, max(200, int(_affordable() / flops_an_example)))
    inputs: Any = data.test.x
    if isinstance(inputs, OnDisk):
        examples = min(examples, max(1, ON_DISK_BYTES * of // inputs.nbytes))
    x, y = np.asarray(data.test.x[:examples]), np.asarray(data.test.y[:examples])
    problems: list[str] = []

    def attempt(what: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:  # one part that fails must not take the others along
            problems.append(
                f"{what} could not be computed: {' '.join(str(error).split())[:300] or type(error).__name__}."
            )
            return None

    size = min(recipe.batch_size, max(1, examples))
    predictor = attempt(
        "The predictions",
        lambda: Predictor(recipe, params, batch_stats, data.classes, x.shape[1:], x.dtype, batch_size=size),
    )
    judgement = outputs = None
    if predictor is not None and recipe.hits is not None:
        judgement = attempt("The predictions", lambda: judge(predictor.predict_proba(x), y))
    elif predictor is not None:
        outputs = attempt("The predictions", lambda: predictor.predict(x))
    variables = {"params": params, "batch_stats": batch_stats}

    def apply(variables: PyTree, stored: jax.Array) -> jax.Array:
        return recipe.model.apply(variables, recipe.prepare()(stored), train=False)

    layers = attempt("The units", lambda: units(apply, variables, x, size)) or []
    shown = attempt("The feature maps", lambda: maps(apply, variables, x[0])) if x.ndim == 4 else None
    return Inspection(
        examples, of, judgement, outputs, layers, first_kernel(params), shown or [], tuple(dict.fromkeys(problems))
    )


def first_kernel(params: PyTree) -> tuple[str, np.ndarray] | None:
    """The first convolution over images by name, and its kernel; None without any.

    Flax sorts `Conv_10` before `Conv_2`; the number of the first is 0 everywhere in this library.
    """
    for name, leaf in flat(params).items():
        if name.endswith("kernel") and np.ndim(leaf) == 4 and "Conv" in name and leaf.shape[2] <= 4:
            return name.removesuffix("/kernel"), np.asarray(leaf)
    return None


def _affordable() -> float:
    return CPU_FLOPS if jax.default_backend() == "cpu" else ACCELERATOR_FLOPS
