"""Layers as pure functions with a Flax module on each, losses and metrics; the networks are in `jaxd2l.nn.models`."""

from jaxd2l.nn.activation import gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from jaxd2l.nn.batch_normalisation import BatchNorm, RunningStatistics, batch_norm
from jaxd2l.nn.block import Centred, DenseReLU, DenseStack, FixedHidden, Identity, Nested, Sequential, Tied
from jaxd2l.nn.conv import Conv, conv1d, conv2d, conv3d
from jaxd2l.nn.cross_correlation import convolve2d, corr1d, corr2d, corr3d, corr_channels
from jaxd2l.nn.layer_normalisation import LayerNorm, layer_norm
from jaxd2l.nn.linear import Dense, Flatten, dense, flatten
from jaxd2l.nn.loss import (
    absolute_error,
    cross_entropy,
    cross_entropy_with_probabilities,
    entropy,
    huber,
    log_squared_error,
    one_hot,
    squared_error,
)
from jaxd2l.nn.metric import accuracy, hits, log_rmse
from jaxd2l.nn.pool import avg_pool, global_avg_pool, max_pool
from jaxd2l.nn.stochastic import Dropout, dropout

__all__ = [
    "BatchNorm",
    "Centred",
    "Conv",
    "Dense",
    "DenseReLU",
    "DenseStack",
    "Dropout",
    "FixedHidden",
    "Flatten",
    "Identity",
    "LayerNorm",
    "Nested",
    "RunningStatistics",
    "Sequential",
    "Tied",
    "absolute_error",
    "accuracy",
    "avg_pool",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "convolve2d",
    "corr1d",
    "corr2d",
    "corr3d",
    "corr_channels",
    "cross_entropy",
    "cross_entropy_with_probabilities",
    "dense",
    "dropout",
    "entropy",
    "flatten",
    "gelu",
    "global_avg_pool",
    "hits",
    "huber",
    "layer_norm",
    "leaky_relu",
    "log_rmse",
    "log_softmax",
    "log_squared_error",
    "max_pool",
    "one_hot",
    "relu",
    "sigmoid",
    "softmax",
    "squared_error",
    "tanh",
]
