"""Networks of this package inside Flax NNX, as docs/use/nnx.md shows it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.nnx import bridge

from jaxd2l.nn import BatchNorm
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.models import MLP, LeNet
from jaxd2l.train import Batch, Objective, make_step, sgd
from jaxd2l.train.state import begin

pytestmark = pytest.mark.usefixtures("unoptimised")

X = jnp.asarray(np.random.default_rng(0).random((6, 12, 12, 1)), jnp.float32)
Y = jnp.arange(6) % 3
NETS = {
    "batch norm": LeNet(num_classes=3, conv_features=(2, 3), dense_features=(5,), normalisation=BatchNorm),
    "mlp": MLP(num_outputs=3, hidden=(5,)),
}


def _begun(network, **seeds):
    return nnx.jit(lambda: bridge.ToNNX(network, rngs=nnx.Rngs(**seeds)).lazy_init(X, train=False))()


_predict = nnx.jit(lambda model: model(X, train=False))


def _weights(model):
    return tuple(nnx.to_pure_dict(nnx.state(model, kind)) for kind in (nnx.Param, nnx.BatchStat))


@nnx.jit
def _step(model, optimizer):
    def loss(model):
        return jnp.mean(cross_entropy(model(X, train=True, mutable=["batch_stats"]), Y))

    value, gradient = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradient)
    return value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["batch norm", "mlp"])
def test_a_network_inside_nnx_trains_as_it_does_here(name):
    model = _begun(NETS[name], default=0)
    ours = sgd(0.1)
    state = begin(ours, *_weights(model))
    step = jax.jit(make_step(NETS[name], ours, Objective(cross_entropy)))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    for _ in range(3):
        value = _step(model, optimizer)
        state, tally = step(state, Batch(X, Y, jnp.ones(6)), jax.random.key(0))
        np.testing.assert_allclose(value, tally.loss / 6, rtol=1e-5)
    params, batch_stats = _weights(model)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # noqa: E731 - two compilations
    jax.tree.map(close, (params, batch_stats), (state.params, state.batch_stats))
    assert bool(batch_stats) == (name == "batch norm")
    apply = jax.jit(lambda variables: NETS[name].apply(variables, X, train=False))
    applied = apply({"params": params, "batch_stats": batch_stats})
    np.testing.assert_allclose(_predict(model), applied, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_without_mutable_statistics_would_stand_still():
    model = _begun(NETS["batch norm"], default=0)
    before = _weights(model)[1]
    with pytest.raises(Exception, match="batch_stats"):
        nnx.jit(lambda model: model(X, train=True))(model)
    nnx.jit(lambda model: model(X, train=True, mutable=["batch_stats"]))(model)
    assert np.any(_weights(model)[1]["BatchNorm_0"]["mean"] != before["BatchNorm_0"]["mean"])


@pytest.mark.slow
def test_dropout_draws_from_the_streams_of_nnx():
    net = MLP(num_outputs=3, hidden=(50,), dropout=(0.5,))
    model = _begun(net, params=0, dropout=1)
    train = nnx.jit(lambda model: model(X, train=True))
    first, second = (train(model) for _ in range(2))
    assert np.any(first != second)
    np.testing.assert_array_equal(_predict(model), _predict(model))
