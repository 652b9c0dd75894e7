import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.nn import Conv, Dense, init
from jaxd2l.nn import parameters as by_path
from jaxd2l.nn.models import MLP

pytestmark = pytest.mark.usefixtures("unoptimised")
DENSE, CONV = (300, 200), (5, 3, 20, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "shape", "deviation"),
    [
        (init.normal(0.01), DENSE, 0.01),  # the notes say N(0, 0.01) and mean the standard deviation
        (init.uniform(-3.0, 3.0), DENSE, 3 / np.sqrt(3)),
        (init.xavier_uniform, DENSE, np.sqrt(2 / 500)),
        (init.xavier_normal, CONV, np.sqrt(2 / (15 * 120))),
        (init.xavier_uniform, CONV, np.sqrt(2 / (15 * 120))),
        (init.he_normal, CONV, np.sqrt(2 / 300)),
        (init.he_uniform, CONV, np.sqrt(2 / 300)),
        (init.torch_kernel, CONV, np.sqrt(1 / 300 / 3)),
        (init.torch_bias(300), (30_000,), np.sqrt(1 / 300 / 3)),
    ],
)
def test_initialisers_have_mean_0_and_the_stated_deviation(rule, shape, deviation):
    drawn = rule(jax.random.key(0), shape, jnp.float32)
    np.testing.assert_allclose(np.std(drawn), deviation, rtol=0.02)  # 30,000 draws: 0.4%, five deviations
    assert abs(np.mean(drawn)) < 5 * deviation / np.sqrt(drawn.size)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize(
    "rule",
    [init.normal(0.1), init.normal(np.float64(0.3)), init.xavier_uniform, init.he_normal, init.constant(2.0)],
    ids=["normal", "normal of NumPy", "xavier_uniform", "he_normal", "constant"],
)
def test_initialisers_keep_the_dtype(rule, dtype):
    assert jax.eval_shape(lambda key: rule(key, (3, 5), dtype), jax.random.key(0)).dtype == dtype


def test_scale_of_a_bias_cannot_be_read_off_its_shape():
    with pytest.raises(ValueError, match="bias rule"):
        init.xavier_uniform(jax.random.key(0), (5,), jnp.float32)


def test_equal_settings_are_equal_rules():
    assert init.normal(0.01) == init.normal(0.01)
    assert init.torch_bias(7) == init.torch_bias(7)
    np.testing.assert_array_equal(init.zero_bias(3)(jax.random.key(0), (5,)), 0)
    np.testing.assert_array_equal(init.constant_bias(2.0)(3)(jax.random.key(0), (5,)), 2)


def initialised(params, rules):
    return jax.jit(lambda params: by_path.initialise(params, rules, jax.random.key(1)))(params)


@pytest.fixture(scope="module")
def params():
    network = MLP(hidden=(5, 7), num_outputs=2)
    return jax.jit(lambda: network.init(jax.random.key(0), np.ones((1, 3), np.float32), train=False))()["params"]


@pytest.mark.slow
def test_a_rule_per_layer_by_path(params):
    rules = {"Dense_0/kernel": init.xavier_uniform, "Dense_1/kernel": init.constant(42.0), "*/bias": init.constant(1.0)}
    new = initialised(params, rules)
    np.testing.assert_array_equal(new["Dense_1"]["kernel"], 42)
    assert all(np.all(new[layer]["bias"] == 1) for layer in new)
    assert np.any(new["Dense_0"]["kernel"] != params["Dense_0"]["kernel"])
    np.testing.assert_array_equal(new["Dense_2"]["kernel"], params["Dense_2"]["kernel"])  # no rule: kept


@pytest.mark.slow
def test_uniform_with_a_gap_zeroes_the_small_ones(params):
    new = initialised(params, {"*/kernel": init.uniform_with_gap(10.0, 5.0)})
    sizes = np.abs(np.concatenate([np.ravel(new[layer]["kernel"]) for layer in new]))
    assert np.all((sizes == 0) | ((sizes >= 5) & (sizes <= 10)))
    assert 0.2 < np.mean(sizes == 0) < 0.8


@pytest.mark.slow
def test_a_rule_that_matches_nothing_is_refused_with_the_paths(params):
    with pytest.raises(ValueError, match=r"matches no parameter.*Dense_0/bias"):
        by_path.initialise(params, {"Conv_0/kernel": init.xavier_uniform}, jax.random.key(0))


@pytest.mark.slow
def test_parameters_are_read_set_and_counted_by_path(params):
    assert list(by_path.flat(params))[:2] == ["Dense_0/bias", "Dense_0/kernel"]
    new = by_path.replace(params, {"Dense_0/bias": jnp.arange(5.0)})
    np.testing.assert_array_equal(new["Dense_0"]["bias"], np.arange(5.0))
    np.testing.assert_array_equal(params["Dense_0"]["bias"], 0)  # nothing changes in place
    assert by_path.count(params) == 3 * 5 + 5 + 5 * 7 + 7 + 7 * 2 + 2
    assert "Dense_2/kernel" in by_path.table(params)
    assert by_path.table(params).endswith(str(by_path.count(params)))


def test_wrong_paths_and_shapes_are_all_listed(params):
    with pytest.raises(ValueError, match=r"x is not expected; Dense_0/bias is \(3,\), expected \(5,\)"):
        by_path.replace(params, {"x": jnp.ones(1), "Dense_0/bias": jnp.ones(3)})


@pytest.mark.slow
@pytest.mark.parametrize("layer", [Dense(3), Conv(3, 2)], ids=["dense", "conv"])
def test_a_layer_starts_like_the_books_networks_and_takes_a_rule_or_an_initialiser_for_its_bias(layer):
    x = np.ones((1, 5, 7, 2), np.float32)
    fan_in = 2 if isinstance(layer, Dense) else 2 * 2 * 2
    given = (init.constant(0.25), init.constant_bias(0.25), jax.nn.initializers.constant(0.25))
    layers = (layer, *(layer.clone(bias_init=one) for one in given))
    drawn = jax.jit(lambda: [one.init(jax.random.key(0), x)["params"] for one in layers])()
    stored, *others = jax.device_get(drawn)
    assert 0 < np.abs(stored["bias"]).max() <= fan_in**-0.5
    limit = (6 / sum(init.fans(stored["kernel"].shape))) ** 0.5
    assert 0.5 * limit < np.abs(stored["kernel"]).max() <= limit
    for other in others:
        np.testing.assert_array_equal(other["bias"], np.full(3, 0.25))
        np.testing.assert_array_equal(other["kernel"], stored["kernel"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule", [init.normal(0.1), init.uniform(-1, 2), init.uniform_with_gap(3, 1), init.constant(2.0)]
)
def test_an_initialiser_with_numbers_pickles_and_equals_another_of_them(rule):
    copy = pickle.loads(pickle.dumps(rule))
    assert copy == rule
    assert repr(MLP(kernel_init=copy)) == repr(MLP()), "shown as `init`, as the configurations of kept runs show it"
    np.testing.assert_array_equal(*jax.jit(lambda: [one(jax.random.key(0), (3, 4)) for one in (copy, rule)])())
