"""Day 17 to 20: AlexNet, VGG, network in network, GoogLeNet: what they are, and what training gives."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.claims import stored, trained
from jaxd2l.claims.claim import Claim, Seeds, seeds
from jaxd2l.claims.comparison import at_least, within
from jaxd2l.cost import Cost, cost
from jaxd2l.nn import conv3d, max_pool
from jaxd2l.nn.models.googlenet import Inception
from jaxd2l.recipes import RECIPES, find, load_data

FOUR = ("lenet", "alexnet", "vgg11", "nin", "googlenet")
NO_ACCELERATOR = "ten epochs take hours on a CPU, and no accelerator's result is stored; --full trains it"


def _deep(row: str, day: int, says: str, notes: float, recipe: str, swapped: bool = False) -> Claim:
    """Test accuracy of a network at 96 or 224 pixels: read where its ten epochs are kept, else of `--full` alone."""
    name = f"{recipe} swapped" if swapped else recipe
    kept = stored.is_there(name)

    def again(trainings: trained.Trainings) -> float:
        made = trainings.swapped(recipe) if swapped else trainings.over_seeds(recipe, None, 1)
        return float(made[0, -1, 2])

    return Claim(
        row,
        day,
        says,
        notes,
        (lambda: float(stored.last(name)[0, 2])) if kept else None,
        within(0.05),
        again=again,
        stored=stored.provenance(name) if kept else "",
        reason="" if kept else NO_ACCELERATOR,
    )


def _windows(name: str) -> list[Any]:
    """Sides of a network's windows, in order; pairs of height and width where one is no square."""
    windows = [shape[:2] for shape in trained.kernels(name) if len(shape) == 4]
    return [high for high, _ in windows] if all(high == wide for high, wide in windows) else windows


def _inception() -> list[int]:
    block = Inception((64, (96, 128), (16, 32), 32))
    out = jax.eval_shape(block.init_with_output, jax.random.key(0), jax.ShapeDtypeStruct((1, 12, 12, 192), jnp.float32))
    return list(out[0].shape[1:])


def _blocks() -> int:
    return len({path.split("/")[0] for path in trained.shapes("googlenet") if path.startswith("Inception")})


@cache
def cost_of(name: str) -> Cost:
    """What a recipe costs, by its name; counted once."""
    return cost(RECIPES[name])


def _four_answers() -> int:
    """Of the networks, how many have all four answers."""
    found = [cost_of(name) for name in FOUR]
    return sum(min(c.parameters, c.macs, c.train.total, c.predict.total) > 0 for c in found)


def _video() -> list[int]:
    x = conv3d(jnp.ones((1, 8, 28, 28, 1)), jnp.ones((3, 3, 3, 1, 2)), padding=1)
    return list(max_pool(x, 2).shape[1:])


def _lost(last: Seeds, trainings: trained.Trainings) -> float:
    """Test accuracy of the perceptron, by the figures after its last epoch, less that with its sets swapped."""
    return float(last[:, 2].mean() - trainings.swapped("mlp")[0, -1, 2])


@cache
def _lost_by_swapping() -> float:
    return _lost(stored.last("mlp"), trained.Trainings())


CLAIMS = (
    Claim(
        "alexnet",
        17,
        "3-D convolution and pool over time: a clip of 8 frames of 28x28.",
        None,
        _video,
        truth=[4, 14, 14, 2],
    ),
    Claim("alexnet", 17, "AlexNet has 5 convolutions and 3 dense layers.", [5, 3], lambda: trained.layers("alexnet")),
    Claim(
        "slip_alexnet",
        17,
        "AlexNet's windows are 10, 5, 3, 3, 3.",
        [10, 5, 3, 3, 3],
        lambda: _windows("alexnet"),
        truth=[11, 5, 3, 3, 3],
    ),
    _deep("alexnet", 17, "AlexNet: test accuracy.", 0.882, "alexnet"),
    _deep("alexnet", 17, "AlexNet with training and test set swapped: test accuracy.", 0.789, "alexnet", swapped=True),
    Claim(
        "slip_swapped",
        17,
        "The first run of AlexNet learned from the training images. Swapped as they were, the sets leave it",
        60_000,
        lambda: len(trained.swap(load_data(find("alexnet"))).train.x),
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
        again=lambda trainings: _lost(seeds(trainings.over_seeds("mlp")[:, -1]), trainings),
        stored=stored.provenance("mlp"),
    ),
    Claim("vgg", 18, "VGG-11 has 8 convolutions and 3 dense layers.", [8, 3], lambda: trained.layers("vgg11")),
    Claim("vgg", 18, "Its windows are all 3x3.", [3] * 8, lambda: _windows("vgg11")),
    _deep("vgg", 18, "VGG-11: test accuracy.", 0.918, "vgg11"),
    Claim("nin", 19, "NiN has 12 convolutions and no dense layer.", [12, 0], lambda: trained.layers("nin")),
    Claim(
        "nin",
        19,
        "Its windows are 11, 5, 3, 3, each with two of 1.",
        [11, 1, 1, 5, 1, 1, 3, 1, 1, 3, 1, 1],
        lambda: _windows("nin"),
    ),
    Claim(
        "nin",
        19,
        "Without dense layers it has far fewer parameters: AlexNet's over NiN's.",
        None,
        lambda: cost_of("alexnet").parameters / cost_of("nin").parameters,
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
    Claim("googlenet", 20, "A mean over the image leaves one dense layer.", 1, lambda: trained.layers("googlenet")[1]),
    _deep("googlenet", 20, "GoogLeNet: test accuracy.", 0.874, "googlenet"),
    Claim("googlenet", 20, "GoogLeNet trains in 477 s.", 477, None, reason="a time on the notes' own GPU"),
)
