"""Day 8 to 11: blocks, parameters, first weights, own layers, the flow of data through ones."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import within
from jaxd2l.nn import Centred, Dense, DenseReLU, DenseStack, FixedHidden, Nested, Sequential, Tied, init, relu
from jaxd2l.nn.models import MLP
from jaxd2l.nn.parameters import count, flat, initialise, replace


def _params(module: nn.Module, inputs: int, **call: Any) -> Any:
    return module.init(jax.random.key(0), jnp.ones((2, inputs)), **call)["params"]


def _mlp() -> list[int]:
    return list(MLP(hidden=(256,)).init_with_output(jax.random.key(0), jnp.ones((2, 20)), train=False)[0].shape)


def _sequential() -> list[int]:
    net = Sequential((Dense(256), relu, Dense(10)))
    return list(net.init_with_output(jax.random.key(0), jnp.ones((2, 20)))[0].shape)


def _nested() -> list[int]:
    net = Sequential((DenseStack((64, 32)), Dense(16)))
    return list(net.init_with_output(jax.random.key(0), jnp.ones((2, 20)))[0].shape)


def _fixed_hidden() -> list[Any]:
    """Whether the output is within 1, trained parameters, and whether the constant weights are among them."""
    out, variables = FixedHidden().init_with_output(jax.random.key(0), jnp.ones((2, 20)))
    return [bool(jnp.abs(out) <= 1), count(variables["params"]), "constants" in variables]


def _one_output(rules: Mapping[str, Any], inputs: int = 4, hidden: int = 8) -> dict[str, jax.Array]:
    """Parameters of a network with one hidden layer, those that a rule names drawn by it."""
    net = Sequential((Dense(hidden), relu, Dense(1)))
    return flat(initialise(_params(net, inputs), rules, jax.random.key(1)))


def _xavier_and_42() -> list[bool]:
    """In a 200-400-1 network: whether the deviation is Xavier's within 2%, and whether all others are 42."""
    rules = {"layers_0/kernel": init.xavier_normal, "layers_2/kernel": init.constant(42.0)}
    drawn = _one_output(rules, 200, 400)
    share = jnp.std(drawn["layers_0/kernel"]) / (2 / (200 + 400)) ** 0.5
    return [bool(jnp.abs(share - 1) < 0.02), bool(jnp.all(drawn["layers_2/kernel"] == 42))]


def _with_gap() -> list[float]:
    w = init.uniform_with_gap(10.0, 5.0)(jax.random.key(0), (100, 100))
    kept = jnp.abs(w[w != 0])
    return [(w == 0).mean().item(), kept.min().item(), kept.max().item()]


def _set_directly() -> list[float]:
    params = _one_output({"*kernel": init.constant(1.0)})
    name = next(name for name in params if name.endswith("kernel"))
    new = replace(params, {name: (params[name] + 1).at[0, 0].set(22.0)})[name].ravel()
    return [new[0].item(), jnp.unique(new[1:]).item()]


def _tied_gradient() -> float:
    """How far the tied gradient is from the sum of the gradients of two layers with the same weights."""
    x = jax.random.normal(jax.random.key(2), (3, 8))
    layer = _params(Tied(depth=2), 8)["Dense_0"]
    kernel, bias = layer["kernel"], layer["bias"]
    tied = jax.grad(lambda p: jnp.sum(Tied(depth=2).apply({"params": {"Dense_0": p}}, x)))(layer)

    def untied(first: jax.Array, second: jax.Array) -> jax.Array:
        row = bias[None]
        return jnp.sum(relu(relu(x @ first + row) @ second + row))

    one, two = jax.grad(untied, argnums=(0, 1))(kernel, kernel)
    return jnp.abs(tied["kernel"] - (one + two)).max().item()


def _blocked() -> list[float]:
    """Largest gradient of the weight, where it is read as `.data` and where the layer reads it as it is."""
    x = jnp.ones((2, 4))
    params = _params(DenseReLU(8), 4)["Dense_0"]

    def of_the_notes(p: Mapping[str, jax.Array]) -> jax.Array:
        return jnp.sum(relu(x @ jax.lax.stop_gradient(p["kernel"]) + p["bias"][None]))

    def layer(p: Mapping[str, jax.Array]) -> jax.Array:
        return jnp.sum(DenseReLU(8).apply({"params": {"Dense_0": p}}, x))

    return [jnp.abs(jax.grad(loss)(params)["kernel"]).max().item() for loss in (of_the_notes, layer)]


def _gradients_fit() -> bool:
    params = _params(Nested(), 4)
    gradients = jax.grad(lambda p: jnp.sum(Nested().apply({"params": p}, jnp.ones((2, 4)))))(params)
    return bool(jax.tree.map(jnp.shape, gradients) == jax.tree.map(jnp.shape, params))


def _ones_and_zeros() -> list[float]:
    params = _one_output({"*kernel": init.constant(1.0), "*bias": init.constant(0.0)})
    leaves = [[leaf.ravel() for name, leaf in params.items() if name.endswith(kind)] for kind in ("kernel", "bias")]
    return [jnp.unique(jnp.concatenate(of_a_kind)).item() for of_a_kind in leaves]


def _least_output() -> bool:
    x = jax.random.normal(jax.random.key(1), (5, 4))
    return bool((DenseReLU(8).init_with_output(jax.random.key(0), x)[0] >= 0).all())


def _lazy() -> list[int]:
    net = Sequential((Dense(256), relu, Dense(128), relu, Dense(10)))
    return [leaf.shape[0] for name, leaf in flat(_params(net, 20)).items() if name.endswith("kernel")]


def _of_ones() -> tuple[jax.Array, jax.Array]:
    """Hidden values and output of the 4-8-2 network of ones for 1, 2, 3, 4."""
    x = jnp.array([[1.0, 2.0, 3.0, 4.0]])
    hidden = Sequential((Dense(8, kernel_init=init.constant(1.0), bias_init=init.zero_bias), relu))
    whole = Sequential((*hidden.layers, Dense(2, kernel_init=init.constant(1.0), bias_init=init.zero_bias)))
    first, second = (net.init_with_output(jax.random.key(0), x)[0] for net in (hidden, whole))
    return first, second


def _missing_call() -> str:
    class Conv2D:
        def __init__(self) -> None:
            super.__init__()  # type: ignore[call-overload]  # as the notes have it: `super`, not `super()`

    try:
        Conv2D()
    except TypeError:
        return "TypeError"
    return "a layer"


CLAIMS = (
    Claim("blocks", 8, "A perceptron of 20 inputs, 256 hidden units and 10 outputs: shape for 2 rows.", [2, 10], _mlp),
    Claim("blocks", 9, "One's own Sequential does the same.", [2, 10], _sequential),
    Claim(
        "blocks",
        9,
        "Constant weights are not trained, one layer is used twice, a loop halves until the sum is within 1: "
        "within 1, trained numbers, constants apart.",
        None,
        lambda: str(_fixed_hidden()),
        truth="[True, 420, True]",
    ),
    Claim("blocks", 9, "Blocks in blocks: 20-64-32-16, shape for 2 rows.", [2, 16], _nested),
    Claim(
        "access",
        10,
        "A parameter by its name and path: shape of the output layer's bias in 4-8-1.",
        [1],
        lambda: list(_one_output({})["layers_2/bias"].shape),
    ),
    Claim(
        "access",
        10,
        "Four blocks of 4-8-4 and one output, as printed in the notes: parameters in all.",
        309,
        lambda: count(_params(Nested(), 4)),
    ),
    Claim(
        "access",
        10,
        "Every parameter has a gradient of its shape.",
        True,
        _gradients_fit,
    ),
    Claim(
        "slip_variance",
        10,
        "Gaussian weights of variance 0.1, says the text; the code has std=0.1. Variance of normal(0.1).",
        0.1,
        lambda: init.normal(0.1)(jax.random.key(0), (1000, 100)).var().item(),
        within(2e-4),
        truth=0.01,
    ),
    Claim(
        "initialise",
        10,
        "All weights 1, all biases 0.",
        [1, 0],
        _ones_and_zeros,
    ),
    Claim("initialise", 10, "Xavier on the first layer, 42 on the second.", [True, True], _xavier_and_42),
    Claim(
        "initialise",
        10,
        "U(-10, 10) with |w| < 5 set to 0: share of zeros, least and largest of the others.",
        [0.5, 5, 10],
        _with_gap,
        within(0.02),
    ),
    Claim("initialise", 10, "Set directly: all weights + 1, the first 22.", [22, 2], _set_directly),
    Claim(
        "tied", 10, "A shared layer's gradient is the sum over its uses: difference", 0, _tied_gradient, within(1e-5)
    ),
    Claim(
        "tied",
        10,
        "Shapes may wait for the first input: 20-256-128-10 without naming inputs.",
        [20, 256, 128],
        _lazy,
    ),
    Claim(
        "layers",
        10,
        "A layer without parameters subtracts the mean of 1, 2, 3, 4, 5.",
        [-2, -1, 0, 1, 2],
        lambda: Centred().apply({}, jnp.array([1.0, 2.0, 3.0, 4.0, 5.0])),
    ),
    Claim(
        "layers",
        10,
        "A layer with parameters, linear and ReLU: no output is negative.",
        True,
        _least_output,
    ),
    Claim(
        "slip_data",
        10,
        "MyLinear's weight, read as weight.data, is learned like the bias: does it get a gradient?",
        True,
        lambda: _blocked()[0] > 0,
        truth=False,
    ),
    Claim("layers", 10, "Read as it is, the layer's weight gets one.", True, lambda: _blocked()[1] > 0),
    Claim("dataflow", 11, "1, 2, 3, 4 through a 4-8-2 network of ones.", [[80, 80]], lambda: _of_ones()[1]),
    Claim(
        "slip_hidden",
        11,
        "Every element of its hidden layer is 8.",
        [[8] * 8],
        lambda: _of_ones()[0],
        truth=[[10] * 8],
    ),
    Claim(
        "slip_super", 12, "super.__init__() in a layer of one's own makes", "a layer", _missing_call, truth="TypeError"
    ),
)
