"""Every experiment as a frozen value: its settings, their source, and the results published for them.

Settings and figures are those of the executed notebooks of *Dive into Deep Learning*: `zh` is the
official PyTorch run of the second Chinese edition (V100), `en` a second official run, and `notes`
one learner's own run of the same recipe. Each is a single run without a deviation.
"""

import difflib
from dataclasses import replace

from jaxd2l.data import SOURCES, Dataset, load
from jaxd2l.data.synthetic import linear_regression
from jaxd2l.nn import relu
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import MLP, LeNet, Linear, SoftmaxRegression
from jaxd2l.train.recipe import Published, Recipe

LINEAR = Recipe(
    name="linear",
    model=Linear(),
    dataset="synthetic_linear",
    learning_rate=0.03,
    epochs=3,
    batch_size=10,
    loss=squared_error,
    hits=None,
    source="D2L 3.2-3.5: w = [2, -3.4], b = 4.2, noise 0.01, 1,000 examples",
    parameters=3,
    macs=2,
    published=(Published("zh", train_loss=0.000051),),
)

SOFTMAX = Recipe(
    name="softmax",
    model=SoftmaxRegression(),
    dataset="fashion_mnist",
    learning_rate=0.1,
    image_size=28,
    source="D2L 4.5",
    parameters=7_850,
    macs=7_840,
    published=(Published("zh", 0.448, 0.848, 0.828), Published("en", None, None, 0.832)),
)

MLP_256 = Recipe(
    name="mlp",
    model=MLP(hidden=(256,)),
    dataset="fashion_mnist",
    learning_rate=0.1,
    image_size=28,
    source="D2L 5.2",
    parameters=203_530,
    macs=203_264,
    published=(Published("zh", 0.382, 0.865, 0.838), Published("en", None, None, 0.834)),
)

LENET = Recipe(
    name="lenet",
    model=LeNet(),
    dataset="fashion_mnist",
    learning_rate=0.9,
    image_size=28,
    source="D2L 7.6: sigmoid, average pooling",
    parameters=61_706,
    macs=416_520,
    published=(
        Published("zh", 0.469, 0.823, 0.779),
        Published("en", 0.457, 0.829, 0.809),
        Published("notes", 0.469, 0.823, 0.822),
    ),
)

LENET_RELU = replace(
    LENET,
    name="lenet_relu",
    model=LeNet(conv_activation=relu, dense_activation=relu),
    learning_rate=0.1,
    source="founding notes, day 15: ReLU throughout; at learning rate 0.9 it does not learn",
    published=(Published("notes", 0.332, 0.877, 0.863),),
)

LENET_CONV_RELU = replace(
    LENET,
    name="lenet_conv_relu",
    model=LeNet(conv_activation=relu),
    learning_rate=0.9,
    source="founding notes, day 15: ReLU in the convolutions, sigmoid in the dense layers",
    published=(Published("notes", 0.308, 0.885, 0.870),),
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (LINEAR, SOFTMAX, MLP_256, LENET, LENET_RELU, LENET_CONV_RELU)
}


def _synthetic_linear() -> Dataset:
    return Dataset("synthetic_linear", linear_regression(seed=0), linear_regression(seed=1))


SYNTHETIC = {"synthetic_linear": _synthetic_linear}


def find(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        ValueError: there is none; the message has the nearest names.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(RECIPES)}"
        raise ValueError(f"unknown recipe {name!r}; {hint} (see `jaxd2l list`)")
    return RECIPES[name]


def load_data(recipe: Recipe) -> Dataset:
    """The data that `recipe` names.

    Raises:
        ValueError: unknown data set, or one of another kind than the recipe's network takes.
        DataError: its files are not what they claim.
        OSError: its files cannot be read or downloaded.
    """
    if (recipe.dataset in SYNTHETIC) != (recipe.image_size is None) and recipe.dataset in {*SYNTHETIC, *SOURCES}:
        kind = ("images: " + ", ".join(SOURCES)) if recipe.image_size is not None else ", ".join(SYNTHETIC)
        raise ValueError(f"recipe {recipe.name} cannot use data set {recipe.dataset!r}; it takes {kind}")
    if recipe.dataset in SYNTHETIC:
        return SYNTHETIC[recipe.dataset]()
    return load(recipe.dataset)
