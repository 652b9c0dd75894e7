"""Every network learns: on 256 real images its loss falls by half within 150 steps (Adam, batch 64)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_table import MODELS, UNOPTIMISED, quick_first

from jaxd2l.data import load
from jaxd2l.nn import BatchNorm, cross_entropy
from jaxd2l.nn.init import he_normal
from jaxd2l.nn.models import (
    MLP,
    VGG,
    AlexNet,
    Conv3DNet,
    DenseNet,
    GoogLeNet,
    LeNet,
    NiN,
    ResNet,
    SoftmaxRegression,
)
from jaxd2l.nn.models.alexnet import CONV_ARCH
from jaxd2l.nn.models.resnet import RESNEXT_BLOCK
from jaxd2l.nn.parameters import initialise

STEPS, BATCH = 150, 64
NARROW = tuple((features // 8, *rest) for features, *rest in CONV_ARCH)
INCEPTIONS = (((8, (8, 8), (4, 8), 8),), ((16, (8, 16), (4, 8), 8),))
DEEP = {"vgg", "nin"}  # deep without norms: Xavier starts slowly under ReLU, so these start from He's weights
# narrow and shallow networks of every kind, at a small image: (network, pixels, learning rate)
NETWORKS = {
    "softmax": (SoftmaxRegression(), 28, 0.01),
    "mlp": (MLP(), 28, 0.003),
    "dropout_mlp": (MLP(hidden=(256, 256), dropout=(0.2, 0.5)), 28, 0.003),
    "lenet": (LeNet(), 28, 0.005),
    "lenet_bn": (LeNet(padding=0, normalisation=BatchNorm), 28, 0.01),
    "alexnet": (AlexNet(conv_arch=NARROW, dense_features=(256, 256)), 65, 0.003),
    "vgg": (VGG(((1, 8), (1, 16), (2, 32), (2, 64)), dense_features=(64, 64), dropout=0.0), 28, 0.001),
    "nin": (NiN(features=(24, 32, 48), dropout=0.0), 67, 0.002),
    "googlenet": (GoogLeNet(stages=INCEPTIONS), 32, 0.003),
    "resnet": (ResNet(stages=(1, 1), width=8), 28, 0.003),
    "resnext": (ResNet(RESNEXT_BLOCK, (1, 1), width=16, use_bias=False), 28, 0.003),
    "densenet": (DenseNet(blocks=(2, 2), growth=8, stem_features=16), 28, 0.003),
    "conv3d": (Conv3DNet(features=(16, 32)), 12, 0.03),  # the image repeated four times as a clip
}


@pytest.fixture(scope="module")
def images():
    train = load("fashion_mnist").train
    return jnp.asarray(train.x[:256]).astype(jnp.float32) / 255, jnp.asarray(train.y[:256])


@partial(
    jax.jit,
    static_argnames=("network", "learning_rate"),
    donate_argnums=(2, 3, 4),
    compiler_options=UNOPTIMISED,
)
def update(network, learning_rate, params, batch_stats, opt_state, x, y, key):
    def mean_loss(params):
        variables = {"params": params, "batch_stats": batch_stats}
        out, updated = network.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return jnp.mean(cross_entropy(out, y)), updated.get("batch_stats", {})

    (loss, batch_stats), gradient = jax.value_and_grad(mean_loss, has_aux=True)(params)
    updates, opt_state = optax.adam(learning_rate).update(gradient, opt_state)
    return optax.apply_updates(params, updates), batch_stats, opt_state, loss


@pytest.mark.parametrize("name", quick_first(NETWORKS, {"mlp"}))
def test_loss_falls_by_half_on_256_images(name, images):
    network, pixels, learning_rate = NETWORKS[name]
    x, y = images
    x = jax.image.resize(x, (256, pixels, pixels, 1), "nearest")
    if name == "conv3d":
        x = jnp.repeat(x[:, None], 4, axis=1)
    stored = jax.jit(lambda key, x: network.init(key, x, train=False), compiler_options=UNOPTIMISED)(
        jax.random.key(0), x[:1]
    )
    params, batch_stats = stored["params"], stored.get("batch_stats", {})
    if name in DEEP:
        params = initialise(params, {"*/kernel": he_normal}, jax.random.key(0))
    opt_state = optax.adam(learning_rate).init(params)
    losses = []
    for step in range(STEPS):
        rows = slice(step % 4 * BATCH, (step % 4 + 1) * BATCH)
        params, batch_stats, opt_state, loss = update(
            network, learning_rate, params, batch_stats, opt_state, x[rows], y[rows], jax.random.key(step)
        )
        losses.append(float(loss))
        if np.mean(losses[-4:]) < losses[0] / 2 and step >= 4:
            return
    raise AssertionError(f"loss went from {losses[0]:.3f} to {np.mean(losses[-4:]):.3f} in {STEPS} steps")


def test_every_kind_of_network_is_here():
    assert {type(network) for network, *_ in NETWORKS.values()} >= {
        type(entry.network) for name, entry in MODELS.items() if name != "linear"
    }
