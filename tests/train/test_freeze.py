"""Frozen parameters do not move by a bit, cost nothing to leave alone, and what is trained does not notice them."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from jaxd2l.cost import cost
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn import BatchNorm, Conv, Dense, flatten, relu
from jaxd2l.nn.parameters import divided, flat, joined
from jaxd2l.train import Batch, Recipe, fit, init_state
from jaxd2l.train.program import bind, initial_state


class Small(nn.Module):
    """A convolution, a norm and two dense layers."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = relu(BatchNorm()(Conv(4, 3, padding=1)(x), train=train))
        x = relu(Dense(5)(flatten(x)))
        return Dense(self.num_classes)(x)


def _data(n=17):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (n, 6, 5, 2)).astype(np.uint8), rng.integers(0, 3, n).astype(np.int32)
    return Dataset("noise", Examples(x, y), Examples(x[:7], y[:7]), ("a", "b", "c"))


RECIPE = Recipe("small", Small(), "noise", epochs=2, batch_size=4, image_size=(6, 5), weight_decay=0.1)
FROZEN = ("Conv_*", "BatchNorm_*", "Dense_0/kernel")
RULES = {
    "momentum": {"momentum": 0.9, "nesterov": True, "clip_norm": 0.5},
    "adam": {"optimizer": "adam"},
    "adamw, EMA, a schedule, pieces": {"optimizer": "adamw", "ema": 0.7, "schedule": "cosine", "accumulate": 2},
    "of optax, recomputing": {"optimizer": lambda rate, decay: optax.lion(rate, weight_decay=decay), "remat": True},
    "finished": {"optimizer": optax.adamw(0.01), "weight_decay": 0.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_frozen_parameters_do_not_move_by_a_bit_and_all_others_do(rule):
    recipe, data = dataclasses.replace(RECIPE, freeze=FROZEN, **rule), _data()
    before = flat(initial_state(bind(recipe, data), 1, 0.1, 0.1).params)
    state = fit(recipe, data, 1).state
    still = {"Conv_0/kernel", "Conv_0/bias", "BatchNorm_0/scale", "BatchNorm_0/bias", "Dense_0/kernel"}
    for tree in (state.params, *(state.ema[:1] if state.ema else ())):
        assert {path for path, leaf in flat(tree).items() if np.array_equal(leaf, before[path])} == still
    assert all(np.abs(leaf).sum() > 0 for leaf in jax.tree.leaves(state.batch_stats))
    assert not np.array_equal(state.batch_stats["BatchNorm_0"]["mean"], np.zeros(4))  # statistics move, as in PyTorch


@pytest.mark.slow
def test_frozen_parameters_have_no_moments_and_the_norm_is_of_the_others():
    recipe, data = dataclasses.replace(RECIPE, optimizer="adam", freeze=("Conv_*", "BatchNorm_*", "*_0/*")), _data()
    x = recipe.prepare()(data.train.x[:4])
    batch = Batch(*(a[:4] for a in data.train), np.ones(4, np.float32))
    moments, norms = [], []
    for one in (recipe, dataclasses.replace(recipe, freeze=None)):
        state = init_state(one.model, one.make_optimizer(), jax.random.key(0), x, freeze=one.freeze)
        moments.append(sorted(leaf.shape for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim))
        norms.append(float(jax.jit(one.make_step())(state, batch, jax.random.key(1))[1].gradient_norm))
    assert moments[0] == [(3,), (3,), (5, 3), (5, 3)]  # Dense_1 alone, twice
    assert norms[0] < 0.95 * norms[1]


@pytest.mark.slow
def test_what_is_trained_moves_as_if_nothing_were_frozen_for_one_update():
    """Plain descent: an update of one parameter does not depend on which others take one."""
    data, recipe = _data(), dataclasses.replace(RECIPE, epochs=1, batch_size=17)
    whole, part = (flat(fit(r, data).state.params) for r in (recipe, dataclasses.replace(recipe, freeze="Conv_*")))
    for path, leaf in part.items():
        if not path.startswith("Conv"):
            np.testing.assert_allclose(leaf, whole[path], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_a_step_costs_less_the_more_is_frozen_from_below():
    data = _data()
    flops = [
        cost(dataclasses.replace(RECIPE, freeze=freeze), data, platform="cpu")
        for freeze in (None, "Conv_0/bias", "Conv_*", "Conv_*,BatchNorm_*,Dense_0/*")
    ]
    steps = [one.step_flops for one in flops]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) == 4
    assert len({one.forward_flops for one in flops}) == 1
    assert flops[0].train.total > flops[-1].train.total
    n, conv = RECIPE.batch_size, flops[0].layers[0]
    assert flops[0].padding_flops - flops[2].padding_flops == 2 * n * conv.padding_macs


WRONG = {
    "Cnv_*": "pattern 'Cnv_*' matches no parameter; the paths are BatchNorm_0/bias, BatchNorm_0/scale, Conv_0/bias",
    "Conv_0": "pattern 'Conv_0' matches no parameter; did you mean Conv_0/*?",
    "Conv_*,*/bias,Dense*,*scale": "matches all 8 parameters, so that nothing is left to train",
    "": "freeze must be patterns of paths",
}


@pytest.mark.parametrize("freeze", WRONG)
def test_a_pattern_for_nothing_or_everything_is_refused_in_one_line_before_compiling(freeze):
    with pytest.raises(ValueError, match=r".") as refused:
        bind(dataclasses.replace(RECIPE, freeze=freeze), _data())
    assert WRONG[freeze] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_divided_tree_is_the_whole_one_again():
    params = init_state(Small(), optax.sgd(0.1), jax.random.key(0), np.zeros((1, 6, 5, 2), np.float32)).params
    first, second = divided(params, ["Dense_1/*"])
    assert {*flat(first)} | {*flat(second)} == {*flat(params)}
    assert {*flat(second)} == {"Dense_1/kernel", "Dense_1/bias"}
    assert jax.tree.structure(joined(first, second)) == jax.tree.structure(params)
    assert divided(params, None)[0] == params


def test_two_parameters_of_one_path_are_refused_and_neither_is_lost():
    tree = {"a": {"b": np.ones(1)}, "a.b": np.zeros(1)}
    assert list(flat(tree)) == ["a/b", "a.b"]
    with pytest.raises(ValueError, match=r"two parameters have the path a\.b; name layers and parameters without '\.'"):
        flat(tree, ".")
