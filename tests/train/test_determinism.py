"""What makes equal seeds give equal bits, on a GPU too: nothing in an update adds in an order left to chance."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from model_table import SHALLOW, quick_first, shallow_recipe

from jaxd2l.cli import main
from jaxd2l.data import shapes
from jaxd2l.train import Batch, init_state, make_step

REPOSITORY = Path(__file__).parent.parent.parent


def _primitives(jaxpr):
    """Every primitive of a traced program, inner programs included."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                if hasattr(inner, "eqns"):
                    yield from _primitives(inner)
                elif hasattr(inner, "jaxpr"):
                    yield from _primitives(inner.jaxpr)


@pytest.mark.parametrize("name", quick_first(SHALLOW))
def test_no_update_scatters(name):
    # Scatter and select-and-scatter add in the order in which a GPU's threads arrive.
    recipe = shallow_recipe(name)
    stored = shapes(recipe.dataset).train.x
    optimizer, objective = recipe.make_optimizer(), recipe.objective()
    x = jax.ShapeDtypeStruct((2, *stored.shape[1:]), stored.dtype)
    prepared = jax.eval_shape(objective.prepare, x)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda key: init_state(recipe.model, optimizer, key, jnp.zeros(prepared.shape)), key)
    batch = Batch(x, jax.ShapeDtypeStruct((2,), jnp.int32), jax.ShapeDtypeStruct((2,), jnp.float32))
    traced = jax.make_jaxpr(make_step(recipe.model, optimizer, objective))(state, batch, key)
    used = set(_primitives(traced.jaxpr))
    assert "dot_general" in used, "the walk reaches the network"
    assert not {primitive for primitive in used if "scatter" in primitive}


@pytest.mark.slow
def test_deterministic_changes_nothing_on_a_cpu(tmp_path):
    def arguments(folder):
        return ["train", "linear", "--no-report", "--quiet", "--device", "cpu", "--out", str(tmp_path / folder)]

    assert main(arguments("usual")) == 0
    command = [sys.executable, "-m", "jaxd2l", *arguments("asked"), "--deterministic"]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    usual, asked = ((tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("usual", "asked"))
    assert usual == asked
