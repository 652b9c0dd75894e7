"""Every network of the table: size, documented shapes, what its door refuses, purity. Shapes only, nothing heavy."""

import ast
import functools
import inspect
import re

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import MODELS, ONE_OF_EACH, UNOPTIMISED, quick_first
from random_arrays import uniform
from small_networks import drawn

from jaxd2l.nn import BatchNorm, cross_entropy
from jaxd2l.nn import parameters as by_path
from jaxd2l.nn.models import MLP, VGG, VGG11, DenseNet, LeNet, NiN, ResNet, resnet34, resnet50

IMAGES = [name for name, entry in MODELS.items() if entry.smallest]
# what a network's docstring tabulates, where it is not the network of that name
VARIANTS = {"dropout_mlp", "lenet_bn", "vgg13", "vgg16", "vgg19", "resnet34", "resnet50", "resnext50"}
DOCUMENTED = [name for name in MODELS if name not in VARIANTS]


@functools.cache
def traced(network, shape, dtype=jnp.float32):
    """Shapes of all variables for a batch of `shape`; computes nothing, and traces each network once.

    Also, by the name of each layer directly in the network, its input's and its output's shape, without the batch.
    """
    x, calls = jax.ShapeDtypeStruct(shape, dtype), {}

    def watch(next_method, args, kwargs, context):
        out = next_method(*args, **kwargs)
        if len(context.module.path) == 1 and context.method_name == "__call__":
            calls[context.module.path[0]] = (args[0].shape[1:], out.shape[1:])
        return out

    with nn.intercept_methods(watch):
        return jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), x), calls


def variables(network, shape, dtype=jnp.float32):
    return traced(network, shape, dtype)[0]


def documented_rows(network):
    """(layers, output shape without the batch, parameters) of each row of the docstring's table."""
    rows = re.findall(r"^ *\| (.+?) \| \(n, ([\d, ]+)\) \| ?([\d,]*) ?\|$", inspect.getdoc(type(network)), re.M)
    return [
        (layers, ast.literal_eval(f"({shape},)"), int(count.replace(",", "") or 0)) for layers, shape, count in rows
    ]


@pytest.mark.parametrize("name", quick_first(MODELS))
def test_parameter_count_is_the_published_one(name):
    entry = MODELS[name]
    assert by_path.count(variables(entry.network, (2, *entry.input_shape))["params"]) == entry.parameters


@pytest.mark.parametrize("name", MODELS)
def test_docstring_states_the_parameter_count_and_a_source(name):
    network = MODELS[name].network
    assert f"{MODELS[name].parameters:,}" in inspect.getdoc(type(network))
    assert re.search(r"D2L (sec|chap)_|doi:|arXiv:|window moves along depth", inspect.getmodule(type(network)).__doc__)


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_table_is_what_the_network_does(name):
    entry = MODELS[name]
    stored, calls = traced(entry.network, (2, *entry.input_shape))
    params, rows = stored["params"], documented_rows(entry.network)
    assert rows[0][1] == entry.input_shape
    for i, (layers, shape, count) in enumerate(rows[1:], 1):
        named = re.findall(r"[A-Z]\w+_\d+", layers)
        following = [layer for row in rows[i + 1 :] for layer in re.findall(r"[A-Z]\w+_\d+", row[0])]
        expected = calls[following[0]][0] if following else (10,) if len(entry.input_shape) > 1 else (1,)
        if named and "pool" not in layers:
            assert calls[named[-1]][1] == shape, layers
        elif "global_avg_pool" in layers or "global_avg_pool" not in rows[min(i + 1, len(rows) - 1)][0]:
            assert expected == shape, layers  # before a global mean the next layer no longer shows the space
        assert sum(by_path.count(params.get(layer, {})) for layer in named) == count, layers
    assert sum(count for *_, count in rows) == entry.parameters


@pytest.mark.parametrize("name", quick_first(IMAGES, {"lenet"}))
def test_smallest_image_passes_and_a_smaller_one_is_refused_with_both_sizes(name):
    network, smallest = MODELS[name].network, MODELS[name].smallest
    rank = len(MODELS[name].input_shape) - 1
    variables(network, (2, *[smallest] * rank, 3))
    if smallest > 1:
        with pytest.raises(ValueError, match=rf"h >= {smallest}.*got \(2, .*{smallest - 1}, 3\).*larger images"):
            variables(network, (2, *[smallest - 1] * rank, 3))


@pytest.mark.parametrize("name", IMAGES)
def test_wrong_images_are_refused_at_the_door(name):
    network, (*space, _) = MODELS[name].network, MODELS[name].input_shape
    with pytest.raises(ValueError, match=r"channels first: move axis 1 to the end|use larger images"):
        variables(network, (5, 3, *space))
    with pytest.raises(ValueError, match=r"x\[None\]"):
        variables(network, (*space, 3))
    with pytest.raises(ValueError, match=r"uint8.*scale them"):
        variables(network, (5, *space, 3), jnp.uint8)


@pytest.mark.parametrize("name", quick_first([name for name in MODELS if name != "linear"], {"mlp", "lenet"}))
def test_another_number_of_channels_than_at_the_start_is_refused_with_both_shapes(name):
    network, (*space, channels) = MODELS[name].network, MODELS[name].input_shape
    stored = variables(network, (2, *space, channels))
    x = jax.ShapeDtypeStruct((2, *space, channels + 1), jnp.float32)
    with pytest.raises(ValueError, match=r"kernel is \(.*\), but an input of shape \(2, .*needs \("):
        jax.eval_shape(lambda v, x: network.apply(v, x, train=False), stored, x)


def test_another_image_size_than_the_dense_head_was_made_for_is_refused():
    stored = variables(LeNet(), (2, 28, 28, 1))
    x = jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)
    with pytest.raises(ValueError, match=r"Dense_0/kernel is \(400, 120\).*needs \(576, 120\)"):
        jax.eval_shape(lambda v, x: LeNet().apply(v, x, train=False), stored, x)


@pytest.mark.parametrize("name", MODELS)
def test_equal_networks_are_one_static_argument(name):
    network = MODELS[name].network
    assert hash(network) == hash(network.clone())
    assert network == network.clone()


def test_paper_networks_compare_equal_when_made_twice():
    assert (resnet34(7), resnet50(7)) == (resnet34(7), resnet50(7))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("name", quick_first(ONE_OF_EACH))
def test_dtype_of_parameters_and_images_is_the_dtype_of_the_output(name, dtype):
    entry = MODELS[name]
    x = jax.ShapeDtypeStruct((3, *entry.input_shape), dtype)
    stored = variables(entry.network, (2, *entry.input_shape))  # no variable has the batch among its axes
    cast = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), stored["params"])
    train = {"train": True, "rngs": {"dropout": jax.random.key(0)}, "mutable": ["batch_stats"]}
    out, updated = jax.eval_shape(lambda v, x: entry.network.apply(v, x, **train), stored | {"params": cast}, x)
    assert (out.shape[0], out.dtype) == (3, dtype)
    chex.assert_trees_all_equal_shapes_and_dtypes(updated.get("batch_stats", {}), stored.get("batch_stats", {}))


def test_dropout_rates_have_to_fit_the_hidden_layers():
    with pytest.raises(ValueError, match="one rate per hidden layer"):
        variables(MLP(hidden=(5, 7), dropout=(0.5,)), (2, 3))


def test_width_divisor_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="width_divisor 5"):
        variables(VGG(VGG11, width_divisor=5), (2, 32, 32, 1))


TINY = {
    "mlp": (MLP(hidden=(7, 5), dropout=(0.2, 0.5)), (5, 3, 1)),
    "lenet_bn": (LeNet(padding=0, normalisation=BatchNorm), (16, 16, 1)),
    "vgg": (VGG(((1, 2), (2, 3)), dense_features=(7,)), (7, 5, 2)),
    "resnet": (ResNet(stages=(1, 1), width=3), (9, 7, 2)),
    "densenet": (DenseNet(blocks=(2, 1), growth=3, stem_features=4), (11, 9, 2)),
}


@functools.cache
def start(name):
    network, shape = TINY[name]
    return network, uniform(1, (5, *shape)), drawn(network, shape, train=False)


@functools.partial(jax.jit, static_argnames="network", compiler_options=UNOPTIMISED)
def predict(network, stored, x):
    return network.apply(stored, x, train=False)


@pytest.mark.slow
def test_jitted_equals_eager():
    network, x, stored = start("lenet_bn")
    jitted = predict(network, stored, x)
    chex.assert_trees_all_close(jitted, network.apply(stored, x, train=False), rtol=1e-5, atol=1e-5)  # sums reordered


@pytest.mark.slow
@pytest.mark.parametrize("name", quick_first(TINY))
def test_prediction_of_an_example_does_not_depend_on_its_batch(name):
    network, x, stored = start(name)
    found, alone = predict(network, stored, x)[1:2], predict(network, stored, x[1:2])
    chex.assert_trees_all_close(found, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", quick_first(TINY))
def test_training_traces_once_and_gradients_are_finite(name):
    chex.clear_trace_counter()
    network, x, stored = start(name)
    y = jnp.arange(5)

    @functools.partial(jax.jit, compiler_options=UNOPTIMISED)
    @chex.assert_max_traces(1)
    def step(params, batch_stats, key):
        def loss(params):
            v = {"params": params, "batch_stats": batch_stats}
            out, updated = network.apply(v, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
            return jnp.mean(cross_entropy(out, y)), updated.get("batch_stats", {})

        gradient, batch_stats_new = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), batch_stats_new

    params, batch_stats = stored["params"], stored.get("batch_stats", {})
    for t in range(3):
        params, batch_stats = step(params, batch_stats, jax.random.key(t))
    chex.assert_tree_all_finite((params, batch_stats))


@pytest.mark.slow
def test_prediction_needs_no_key_and_changes_no_statistics():
    network, x, stored = start("resnet")
    apply = functools.partial(network.apply, train=False, mutable=["batch_stats"])
    out, updated = jax.jit(apply, compiler_options=UNOPTIMISED)(stored, x)
    chex.assert_trees_all_equal(updated["batch_stats"], stored["batch_stats"])
    assert np.all(np.isfinite(out))


@pytest.mark.slow
def test_convolution_networks_start_xavier_uniform_with_pytorchs_biases():
    x = jnp.ones((1, 28, 28, 1))
    init = jax.jit(lambda: LeNet().init(jax.random.key(0), x, train=False), compiler_options=UNOPTIMISED)
    params = init()["params"]
    limit = np.sqrt(6 / (5 * 5 * (6 + 16)))
    kernel, bias = params["Conv_1"]["kernel"], params["Conv_1"]["bias"]
    assert 0.9 * limit < np.max(np.abs(kernel)) <= limit
    assert 0 < np.max(np.abs(bias)) <= 1 / np.sqrt(5 * 5 * 6)


def test_nin_ends_without_a_dense_layer():
    params = variables(NiN(), (1, 224, 224, 1))["params"]
    assert all(name.startswith("NiNBlock") for name in params)
