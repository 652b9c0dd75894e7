"""Small networks with weights drawn at random, whose running statistics are none that a fresh network has."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.nn import BatchNorm, max_pool, relu
from jaxd2l.nn.models import MLP, DenseNet, GoogLeNet, LeNet, ResNet, SoftmaxRegression
from jaxd2l.nn.models.resnet import Bottleneck
from jaxd2l.prediction import Framing, Predictor
from jaxd2l.train import Recipe

DARK = Framing(dark=True, fill=0.9)
NAMES = tuple(f"class {i}" for i in range(10))
# network, pixels a side in the network, channels
NETWORKS = {
    "softmax": (SoftmaxRegression(), 28, 1),
    "mlp": (MLP(hidden=(32, 16), dropout=(0.2, 0.5)), 28, 1),
    "lenet": (LeNet(), 28, 1),
    "lenet_bn": (LeNet(padding=0, normalisation=BatchNorm, conv_activation=relu, pool=max_pool), 28, 1),
    "resnet": (ResNet(stages=(1, 1), width=8), 32, 3),
    "resnext": (ResNet(partial(Bottleneck, groups=4, group_width=32), stages=(1, 1), width=8, use_bias=False), 32, 1),
    "densenet": (DenseNet(blocks=(1, 1), growth=4), 32, 1),
    "googlenet": (GoogLeNet(stages=(((4, (3, 8), (2, 4), 4),),)), 32, 1),
}


def predictor_of(name, classes=NAMES, **changes):
    network, size, channels = NETWORKS[name]
    x, rng = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32), np.random.default_rng(0)
    variables = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), x)

    def drawn(path, leaf):
        """Numbers under which units answer, and no two channels are alike."""
        limit = (6 / (np.prod(leaf.shape[:-1]) + np.prod(leaf.shape[:-2]) * leaf.shape[-1])) ** 0.5
        low, high = {
            "kernel": (-limit, limit),
            "mean": (-0.1, 0.1),
            "var": (0.01, 0.2),
            "scale": (0.5, 2),
            "bias": (-0.2, 0.4),
        }[path[-1].key]
        return rng.uniform(low, high, leaf.shape).astype("f4")

    params = jax.tree.map_with_path(drawn, variables["params"])
    running = jax.tree.map_with_path(drawn, variables.get("batch_stats", {}))
    recipe = Recipe(name, network, "fashion_mnist", image_size=size, **changes)
    return Predictor(recipe, params, running, classes, (28, 28, channels))


def pictures(predictor, count=2):
    return np.random.default_rng(1).integers(0, 256, (count, *predictor.input_shape)).astype(np.uint8)
