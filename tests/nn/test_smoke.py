"""Every network learns: on 128 real images its loss falls by half within 150 steps (Adam, batch 32)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import MODELS, SHALLOW, UNOPTIMISED, quick_first
from small_networks import drawn

from jaxd2l.data import load
from jaxd2l.nn import cross_entropy
from jaxd2l.nn.kernels.tracing import tracing_for

STEPS, BATCH, IMAGES = 150, 32, 128
RELU = {"vgg", "nin", "conv3d"}  # and no norms: Xavier starts slowly under ReLU, so these start from He's weights
RATES = {
    "softmax": 0.01,
    "mlp": 0.003,
    "dropout_mlp": 0.003,
    "lenet": 0.005,
    "lenet_bn": 0.01,
    "convnet": 0.005,
    "alexnet": 0.003,
    "vgg": 0.001,
    "nin": 0.002,
    "googlenet": 0.003,
    "resnet": 0.003,
    "resnext": 0.003,
    "densenet": 0.003,
    "conv3d": 0.03,
}


@pytest.fixture(scope="module")
def images():
    train = load("fashion_mnist").train
    return train.x[:IMAGES].astype(np.float32) / 255, train.y[:IMAGES]


@partial(jax.jit, static_argnames="network", compiler_options=UNOPTIMISED)
def loss_and_gradient(network, params, batch_stats, x, y, key):
    def mean_loss(params):
        variables = {"params": params, "batch_stats": batch_stats}
        out, updated = network.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return jnp.mean(cross_entropy(out, y)), updated.get("batch_stats", {})

    (loss, batch_stats), gradient = jax.value_and_grad(mean_loss, has_aux=True)(params)
    return loss, batch_stats, gradient


def adam(learning_rate, step, parameter, gradient, mean, square):
    """A step of Adam in place, in NumPy: JAX would compile as much again for every array of the network."""
    mean += 0.1 * (gradient - mean)
    square += 0.001 * (gradient**2 - square)
    unbiased = mean / (1 - 0.9**step), square / (1 - 0.999**step)
    parameter -= np.float32(learning_rate) * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)


@pytest.mark.parametrize("name", quick_first(SHALLOW, {"mlp"}))
def test_loss_falls_by_half_on_128_images(name, images):
    (network, pixels), learning_rate = SHALLOW[name], RATES[name]
    x, y = images
    places = (np.arange(pixels) + 0.5) * x.shape[1] / pixels  # of the nearest stored pixels
    x = x[:, places.astype(int)][:, :, places.astype(int)]
    if name == "conv3d":
        x = np.repeat(x[:, None], 4, axis=1)
    stored = drawn(network, x.shape[1:], he=name in RELU, train=False)
    params, batch_stats = stored["params"], stored.get("batch_stats", {})
    moments = [jax.tree.map(np.zeros_like, params) for _ in range(2)]
    losses = []
    for step in range(STEPS):
        rows = slice(step % 4 * BATCH, (step % 4 + 1) * BATCH)
        with tracing_for("cpu"):  # as it is compiled to train
            key = jax.random.key(step)
            loss, batch_stats, gradient = loss_and_gradient(network, params, batch_stats, x[rows], y[rows], key)
        losses.append(float(loss))
        jax.tree.map(partial(adam, learning_rate, step + 1), params, jax.device_get(gradient), *moments)
        if np.mean(losses[-4:]) < losses[0] / 2 and step >= 4:
            return
    raise AssertionError(f"loss went from {losses[0]:.3f} to {np.mean(losses[-4:]):.3f} in {STEPS} steps")


def test_every_kind_of_network_is_here():
    assert {type(network) for network, _ in SHALLOW.values()} >= {
        type(entry.network) for name, entry in MODELS.items() if name != "linear"
    }
