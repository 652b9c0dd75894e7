"""What a recipe costs is known for every optimizer, schedule and type of numbers that it trains with."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from cost_check import xla_train_bytes

from jaxd2l.cost import cost
from jaxd2l.cost.measured import measure
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn.models import MLP
from jaxd2l.train import Recipe

pytestmark = pytest.mark.usefixtures("unoptimised")

PART = Examples(np.zeros((11, 4), np.float32), np.arange(11, dtype=np.int32) % 3)
DATA = Dataset("own", PART, PART)
RECIPE = Recipe(
    name="own", model=MLP(hidden=(5,), num_outputs=3), dataset="own", learning_rate=0.1, epochs=1, batch_size=4
)
PARAMETERS = 4 * 5 + 5 + 5 * 3 + 3
SCHEDULE = optax.cosine_decay_schedule(0.1, 8)
KEYED = optax.GradientTransformation(lambda params: jax.random.key(0), lambda g, key, params=None: (g, key))
CHANGES = {
    "adamw and schedule": ({"optimizer": lambda r, d: optax.adamw(r), "learning_rate": SCHEDULE}, 2 * PARAMETERS),
    "sgd and schedule": ({"learning_rate": SCHEDULE}, 0),
    "finished": ({"optimizer": optax.adam(0.1)}, 2 * PARAMETERS),
    "numbers in Python": ({"optimizer": lambda r, d: optax.sgd(float(r), momentum=0.9)}, PARAMETERS),
    "typed key": ({"optimizer": optax.chain(KEYED, optax.sgd(0.1))}, 0),
    "averaged": ({"ema": 0.9}, PARAMETERS),
    "several steps": ({"optimizer": optax.MultiSteps(optax.sgd(0.1), 2)}, PARAMETERS),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_the_optimizer_state_is_counted_whatever_the_optimizer(name):
    changes, numbers = CHANGES[name]
    found = cost(dataclasses.replace(RECIPE, **changes), DATA)
    assert 4 * numbers <= found.train.optimizer_state <= 4 * numbers + 64  # counters, rates and keys
    assert measure(found, DATA).step_seconds > 0
    assert xla_train_bytes(found.recipe, DATA) > 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [">i8", "<u2", np.uint64])
def test_memory_is_that_of_the_plain_numbers(dtype):
    part = Examples(PART.x.astype(">f4"), PART.y.astype(dtype))
    assert cost(RECIPE, Dataset("own", part, part)).train == cost(RECIPE, DATA).train
