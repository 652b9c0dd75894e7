"""The networks of the book and more, one file a family. Channels last; logits or raw values out; `train` at a call."""

from jaxd2l.nn.models.alexnet import AlexNet
from jaxd2l.nn.models.conv3d_net import Conv3DNet
from jaxd2l.nn.models.conv_net import ConvNet
from jaxd2l.nn.models.densenet import DenseNet
from jaxd2l.nn.models.googlenet import GoogLeNet
from jaxd2l.nn.models.lenet import LeNet
from jaxd2l.nn.models.linear import Linear, SoftmaxRegression
from jaxd2l.nn.models.mlp import MLP
from jaxd2l.nn.models.nin import NiN
from jaxd2l.nn.models.resnet import ResNet, resnet18, resnet34, resnet50, resnext50
from jaxd2l.nn.models.vgg import VGG, VGG11, VGG13, VGG16, VGG19

__all__ = [
    "MLP",
    "VGG",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "AlexNet",
    "Conv3DNet",
    "ConvNet",
    "DenseNet",
    "GoogLeNet",
    "LeNet",
    "Linear",
    "NiN",
    "ResNet",
    "SoftmaxRegression",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50",
]
