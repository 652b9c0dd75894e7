"""Every network against PyTorch: prediction, training, loss, gradients, five steps of SGD, running statistics.

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
import pytest
import torch_rule
from model_table import MODELS, quick_first

from jaxd2l.interop.torch import from_torch, to_torch, torch_shapes
from jaxd2l.nn import Dropout, cross_entropy, squared_error
from jaxd2l.train.optimizer import sgd

FIXTURES = Path(__file__).parents[1] / "fixtures"


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


def gradient(network, regression, params, batch_stats, x, y):
    """((loss, (output, batch_stats)), gradient) of one training batch."""

    def mean_loss(params):
        variables = {"params": params, "batch_stats": batch_stats}
        out, updated = with_written_masks(lambda: network.apply(variables, x, train=True, mutable=["batch_stats"]))
        per_example = squared_error(out, y) if regression else cross_entropy(out, y)
        return jnp.mean(per_example), (out, updated.get("batch_stats", {}))

    return jax.value_and_grad(mean_loss, has_aux=True)(params)


# Without optimisation the compiler takes half the time, most of this file's. The networks of `AS_IN_USE` are compiled
# as training compiles them, in float32.
UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
AS_IN_USE = ("mlp", "lenet", "lenet_bn", "alexnet", "vgg11", "nin", "resnet18")
optimised = jax.jit(gradient, static_argnames=("network", "regression"))
unoptimised = jax.jit(gradient, static_argnames=("network", "regression"), compiler_options=UNOPTIMISED)


@partial(jax.jit, static_argnames=("case",), donate_argnums=(2, 3))
def update(case, gradient, params, opt_state):
    updates, opt_state = sgd(case.learning_rate, case.weight_decay).update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


@partial(jax.jit, static_argnames=("network",), compiler_options=UNOPTIMISED)
def predict(network, params, batch_stats, x):
    return network.apply({"params": params, "batch_stats": batch_stats}, x, train=False)


def assert_digests_agree(expected, what, names, ours, tolerance):
    total = float(np.linalg.norm(expected[what][:, 0]))
    for name, row in zip(map(str, expected[names]), expected[what], strict=True):
        error = torch_rule.digest_error(torch_rule.digest(name, ours[name]), row, np.size(ours[name]), total)
        assert error < tolerance(what), f"{what} of {name}: off by {error:.1e} of its scale"


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", quick_first(MODELS))
def test_network_equals_pytorch(name, precision):
    case = torch_rule.CASES[name]
    network = MODELS[name].small or MODELS[name].network
    x, y = torch_rule.batch(name)
    with jax.enable_x64(precision == "float64"), np.load(FIXTURES / f"torch_{name}.npz") as expected:

        def tolerance(what):
            """float64 differs by the order of sums only. In float32 single units of a ReLU or a maximum sit on the
            other side of their edge, and a deep network with batch norm magnifies that: PyTorch's own float32 is then
            further from float64 than 1e-4, and ours may be ten times as far as PyTorch's.
            """
            return 1e-9 if precision == "float64" else max(1e-4, 10 * expected[f"{what}_float32_error"])

        def assert_close(got, what, want):
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance(what) * np.max(np.abs(expected[what])))

        compiled = optimised if precision == "float32" and name in AS_IN_USE else unoptimised
        x = jnp.asarray(x, precision)
        y = jnp.asarray(y, precision) if case.regression else jnp.asarray(y)
        shapes = torch_shapes(network, case.input_shape)
        state = {key: torch_rule.weight(key, shape) for key, shape in shapes.items()}
        params, batch_stats = from_torch(network, state, case.input_shape, dtype=precision)
        del state
        opt_state = sgd(case.learning_rate, case.weight_decay).init(params)

        assert_close(predict(network, params, batch_stats, x), "logits_predict", expected["logits_predict"])
        for step in range(1, 6):
            (loss, (out, batch_stats)), grads = compiled(network, case.regression, params, batch_stats, x, y)
            assert_close(loss, "losses", expected["losses"][step - 1])
            if step == 1:
                assert_close(out, "logits_train", expected["logits_train"])
                converted = to_torch(network, grads, batch_stats, case.input_shape)
                assert_digests_agree(expected, "gradient", "names", converted, tolerance)
            params, opt_state = update(case, grads, params, opt_state)
            if step in (1, 5):
                converted = to_torch(network, params, batch_stats, case.input_shape)
                assert_digests_agree(expected, f"after{step}", "names", converted, tolerance)
                assert_digests_agree(expected, f"running{step}", "running_names", converted, tolerance)
