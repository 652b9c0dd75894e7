"""The networks of the book, one file a family."""

from jaxd2l.nn.models.lenet import LeNet
from jaxd2l.nn.models.linear import Linear, SoftmaxRegression
from jaxd2l.nn.models.mlp import MLP

__all__ = ["MLP", "LeNet", "Linear", "SoftmaxRegression"]
