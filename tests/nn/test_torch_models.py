"""Every network against PyTorch: prediction, training, loss, gradients, five steps of SGD, running statistics.

In float64 all of it agrees to the order of sums. In float32 single units of a ReLU or a maximum sit on the other side
of their edge, differently on every processor, and the gradient jumps there: so it is compared on the piece it is of.

The fixtures hold digests (see torch_rule.digest). A digest is compared on the scale of its array: the norm of a
projection of an array with norm r is about r times the norm of the direction.
"""

from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pieces
import pytest
import torch_rule
from model_table import MODELS, UNOPTIMISED, quick_first

from jaxd2l.interop.torch import from_torch, to_torch, torch_shapes
from jaxd2l.nn import Dropout, cross_entropy, squared_error
from jaxd2l.nn.kernels.tracing import tracing_for
from jaxd2l.train.optimizer import sgd

FIXTURES = Path(__file__).parents[1] / "fixtures"
FLOAT32 = 1e-4  # rounding, 6e-8, magnified by batch norms over a few pixels and by depth


def with_written_masks(run):
    """Call `run` with every dropout layer multiplying by the mask of the rule, as the PyTorch networks do."""
    seen = []

    def intercept(next_method, args, kwargs, context):
        if not isinstance(context.module, Dropout) or context.method_name != "__call__" or not kwargs["train"]:
            return next_method(*args, **kwargs)
        (x,) = args
        channels_first = (x.shape[0], x.shape[-1], *x.shape[1:-1])
        mask = torch_rule.mask(len(seen), channels_first, context.module.rate)
        seen.append(context.module)
        return x * jnp.asarray(np.moveaxis(mask, 1, -1), x.dtype)

    with nn.intercept_methods(intercept):
        return run()


def freely(run, network):
    """`run(network)`, and nothing about its units."""
    return run(network), ()


def gradient(network, regression, params, batch_stats, x, y, along=freely):
    """((loss, (output, batch_stats, units)), gradient) of a training batch; `along` adds what it sees of the units."""

    def mean_loss(params):
        def run(network):
            variables = {"params": params, "batch_stats": batch_stats}
            return with_written_masks(lambda: network.apply(variables, x, train=True, mutable=["batch_stats"]))

        (out, updated), units = along(run, network)
        per_example = squared_error(out, y) if regression else cross_entropy(out, y)
        return jnp.mean(per_example), (out, updated.get("batch_stats", {}), units)

    return jax.value_and_grad(mean_loss, has_aux=True)(params)


# Without optimisation the compiler takes half the time, most of this file's. The networks of `AS_IN_USE` are compiled
# as training compiles them, in float32.
AS_IN_USE = ("mlp", "lenet", "lenet_bn", "vgg11", "resnet34")
optimised = jax.jit(gradient, static_argnames=("network", "regression", "along"))
unoptimised = jax.jit(gradient, static_argnames=("network", "regression", "along"), compiler_options=UNOPTIMISED)


@partial(jax.jit, static_argnames=("network", "regression"), compiler_options=UNOPTIMISED)
def on_piece(network, regression, params, batch_stats, x, y, units):
    """`gradient` where every unit is on the side of its edge that `units` says."""

    def along(run, network):
        return pieces.impose(run, network, units)

    return gradient(network, regression, params, batch_stats, x, y, along)


@partial(jax.jit, static_argnames=("case", "network"), compiler_options=UNOPTIMISED)
def update(case, network, params, batch_stats, opt_state, x, y):
    """A step of training: what it begins with is seen, and what it ends in."""
    (loss, (out, batch_stats, _)), grads = gradient(network, case.regression, params, batch_stats, x, y)
    updates, opt_state = sgd(case.learning_rate, case.weight_decay).update(grads, opt_state, params)
    return loss, out, grads, optax.apply_updates(params, updates), batch_stats, opt_state


@partial(jax.jit, static_argnames=("network",), compiler_options=UNOPTIMISED)
def predict(network, params, batch_stats, x):
    return network.apply({"params": params, "batch_stats": batch_stats}, x, train=False)


def assert_digests_agree(expected, what, names, ours, tolerance):
    total = float(np.linalg.norm(expected[what][:, 0]))
    for name, row in zip(map(str, expected[names]), expected[what], strict=True):
        error = torch_rule.digest_error(torch_rule.digest(name, ours[name]), row, np.size(ours[name]), total)
        assert error < tolerance(what), f"{what} of {name}: off by {error:.1e} of its scale"


def start(name, precision):
    """The network, its variables by the rule, and a batch, all in the precision."""
    case = torch_rule.CASES[name]
    network = MODELS[name].small or MODELS[name].network
    x, y = torch_rule.batch(name)
    state = {key: torch_rule.weight(key, shape) for key, shape in torch_shapes(network, case.input_shape).items()}
    params, batch_stats = from_torch(network, state, case.input_shape, dtype=precision)
    y = jnp.asarray(y, precision) if case.regression else jnp.asarray(y)
    return network, params, batch_stats, jnp.asarray(x, precision), y


@pytest.mark.parametrize("name", quick_first(MODELS))
def test_network_equals_pytorch_in_float64(name):
    case = torch_rule.CASES[name]
    # traced as it is compiled to train here, which takes less time than tracing it for every platform
    with jax.enable_x64(True), tracing_for("cpu"), np.load(FIXTURES / f"torch_{name}.npz") as expected:

        def tolerance(what):
            return 1e-9  # the order of sums

        def assert_close(got, what, want):
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance(what) * np.max(np.abs(expected[what])))

        network, params, batch_stats, x, y = start(name, "float64")
        opt_state = sgd(case.learning_rate, case.weight_decay).init(params)
        assert_close(predict(network, params, batch_stats, x), "logits_predict", expected["logits_predict"])
        for step in range(1, 6):
            loss, out, grads, params, batch_stats, opt_state = update(
                case, network, params, batch_stats, opt_state, x, y
            )
            assert_close(loss, "losses", expected["losses"][step - 1])
            if step == 1:
                assert_close(out, "logits_train", expected["logits_train"])
                converted = to_torch(network, grads, batch_stats, case.input_shape)
                assert_digests_agree(expected, "gradient", "names", converted, tolerance)
            if step in (1, 5):
                converted = to_torch(network, params, batch_stats, case.input_shape)
                assert_digests_agree(expected, f"after{step}", "names", converted, tolerance)
                assert_digests_agree(expected, f"running{step}", "running_names", converted, tolerance)


@pytest.mark.parametrize("name", quick_first(["linear", "softmax", "dropout_mlp", "conv3d", *AS_IN_USE], {"linear"}))
def test_network_in_float32_equals_pytorch_and_the_gradient_of_its_piece_in_float64(name):
    """What is continuous is compared with PyTorch; the gradient, which jumps at edges of units, on one piece."""
    regression = torch_rule.CASES[name].regression
    network, params, batch_stats, x, y = start(name, "float32")
    compiled = optimised if name in AS_IN_USE else unoptimised
    with tracing_for("cpu"):  # as it is compiled to train
        prediction = predict(network, params, batch_stats, x)
        (loss, (out, running, units)), grads = compiled(network, regression, params, batch_stats, x, y, pieces.record)
    with np.load(FIXTURES / f"torch_{name}.npz") as expected:
        for got, what in ((prediction, "logits_predict"), (out, "logits_train"), (loss, "losses")):
            want = expected[what][0] if what == "losses" else expected[what]
            np.testing.assert_allclose(got, want, rtol=0, atol=FLOAT32 * np.max(np.abs(want)), err_msg=what)
    with jax.enable_x64(True), tracing_for("cpu"):
        network, params, batch_stats, x, y = start(name, "float64")
        piece = partial(on_piece, network, regression)
        ((_, (_, wide_running, distances)), wide_grads) = jax.device_get(piece(params, batch_stats, x, y, units))
    assert all(distance < FLOAT32 for distance in distances), distances
    total = np.linalg.norm([np.linalg.norm(leaf) for leaf in jax.tree.leaves(wide_grads)])
    # What a later norm undoes has a gradient that cancels: little of a scale before it, nothing of a bias. What is left
    # of it is the rounding of the whole.
    assert_leaves_agree(running, wide_running, lambda norm: norm)
    assert_leaves_agree(grads, wide_grads, lambda norm: max(norm, total / 100) if norm > 1e-9 * total else total)


def assert_leaves_agree(got, want, scale):
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        error, norm = np.linalg.norm(np.asarray(a, np.float64) - b), np.linalg.norm(b)
        assert error < FLOAT32 * scale(norm), f"{jax.tree_util.keystr(path)}: off by {error:.1e}, norm {norm:.1e}"
