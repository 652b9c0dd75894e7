"""What a run is made of as programs of `jax.export`, for the shapes of its data: state crosses the border by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.data import Dataset, Rows, ordered_rows
from jaxd2l.nn.parameters import arranged, flat
from jaxd2l.train import Recipe
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import Program, bind, calls_of, stored
from jaxd2l.train.step import Tally

PyTree = Any
Call = tuple[Callable[..., PyTree], tuple[PyTree, ...]]
PLATFORMS = ("cpu", "cuda", "tpu")
_DOT = "."


def exported_programs(recipe: Recipe, data: Dataset, platform: str) -> dict[str, dict[str, jax.export.Exported]]:
    """Every program of a run, by its name and by platform.

    Args:
        recipe: of the run.
        data: checked; only shapes count.
        platform: one that has to be among them, beside `PLATFORMS`.

    Raises:
        ValueError: a function cannot be exported, such as one that calls Python back.
    """
    platforms = tuple(dict.fromkeys((platform, *PLATFORMS)))
    found: dict[str, dict[str, jax.export.Exported]] = {}
    for name, (function, arguments) in _calls(bind(recipe, data), data).items():
        jitted = jax.jit(function)
        try:
            found[name] = {p: jax.export.export(jitted, platforms=(p,))(*arguments) for p in platforms}
        except Exception as error:  # what cannot be exported fails in every way
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(
                f"recipe {recipe.name} cannot be frozen: {name} is no program of jax.export ({reason})"
            ) from error
    return found


def _calls(program: Program, data: Dataset) -> dict[str, Call]:
    """Each function with the shapes of its arguments: keys as numbers, states, weights and records as dicts."""
    known = calls_of(program)
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    number = known["init"][1]
    state = jax.eval_shape(program.init, *known["init"])
    weights = {"params": state.params, "batch_stats": state.batch_stats}
    record, x, y, rows, _, first, last = known["epoch"][1:]

    def init(key: jax.Array, learning_rate: jax.Array, weight_decay: jax.Array) -> dict[str, jax.Array]:
        return flat(program.init(_key(key), learning_rate, weight_decay), _DOT)

    def shuffle(key: jax.Array, epoch: jax.Array) -> tuple[jax.Array, jax.Array]:
        return tuple(program.shuffle(_key(key), epoch))

    def epoch(
        named: PyTree, record: PyTree, x: Any, y: Any, indices: Any, weight: Any, key: Any, *bounds: Any
    ) -> PyTree:
        rows, before = Rows(indices, weight), arranged(named, state, _DOT)
        after, record = program.epoch(before, Tally(**record), x, y, rows, _key(key), *bounds)
        return flat(after, _DOT), record._asdict()

    def evaluation(named: PyTree, record: PyTree, x: Any, y: Any, indices: Any, weight: Any, *bounds: Any) -> PyTree:
        trees = arranged(named, weights, _DOT)
        rows, of = Rows(indices, weight), (trees["params"], trees["batch_stats"])
        return program.evaluation(*of, Tally(**record), x, y, rows, *bounds)._asdict()

    def judging(part: Any) -> tuple[PyTree, ...]:
        rows = jax.eval_shape(partial(ordered_rows, len(part.x), program.recipe.batch_size))
        tallies = jax.eval_shape(partial(empty_tally, len(rows.weight)))
        return flat(weights, _DOT), tallies._asdict(), *stored(program.recipe, part), *rows, first, last

    calls: dict[str, Call] = {
        "init": (init, (key, number, number)),
        "shuffle": (shuffle, (key, first)),
        "epoch": (epoch, (flat(state, _DOT), record._asdict(), x, y, *rows, key, first, last)),
        "evaluation": (evaluation, judging(data.judged)),
    }
    return calls if data.validation is None else {**calls, "test": (evaluation, judging(data.test))}


def _key(numbers: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(numbers, impl="threefry2x32")
