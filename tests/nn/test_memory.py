"""What waits in memory from the forward to the backward pass, as XLA plans it for a CPU: outputs of layers, once."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxd2l.nn import BatchNorm, Conv, max_pool, relu
from jaxd2l.train.compiler import compiled

pytestmark = pytest.mark.slow
SHAPE = (4, 64, 64, 64)
ARRAY = 4 * 64 * 64 * 64 * 4  # bytes of one such image batch in float32


def conv_relu(x):
    return relu(Conv(64, 3, padding=1)(x))


def conv_norm_relu(x):
    return relu(BatchNorm()(Conv(64, 3, padding=1)(x), train=True))


def conv_relu_pool(x):
    small = max_pool(relu(Conv(64, 1)(x)), 3, stride=2, padding=1)
    return jnp.repeat(jnp.repeat(small, 2, 1), 2, 2)


class Repeated(nn.Module):
    layer: object
    times: int

    @nn.compact
    def __call__(self, x):
        for _ in range(self.times):
            x = self.layer(x)
        return jnp.mean(x, (1, 2, 3))


def temporary(layer, times):
    """Bytes beside the arguments that the gradient of so many layers takes by XLA's plan."""
    network = Repeated(layer, times)
    x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), x)

    def total(params, rest, x):
        return network.apply({"params": params, **rest}, x, mutable=["batch_stats"])[0].sum()

    rest = {name: tree for name, tree in variables.items() if name != "params"}
    executable = compiled(jax.grad(total), (variables["params"], rest, x))
    return executable.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(
    ("layer", "arrays"),
    [
        pytest.param(conv_relu, 1, id="the output of a relu, not its input; no patches"),
        pytest.param(conv_norm_relu, 2, id="the input of a batch norm and what relu makes of its output"),
        pytest.param(conv_relu_pool, 2 + 1 / 16, id="what goes into a pool and into a convolution, a byte a window"),
    ],
)
def test_a_layer_more_keeps_its_outputs_and_nothing_else(layer, arrays):
    # with up to four layers XLA takes another of its orders, which needs less in all and more a layer
    more = temporary(layer, 8) - temporary(layer, 5)
    assert more <= 3 * ARRAY * arrays * 1.1
