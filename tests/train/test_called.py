"""A network may say `train`, `training`, `is_training`, `deterministic` or nothing: a recipe calls it as it wants."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxd2l.data import Dataset, Examples
from jaxd2l.recipes import fitted_to
from jaxd2l.train import Recipe, init_state, sgd
from jaxd2l.train.check_data import check_run

X = np.ones((4, 50), np.float32)
DATA = Dataset("ones", Examples(X, np.zeros(4, np.int32)), Examples(X, np.zeros(4, np.int32)), ("a", "b"))


class Training(nn.Module):
    num_classes: int = 2

    @nn.compact
    def __call__(self, x, training):
        return nn.Dense(self.num_classes)(nn.Dropout(0.5)(x, deterministic=not training))


class IsTraining(Training):
    @nn.compact
    def __call__(self, x, *, is_training=False):
        return nn.Dense(self.num_classes)(nn.Dropout(0.5)(x, deterministic=not is_training))


class Deterministic(Training):
    @nn.compact
    def __call__(self, x, deterministic=True):
        return nn.Dense(self.num_classes)(nn.Dropout(0.5)(x, deterministic=deterministic))


class Silent(Training):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.num_classes)(x)


class Nothing(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x[:, :2]


@pytest.mark.parametrize("network", [Training(), IsTraining(), Deterministic(), Silent()])
def test_a_recipe_calls_a_network_by_its_own_word(network):
    recipe = Recipe("own", network, "ones", batch_size=4)
    assert check_run(recipe, DATA) is not None
    variables = recipe.model.init(jax.random.key(0), X, train=False)
    assert jax.tree.map(np.shape, variables) == {"params": {"Dense_0": {"bias": (2,), "kernel": (50, 2)}}}
    plain = recipe.model.apply(variables, X, train=False)
    noisy = recipe.model.apply(variables, X, train=True, rngs={"dropout": jax.random.key(1)})
    assert np.array_equal(plain, noisy) == isinstance(network, Silent)
    assert Recipe("own", recipe.model, "ones").model is recipe.model
    many = fitted_to(recipe, DATA._replace(classes=("a", "b", "c")))
    assert many.model.network.num_classes == 3


def test_what_is_no_network_or_has_nothing_to_train_is_refused_by_name():
    with pytest.raises(ValueError, match=r"model must be an instance of a network of flax\.linen, .* got its class"):
        Recipe("own", Silent, "ones")
    with pytest.raises(ValueError, match="got a NoneType"):
        Recipe("own", None, "ones")
    with pytest.raises(ValueError, match="no parameters to train"):
        init_state(Recipe("own", Nothing(), "ones").model, sgd(0.1), jax.random.key(0), X)
