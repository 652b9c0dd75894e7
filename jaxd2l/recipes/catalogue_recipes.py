"""Every experiment of the catalogue as a frozen value: its network, and the settings and figures that stand there."""

from typing import Any

from jaxd2l.catalogue import EXPERIMENTS
from jaxd2l.data.synthetic import DIRECTIONS
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
    ConvNet,
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
from jaxd2l.train.recipe import Recipe

_NETWORKS = {
    "linear": Linear(),
    "softmax": SoftmaxRegression(),
    "mlp": MLP(hidden=(256,)),
    "dropout_mlp": MLP(hidden=(256, 256), dropout=(0.2, 0.5)),
    "lenet": LeNet(),
    "lenet_relu": LeNet(conv_activation=relu, dense_activation=relu),
    "lenet_conv_relu": LeNet(conv_activation=relu),
    "lenet_bn": LeNet(padding=0, normalisation=BatchNorm),
    "conv3d": Conv3DNet(num_classes=len(DIRECTIONS)),
    "alexnet": AlexNet(),
    "vgg11": VGG(VGG11, width_divisor=4),
    "vgg13": VGG(VGG13, width_divisor=4),
    "vgg16": VGG(VGG16, width_divisor=4),
    "vgg19": VGG(VGG19, width_divisor=4),
    "nin": NiN(),
    "googlenet": GoogLeNet(),
    "resnet18": resnet18(),
    "resnet34": resnet34(),
    "resnet50": resnet50(),
    "resnext50": resnext50(),
    "densenet": DenseNet(),
    "lenet_tuned": LeNet(conv_activation=relu, dense_activation=relu),
    "convnet": ConvNet(),
}
_REGRESSION: dict[str, dict[str, Any]] = {"linear": {"loss": squared_error, "hits": None}}

RECIPES: dict[str, Recipe] = {
    name: Recipe(name=name, model=_NETWORKS[name], **experiment._asdict(), **_REGRESSION.get(name, {}))
    for name, experiment in EXPERIMENTS.items()
}
