"""Every network once: what the tests of models, of PyTorch parity and of weight conversion iterate over."""

import dataclasses
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import pytest

from jaxd2l.nn import BatchNorm, relu
from jaxd2l.nn.models import (
    MLP,
    VGG,
    VGG11,
    VGG13,
    VGG16,
    VGG19,
    AlexNet,
    Conv3DNet,
    ConvNet,
    DenseNet,
    GoogLeNet,
    LeNet,
    Linear,
    NiN,
    ResNet,
    SoftmaxRegression,
    resnet18,
    resnet34,
    resnet50,
    resnext50,
)
from jaxd2l.nn.models.alexnet import CONV_ARCH
from jaxd2l.nn.models.resnet import PAPER_RESIDUAL, RESNEXT_BLOCK, Bottleneck
from jaxd2l.recipes import RECIPES


class Entry(NamedTuple):
    """A network at its published size.

    `smallest` is the least number of pixels along an axis, 0 for a network of vectors. `small` is a network of the
    same kinds of layers, narrow and with few repeated blocks, where the published one is too large to train in a test.
    """

    network: nn.Module
    input_shape: tuple[int, ...]
    parameters: int
    smallest: int = 0
    small: nn.Module | None = None


_alexnet = AlexNet(conv_arch=tuple((features // 8, *rest) for features, *rest in CONV_ARCH), dense_features=(64, 32))
_vgg = partial(VGG, width_divisor=8, dense_features=(64, 32))
_paper = partial(ResNet, stages=(1, 2, 1, 1), width=16, use_bias=False)
_googlenet = GoogLeNet(
    stages=(
        ((8, (12, 16), (4, 8), 8), (16, (8, 24), (4, 12), 8)),
        ((24, (12, 26), (6, 12), 8),),
        ((32, (20, 40), (4, 16), 16),),
    )
)
MODELS = {
    "linear": Entry(Linear(), (2,), 3),
    "softmax": Entry(SoftmaxRegression(), (28, 28, 1), 7_850),
    "mlp": Entry(MLP(), (28, 28, 1), 203_530),
    "dropout_mlp": Entry(MLP(hidden=(256, 256), dropout=(0.2, 0.5)), (28, 28, 1), 269_322),
    "lenet": Entry(LeNet(), (28, 28, 1), 61_706, 12),
    "lenet_relu": Entry(LeNet(conv_activation=relu, dense_activation=relu), (28, 28, 1), 61_706, 12),
    "lenet_conv_relu": Entry(LeNet(conv_activation=relu), (28, 28, 1), 61_706, 12),
    "lenet_bn": Entry(LeNet(padding=0, normalisation=BatchNorm), (28, 28, 1), 44_878, 16),
    "convnet": Entry(ConvNet(), (28, 28, 1), 104_426, 8),
    "alexnet": Entry(AlexNet(), (224, 224, 1), 46_764_746, 65, _alexnet),
    "vgg11": Entry(VGG(VGG11, width_divisor=4), (224, 224, 1), 43_093_322, 32, _vgg(VGG11)),
    "vgg13": Entry(VGG(VGG13, num_classes=1000), (224, 224, 3), 133_047_848, 32, _vgg(VGG13)),
    "vgg16": Entry(VGG(VGG16, num_classes=1000), (224, 224, 3), 138_357_544, 32, _vgg(VGG16)),
    "vgg19": Entry(VGG(VGG19, num_classes=1000), (224, 224, 3), 143_667_240, 32, _vgg(VGG19)),
    "nin": Entry(NiN(), (224, 224, 1), 1_992_166, 67),
    "googlenet": Entry(GoogLeNet(), (96, 96, 1), 5_977_530, 1, _googlenet),
    "resnet18": Entry(resnet18(), (96, 96, 1), 11_178_378, 1, ResNet(stages=(1, 2, 1), width=16)),
    "resnet34": Entry(resnet34(1000), (224, 224, 3), 21_797_672, 1, _paper(PAPER_RESIDUAL)),
    "resnet50": Entry(resnet50(1000), (224, 224, 3), 25_557_032, 1, _paper(Bottleneck)),
    "resnext50": Entry(resnext50(1000), (224, 224, 3), 25_028_904, 1, _paper(RESNEXT_BLOCK)),
    "densenet": Entry(DenseNet(), (96, 96, 1), 758_226, 29, DenseNet(blocks=(3, 2, 2), growth=8, stem_features=16)),
    "conv3d": Entry(Conv3DNet(), (8, 28, 28, 1), 3_866, 4),
}

# narrow and shallow networks of every kind, and a small image's pixels: what is of layers and of how they are joined
_inceptions = (((8, (8, 8), (4, 8), 8),), ((16, (8, 16), (4, 8), 8),))
SHALLOW = {
    "softmax": (SoftmaxRegression(), 28),
    "mlp": (MLP(), 28),
    "dropout_mlp": (MLP(hidden=(256, 256), dropout=(0.2, 0.5)), 28),
    "lenet": (LeNet(), 28),
    "lenet_bn": (LeNet(padding=0, normalisation=BatchNorm), 28),
    "convnet": (ConvNet(features=(8, 16, 24)), 28),
    "alexnet": (AlexNet(conv_arch=_alexnet.conv_arch, dense_features=(256, 256)), 65),
    "vgg": (VGG(((1, 8), (1, 16), (2, 32), (2, 64)), dense_features=(64, 64), dropout=0.0), 28),
    "nin": (NiN(features=(24, 32, 48), dropout=0.0), 67),
    "googlenet": (GoogLeNet(stages=_inceptions), 32),
    "resnet": (ResNet(stages=(1, 1), width=8), 28),
    "resnext": (ResNet(RESNEXT_BLOCK, (1, 1), width=16, use_bias=False), 28),
    "densenet": (DenseNet(blocks=(2, 2), growth=8, stem_features=16), 28),
    "conv3d": (Conv3DNet(features=(16, 32)), 12),  # the image repeated four times as a clip
}

_RECIPE_OF = {"vgg": "vgg11", "resnet": "resnet18", "resnext": "resnet18"}  # where it is not called like the network


def shallow_recipe(name):
    """The recipe of this kind with the narrow and shallow network: for what is as true of few layers as of many."""
    (model, pixels), recipe = SHALLOW[name], RECIPES[_RECIPE_OF.get(name, name)]
    return dataclasses.replace(recipe, model=model, image_size=pixels if recipe.image_size else None)


# for the loop of a developer: what is traced and compiled in a moment
QUICK = {"linear", "softmax", "mlp"}

# without those that only repeat blocks or change an activation of another: what is of layers is seen in these
ONE_OF_EACH = [
    name
    for name in MODELS
    if name not in {"lenet_relu", "lenet_conv_relu", "vgg13", "vgg16", "vgg19", "resnet34", "resnet50"}
]


def quick_first(names, quick=QUICK):
    """The names as parameters of a test, all but the quick ones marked slow."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


# options of `jax.jit` where compiling is most of the time, and the bits of an optimised program are not the question
UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
