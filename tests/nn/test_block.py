import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import normal
from small_networks import drawn

from jaxd2l.nn import Centred, Dense, DenseReLU, FixedHidden, Nested, Sequential, Tied, dense, init, relu, sigmoid
from jaxd2l.nn import parameters as by_path

pytestmark = pytest.mark.usefixtures("unoptimised")


def key():
    """A new key: none is used twice."""
    return jax.random.key(0)


@pytest.mark.slow
def test_dot_and_sigmoid_of_an_image_as_a_vector():
    image = jnp.ones((20, 20, 3))
    assert image.reshape(-1).shape == (1200,)  # a 20x20 image with 3 channels has 1200 features
    assert sigmoid(dense(image.reshape(1, -1), jnp.zeros((1200, 1)), jnp.zeros(1)))[0, 0] == 0.5


@pytest.mark.slow
def test_all_ones_4_8_2_network_gives_80():
    ones = {"kernel_init": init.constant(1.0), "bias_init": init.constant(0.0)}
    net = Sequential((Dense(8, **ones), Dense(2, **ones)))
    x = jnp.asarray([[1.0, 2.0, 3.0, 4.0]])
    params = net.init(key(), x)
    hidden = dense(x, jnp.ones((4, 8)), jnp.zeros(8))
    np.testing.assert_array_equal(hidden, jnp.full((1, 8), 10.0))  # the notes say 8: a slip
    np.testing.assert_array_equal(net.apply(params, x), [[80, 80]])


def test_three_classes_and_four_features_need_twelve_weights():
    params = jax.eval_shape(Dense(3).init, key(), jnp.ones((1, 4)))["params"]
    assert params["kernel"].size == 12


@pytest.mark.slow
def test_affine_of_affine_is_affine_and_relu_between_makes_more_of_it():
    k1, k2, b1, b2, x = (normal(i, shape) for i, shape in enumerate([(4, 5), (5, 3), (5,), (3,), (7, 4)]))
    merged = dense(x, k1 @ k2, b1 @ k2 + b2)
    chex.assert_trees_all_close(dense(dense(x, k1, b1), k2, b2), merged, rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(dense(relu(dense(x, k1, b1)), k2, b2) - merged)) > 0.1


def test_layer_without_parameters_centres():
    x = jnp.asarray([1.0, 2, 3, 4, 5])
    assert Centred().init(key(), x) == {}
    np.testing.assert_array_equal(Centred().apply({}, x), [-2, -1, 0, 1, 2])


def test_own_layer_with_parameters_is_linear_then_relu():
    layer, x = DenseReLU(3), normal(0, (2, 5))
    params = drawn(layer, (5,))
    inner = params["params"]["Dense_0"]
    np.testing.assert_array_equal(layer.apply(params, x), relu(x @ inner["kernel"] + inner["bias"][None]))


@pytest.mark.slow
def test_sequential_of_20_256_10_is_the_layers_one_after_another():
    x = normal(0, (2, 20))
    net = Sequential((Dense(256), relu, Dense(10)))
    params = drawn(net, (20,))
    assert by_path.count(params) == 20 * 256 + 256 + 256 * 10 + 10
    first, last = params["params"]["layers_0"], params["params"]["layers_2"]
    by_hand = dense(relu(dense(x, first["kernel"], first["bias"])), last["kernel"], last["bias"])
    np.testing.assert_array_equal(net.apply(params, x), by_hand)


@pytest.mark.slow
def test_nested_blocks_print_as_a_tree():
    x = np.ones((2, 4), np.float32)
    params = drawn(Nested(), (4,))["params"]
    table = by_path.table(params)
    assert table.count("/kernel") == 4 * 2 + 1
    assert "DenseStack_3/DenseReLU_1/Dense_0/kernel" in table
    assert jax.jit(Nested().apply)({"params": params}, x).shape == (2, 1)


@pytest.mark.slow
def test_tied_gradient_is_the_sum_over_its_uses():
    x = normal(0, (2, 3))
    tied = Tied(depth=2)
    params = drawn(tied, (3,))["params"]
    assert by_path.count(params) == 3 * 3 + 3  # once, however often it is used
    inner = params["Dense_0"]

    def untied(first, second):
        return jnp.sum(relu(dense(relu(dense(x, **first)), **second)))

    total = jax.tree.map(np.add, *jax.jit(jax.grad(untied, argnums=(0, 1)))(inner, inner))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(tied.apply({"params": p}, x))))(params)
    chex.assert_trees_all_close(gradient["Dense_0"], total, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_constants_and_a_data_dependent_loop_work_under_jit_and_reverse_mode():
    x = normal(0, (2, 20))
    net = FixedHidden()
    stored = jax.jit(net.init)(key(), x)
    out = jax.jit(net.apply)(stored, x)
    np.testing.assert_allclose(out, net.apply(stored, x), rtol=1e-5)
    assert abs(out) <= 1
    gradient = jax.jit(jax.grad(lambda p: net.apply(stored | {"params": p}, x)))(stored["params"])
    chex.assert_tree_all_finite(gradient)
    assert set(stored) == {"params", "constants"}  # the constants are no parameters
    assert np.any(gradient["Dense_0"]["kernel"] != 0)


def test_lazy_shapes_are_read_off_the_first_input_and_kept():
    layer = Dense(7)
    params = jax.eval_shape(layer.init, key(), jnp.ones((2, 5)))
    assert params["params"]["kernel"].shape == (5, 7)
    with pytest.raises(ValueError, match=r"kernel is \(5, 7\).*\(2, 3\) needs \(3, 7\)"):
        jax.eval_shape(layer.apply, params, jnp.ones((2, 3)))


def test_dense_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(5, 7\)"):
        dense(jnp.ones((2, 3)), jnp.ones((5, 7)))
    with pytest.raises(ValueError, match="bias"):
        dense(jnp.ones((2, 5)), jnp.ones((5, 7)), jnp.ones(5))
