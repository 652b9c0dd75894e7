"""Every experiment as a frozen value: its settings, their source, and the results published for them.

Settings and figures are those of the executed notebooks of *Dive into Deep Learning*: `zh` is the
official PyTorch run of the second Chinese edition (V100), `en` a second official run, and `notes`
one learner's own run of the same recipe. Each is a single run without a deviation.
"""

import difflib
from dataclasses import replace

import flax.linen as nn

from jaxd2l.data import SOURCES, Dataset, load
from jaxd2l.data.synthetic import DIRECTIONS, linear_regression, moving_squares
from jaxd2l.nn import BatchNorm, relu
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import (
    MLP,
    VGG,
    VGG11,
    VGG13,
    VGG16,
    VGG19,
    AlexNet,
    Conv3DNet,
    DenseNet,
    GoogLeNet,
    LeNet,
    Linear,
    NiN,
    SoftmaxRegression,
    resnet18,
    resnet34,
    resnet50,
    resnext50,
)
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
    source="D2L sec_linear_scratch: w = [2, -3.4], b = 4.2, noise 0.01, 1,000 examples",
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
    source="D2L sec_softmax_concise",
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
    source="D2L sec_mlp_scratch",
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
    source="D2L sec_lenet: sigmoid, average pooling",
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

DROPOUT_MLP = replace(
    MLP_256,
    name="dropout_mlp",
    model=MLP(hidden=(256, 256), dropout=(0.2, 0.5)),
    learning_rate=0.5,
    source="D2L sec_dropout",
    parameters=269_322,
    macs=268_800,
    published=(Published("zh", 0.344, 0.875, 0.844), Published("en", None, None, 0.842)),
)

LENET_BN = replace(
    LENET,
    name="lenet_bn",
    model=LeNet(padding=0, normalisation=BatchNorm),
    learning_rate=1.0,
    source="D2L sec_batch_norm: batch norm before every sigmoid, 5x5 unpadded",
    parameters=44_878,
    macs=281_640,
    published=(Published("zh", 0.267, 0.902, 0.708), Published("en", 0.277, 0.897, 0.838)),
)

ALEXNET = Recipe(
    name="alexnet",
    model=AlexNet(),
    dataset="fashion_mnist",
    learning_rate=0.01,
    batch_size=128,
    image_size=224,
    source="D2L sec_alexnet",
    parameters=46_764_746,
    macs=938e6,
    published=(
        Published("zh", 0.331, 0.878, 0.883),
        Published("en", 0.330, 0.879, 0.884),
        Published("notes", 0.328, 0.880, 0.882),
    ),
)

VGG_11 = replace(
    ALEXNET,
    name="vgg11",
    model=VGG(VGG11, width_divisor=4),
    learning_rate=0.05,
    source="D2L sec_vgg: VGG-11, convolutions a quarter as wide",
    parameters=43_093_322,
    macs=512e6,
    published=(
        Published("zh", 0.178, 0.935, 0.920),
        Published("en", 0.187, 0.930, 0.916),
        Published("notes", 0.195, 0.928, 0.918),
    ),
)

NIN = replace(
    ALEXNET,
    name="nin",
    model=NiN(),
    learning_rate=0.1,
    source="D2L sec_nin",
    parameters=1_992_166,
    macs=762e6,
    published=(
        Published("zh", 0.563, 0.786, 0.790),
        Published("en", 0.336, 0.874, 0.867),
        Published("notes", 0.338, 0.875, 0.845),
    ),
)

GOOGLENET = replace(
    NIN,
    name="googlenet",
    model=GoogLeNet(),
    image_size=96,
    source="D2L sec_googlenet",
    parameters=5_977_530,
    macs=276e6,
    published=(
        Published("zh", 0.262, 0.900, 0.886),
        Published("en", 0.248, 0.905, 0.889),
        Published("notes", 0.246, 0.906, 0.874),
    ),
)

RESNET_18 = Recipe(
    name="resnet18",
    model=resnet18(),
    dataset="fashion_mnist",
    learning_rate=0.05,
    image_size=96,
    source="D2L sec_resnet: 7x7/2 stem",
    parameters=11_178_378,
    macs=319e6,
    published=(Published("zh", 0.012, 0.997, 0.893), Published("en", 0.011, 0.997, 0.865)),
)

DENSENET = replace(
    RESNET_18,
    name="densenet",
    model=DenseNet(),
    learning_rate=0.1,
    source="D2L sec_densenet: four blocks of four, growth 32",
    parameters=758_226,
    macs=129e6,
    published=(Published("zh", 0.140, 0.948, 0.885), Published("en", 0.142, 0.948, 0.882)),
)


def _unpublished(recipe: Recipe, name: str, model: nn.Module, parameters: int, source: str) -> Recipe:
    """A relative of `recipe` for which the book prints no result."""
    return replace(recipe, name=name, model=model, source=source, parameters=parameters, macs=None, published=())


VGG_13 = _unpublished(
    VGG_11, "vgg13", VGG(VGG13, width_divisor=4), 43_104_890, "VGG-13, a quarter as wide (arXiv:1409.1556)"
)
VGG_16 = _unpublished(
    VGG_11, "vgg16", VGG(VGG16, width_divisor=4), 43_436_986, "VGG-16, a quarter as wide (arXiv:1409.1556)"
)
VGG_19 = _unpublished(
    VGG_11, "vgg19", VGG(VGG19, width_divisor=4), 43_769_082, "VGG-19, a quarter as wide (arXiv:1409.1556)"
)
RESNET_34 = _unpublished(RESNET_18, "resnet34", resnet34(), 21_283_530, "ResNet-34 (arXiv:1512.03385)")
RESNET_50 = _unpublished(RESNET_18, "resnet50", resnet50(), 23_522_250, "ResNet-50 (arXiv:1512.03385)")
RESNEXT_50 = _unpublished(RESNET_18, "resnext50", resnext50(), 22_994_122, "ResNeXt-50 32x4d (arXiv:1611.05431)")

CONV3D = Recipe(
    name="conv3d",
    model=Conv3DNet(num_classes=len(DIRECTIONS)),
    dataset="moving_squares",
    learning_rate=0.2,
    epochs=10,
    batch_size=32,
    source="founding notes, day 17: convolution over time; 2,000 clips in which only the motion tells the class",
    parameters=3_764,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *(LINEAR, SOFTMAX, MLP_256, DROPOUT_MLP, LENET, LENET_RELU, LENET_CONV_RELU, LENET_BN, CONV3D),
        *(ALEXNET, VGG_11, VGG_13, VGG_16, VGG_19, NIN, GOOGLENET),
        *(RESNET_18, RESNET_34, RESNET_50, RESNEXT_50, DENSENET),
    )
}


def _synthetic_linear() -> Dataset:
    return Dataset("synthetic_linear", linear_regression(seed=0), linear_regression(seed=1))


def _moving_squares() -> Dataset:
    return Dataset("moving_squares", moving_squares(0, 2000), moving_squares(1, 500), DIRECTIONS)


GENERATED = {"synthetic_linear": _synthetic_linear, "moving_squares": _moving_squares}


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
    if recipe.dataset in {*GENERATED, *SOURCES}:
        own = RECIPES[recipe.name].dataset if recipe.name in RECIPES else recipe.dataset
        fitting = list(SOURCES) if recipe.image_size is not None else [own]
        if recipe.dataset not in fitting:
            raise ValueError(
                f"recipe {recipe.name} cannot use data set {recipe.dataset!r}; it takes {', '.join(fitting)}"
            )
    return GENERATED[recipe.dataset]() if recipe.dataset in GENERATED else load(recipe.dataset)
