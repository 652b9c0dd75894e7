"""Day 14 to 20: LeNet, AlexNet, VGG, network in network, GoogLeNet: what they are, and what training gives."""

import dataclasses
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.claims import stored
from jaxd2l.claims.claim import Claim, Seeds, seeds
from jaxd2l.claims.comparison import at_least, one_more_seed, within
from jaxd2l.cost import Cost, cost
from jaxd2l.data import Dataset
from jaxd2l.nn import conv3d, max_pool
from jaxd2l.nn.models.googlenet import Inception
from jaxd2l.nn.parameters import flat
from jaxd2l.recipes import RECIPES, find, load_data
from jaxd2l.train import EpochResult, compile_program, fit

SEEDS = 5
LENET = (
    *(
        (2.316, 0.103, 0.166),
        (1.327, 0.482, 0.568),
        (0.843, 0.668, 0.674),
        (0.700, 0.727, 0.698),
        (0.635, 0.753, 0.762),
    ),
    *(
        (0.590, 0.771, 0.753),
        (0.549, 0.789, 0.793),
        (0.515, 0.803, 0.778),
        (0.492, 0.813, 0.754),
        (0.469, 0.823, 0.822),
    ),
)
CONV_RELU = (
    *(
        (1.152, 0.557, 0.694),
        (0.619, 0.763, 0.694),
        (0.492, 0.816, 0.778),
        (0.434, 0.838, 0.833),
        (0.392, 0.854, 0.851),
    ),
    *(
        (0.367, 0.864, 0.833),
        (0.346, 0.871, 0.788),
        (0.333, 0.875, 0.857),
        (0.317, 0.882, 0.863),
        (0.308, 0.885, 0.870),
    ),
)
FOUR = ("lenet", "alexnet", "vgg11", "nin", "googlenet")
NO_ACCELERATOR = "ten epochs take hours on a CPU, and no accelerator's result is stored; --full trains it"


def _figures(results: Sequence[EpochResult]) -> list[list[float]]:
    return [[r.train_loss, r.train_accuracy or 0.0, r.test_accuracy or 0.0] for r in results]


@cache
def _trained(name: str, learning_rate: float | None = None, number: int = SEEDS) -> Seeds:
    """Train a recipe over seeds, compiled once: (seeds, epochs, 3)."""
    recipe = find(name)
    recipe = recipe if learning_rate is None else dataclasses.replace(recipe, learning_rate=learning_rate)
    data = load_data(recipe)
    program = compile_program(recipe, data)
    return seeds([_figures(fit(recipe, data, seed, program=program).epochs) for seed in range(number)])


def _swap(data: Dataset) -> Dataset:
    return data._replace(train=data.test, test=data.train)


def _swapped(name: str) -> Seeds:
    """One training on the 10,000 test images, judged by the 60,000 training images: (1, epochs, 3)."""
    recipe = find(name)
    return seeds([_figures(fit(recipe, _swap(load_data(recipe))).epochs)])


def _lenet(day: int, says: str, notes: tuple[float, ...], name: str) -> Claim:
    """Loss and accuracies after the last epoch: of the kept seeds, or trained again with `--full`."""
    return Claim(
        "lenet",
        day,
        says,
        notes,
        lambda: stored.last(name),
        one_more_seed,
        again=lambda: seeds(_trained(name)[:, -1]),
        stored=stored.provenance(name),
    )


def _curve(day: int, says: str, table: Any, name: str) -> Claim:
    return Claim(
        "lenet",
        day,
        says,
        table,
        lambda: stored.curves(name),
        one_more_seed,
        again=lambda: _trained(name),
        stored=stored.provenance(name),
    )


def _deep(row: str, day: int, says: str, notes: float, name: str) -> Claim:
    """Test accuracy of a network at 96 or 224 pixels, trained with `--full` alone."""
    return Claim(
        row,
        day,
        says,
        notes,
        None,
        within(0.05),
        again=lambda: float(_trained(name, None, 1)[0, -1, 2]),
        reason=NO_ACCELERATOR,
    )


@cache
def _shapes(name: str) -> dict[str, tuple[int, ...]]:
    recipe = RECIPES[name]
    size = recipe.image_size or 28
    made = jax.eval_shape(
        partial(recipe.model.init, train=False),
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32),
    )
    return {path: leaf.shape for path, leaf in flat(made["params"]).items()}


def _kernels(name: str) -> list[tuple[int, ...]]:
    return [shape for path, shape in _shapes(name).items() if path.endswith("kernel")]


def _layers(name: str) -> list[int]:
    """Convolutions and dense layers."""
    return [sum(len(shape) == rank for shape in _kernels(name)) for rank in (4, 2)]


def _windows(name: str) -> list[int]:
    return [shape[0] for shape in _kernels(name) if len(shape) == 4]


def _inception() -> list[int]:
    block = Inception((64, (96, 128), (16, 32), 32))
    out = jax.eval_shape(block.init_with_output, jax.random.key(0), jax.ShapeDtypeStruct((1, 12, 12, 192), jnp.float32))
    return list(out[0].shape[1:])


def _blocks() -> int:
    return len({path.split("/")[0] for path in _shapes("googlenet") if path.startswith("Inception")})


@cache
def _cost(name: str) -> Cost:
    return cost(RECIPES[name])


def _four_answers() -> int:
    """Of the networks, how many have all four answers."""
    found = [_cost(name) for name in FOUR]
    return sum(min(c.parameters, c.macs, c.train.total, c.predict.total) > 0 for c in found)


def _video() -> list[int]:
    x = conv3d(jnp.ones((1, 8, 28, 28, 1)), jnp.ones((3, 3, 3, 1, 2)), padding=1)
    return list(max_pool(x, 2).shape[1:])


@cache
def _lost_by_swapping() -> float:
    """Test accuracy of the perceptron less that with its sets swapped."""
    return float(stored.last("mlp")[:, 2].mean() - _swapped("mlp")[0, -1, 2])


CLAIMS = (
    Claim("lenet", 14, "LeNet has two convolutions and three dense layers.", [2, 3], lambda: _layers("lenet")),
    Claim(
        "lenet",
        14,
        "Its dense layers have 120, 84 and 10 outputs.",
        [120, 84, 10],
        lambda: [shape[1] for shape in _kernels("lenet") if len(shape) == 2],
    ),
    Claim(
        "lenet",
        14,
        "A 2x2 pool with stride 2 halves each side.",
        [14, 14],
        lambda: list(max_pool(jnp.ones((1, 28, 28, 1)), 2).shape[1:3]),
    ),
    _lenet(14, "LeNet, rate .9: loss, training and test accuracy.", LENET[-1], "lenet"),
    _curve(14, "The notes' table of all ten epochs, as a curve.", LENET, "lenet"),
    Claim(
        "lenet",
        15,
        "All ReLU at rate .9 hardly converges: best test accuracy of any seed and epoch (chance is .1).",
        None,
        lambda: float(stored.curves("lenet_relu_at_0.9")[..., 2].max()),
        within(0.005),
        truth=0.1,
        again=lambda: float(_trained("lenet_relu", 0.9)[..., 2].max()),
        stored=stored.provenance("lenet_relu_at_0.9"),
    ),
    _lenet(15, "All ReLU, rate .1.", (0.332, 0.877, 0.863), "lenet_relu"),
    _lenet(15, "ReLU in the convolutions alone (rate .9; the notes name none).", CONV_RELU[-1], "lenet_conv_relu"),
    _curve(15, "The notes' table of all ten epochs, as a curve.", CONV_RELU, "lenet_conv_relu"),
    Claim(
        "alexnet",
        17,
        "3-D convolution and pool over time: a clip of 8 frames of 28x28.",
        None,
        _video,
        truth=[4, 14, 14, 2],
    ),
    Claim("alexnet", 17, "AlexNet has 5 convolutions and 3 dense layers.", [5, 3], lambda: _layers("alexnet")),
    Claim(
        "slip_alexnet",
        17,
        "AlexNet's windows are 10, 5, 3, 3, 3.",
        [10, 5, 3, 3, 3],
        lambda: _windows("alexnet"),
        truth=[11, 5, 3, 3, 3],
    ),
    _deep("alexnet", 17, "AlexNet: test accuracy.", 0.882, "alexnet"),
    Claim(
        "alexnet",
        17,
        "AlexNet with training and test set swapped: test accuracy.",
        0.789,
        None,
        within(0.05),
        again=lambda: float(_swapped("alexnet")[0, -1, 2]),
        reason=NO_ACCELERATOR,
    ),
    Claim(
        "slip_swapped",
        17,
        "The first run of AlexNet learned from the training images. Swapped as they were, the sets leave it",
        60_000,
        lambda: len(_swap(load_data(find("alexnet"))).train.x),
        truth=10_000,
    ),
    Claim(
        "slip_swapped",
        17,
        "AlexNet's test accuracy lost .093 by that; the perceptron's, with its sets swapped, loses at least .02.",
        None,
        _lost_by_swapping,
        at_least,
        truth=0.02,
    ),
    Claim("vgg", 18, "VGG-11 has 8 convolutions and 3 dense layers.", [8, 3], lambda: _layers("vgg11")),
    Claim("vgg", 18, "Its windows are all 3x3.", [3] * 8, lambda: _windows("vgg11")),
    _deep("vgg", 18, "VGG-11: test accuracy.", 0.918, "vgg11"),
    Claim(
        "nin",
        19,
        "NiN has no dense layer; its windows are 11, 5, 3, 3, each with two of 1.",
        [11, 1, 1, 5, 1, 1, 3, 1, 1, 3, 1, 1],
        lambda: _windows("nin"),
    ),
    Claim(
        "nin",
        19,
        "Without dense layers it has far fewer parameters: AlexNet's over NiN's.",
        None,
        lambda: _cost("alexnet").parameters / _cost("nin").parameters,
        at_least,
        truth=20,
    ),
    _deep("nin", 19, "NiN: test accuracy.", 0.845, "nin"),
    Claim("nin", 19, "NiN trains in 654.6 s.", 654.6, None, reason="a time on the notes' own GPU"),
    Claim(
        "four_questions",
        19,
        "How many parameters, how much computation, how much memory to train and to predict: answered for "
        f"{', '.join(FOUR)}; all by `jaxd2l cost --all`.",
        None,
        _four_answers,
        truth=len(FOUR),
    ),
    Claim(
        "googlenet",
        20,
        "An Inception block keeps the size and stacks its paths: 12x12x192 to",
        None,
        _inception,
        truth=[12, 12, 256],
    ),
    Claim("googlenet", 20, "GoogLeNet has nine Inception blocks.", 9, _blocks),
    Claim("googlenet", 20, "A mean over the image leaves one dense layer.", 1, lambda: _layers("googlenet")[1]),
    _deep("googlenet", 20, "GoogLeNet: test accuracy.", 0.874, "googlenet"),
    Claim("googlenet", 20, "GoogLeNet trains in 477 s.", 477, None, reason="a time on the notes' own GPU"),
)
