"""The counted cost of recipes beside XLA's own figures: FLOPs before optimisation, bytes of the compiled programs.

    python benchmarks/cost_check.py mlp lenet alexnet --batch-size 16

Nothing runs and nothing is allocated, but a large network takes minutes to compile. `docs/understand/cost.md` says
where the two differ, and why.
"""

import argparse
import dataclasses
import json
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from jaxd2l.cost.answer import Cost
from jaxd2l.cost.estimate import batch_like, cost
from jaxd2l.data import Dataset, shapes
from jaxd2l.machine.device import default_device
from jaxd2l.recipes import RECIPES, find
from jaxd2l.train import Recipe
from jaxd2l.train.compiler import compiled
from jaxd2l.train.program import bind, calls_of
from jaxd2l.train.state import TrainState, run_keys
from jaxd2l.train.step import Batch, make_judge

PLAIN = ("cuda",)  # lowered for it, a convolution is one operation that XLA knows how to count; no GPU is needed


class XlaCost(NamedTuple):
    """What XLA says of the same programs.

    Attributes:
        forward_flops: of the prediction of one batch, before optimisation; without products with padding zeros.
        step_flops: of one update, likewise.
        predict_bytes: arguments and temporaries of the compiled prediction.
        train_bytes: arguments and temporaries of the compiled epoch; compare with `train.total - train.set_aside`.
    """

    forward_flops: float
    step_flops: float
    predict_bytes: int
    train_bytes: int


def xla_flops(recipe: Recipe, data: Dataset | None = None) -> tuple[float, float]:
    """FLOPs of the prediction of one batch and of one update, as XLA counts them; nothing is compiled."""
    data = shapes(recipe.dataset) if data is None else data
    state, *_ = calls_of(bind(recipe, data))["epoch"]
    batch = batch_like(recipe, data)
    judge = jax.jit(make_judge(recipe.model, recipe.objective())).trace(state.params, state.batch_stats, batch)
    update = jax.jit(recipe.make_step()).trace(state, batch, run_keys(0).init)
    forward, both = (t.lower(lowering_platforms=PLAIN).cost_analysis()["flops"] for t in (judge, update))
    return float(forward), float(both)


def xla_train_bytes(recipe: Recipe, data: Dataset | None = None) -> int:
    """Compile a recipe's epoch for the default device and ask XLA for its arguments and temporaries; nothing runs."""
    run = bind(recipe, shapes(recipe.dataset) if data is None else data)
    return _bytes(compiled(run.epoch, calls_of(run)["epoch"], donate=(0, 1)))


def xla_cost(recipe: Recipe, data: Dataset | None = None) -> XlaCost:
    """Compile a recipe's epoch and prediction for the default device and ask XLA about them; nothing runs."""
    data = shapes(recipe.dataset) if data is None else data
    params, batch_stats, *_ = calls_of(bind(recipe, data))["evaluation"]
    judge = make_judge(recipe.model, recipe.objective())
    predict = compiled(judge, (params, batch_stats, batch_like(recipe, data)))
    return XlaCost(*xla_flops(recipe, data), _bytes(predict), xla_train_bytes(recipe, data))


def _bytes(program: Any) -> int:
    analysis: Any = program.memory_analysis()
    return int(analysis.argument_size_in_bytes + analysis.temp_size_in_bytes)


def residual_bytes(recipe: Recipe, data: Dataset | None = None) -> int:
    """A simpler forecast of training memory: state, gradients, and what `jax.vjp` keeps for the backward pass."""
    data = shapes(recipe.dataset) if data is None else data
    state, *_ = calls_of(bind(recipe, data))["epoch"]
    objective = recipe.objective()

    def backward(state: TrainState, batch: Batch, key: jax.Array) -> Any:
        x = objective.prepare(batch.x).astype(objective.dtype)

        def loss(params: Any) -> Any:
            variables = {"params": params, "batch_stats": state.batch_stats}
            output, updated = recipe.model.apply(
                variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
            )
            return jnp.sum(objective.loss(output, batch.y) * batch.weight), updated

        return jax.vjp(loss, state.params, has_aux=True)[1]

    kept = jax.make_jaxpr(backward)(state, batch_like(recipe, data), run_keys(0).init).jaxpr
    residuals = {v for v in kept.outvars if not isinstance(v, Literal)} - set(kept.invars)  # each array once
    return _size([v.aval for v in residuals]) + _size(state) + _size(state.params)


def _size(tree: Any) -> int:
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(tree))


def pairs(found: Cost, xla: XlaCost, residuals: int) -> dict[str, tuple[float, float]]:
    """Ours and XLA's: FLOPs of a batch without products with padding zeros, bytes without the data set."""
    n, data = found.recipe.batch_size, found.train.data
    forward = found.forward_flops * n - 2 * n * sum(layer.padding_macs for layer in found.layers)
    return {
        "FLOPs to predict": (forward, xla.forward_flops),
        "FLOPs a step": (found.step_flops - found.padding_flops, xla.step_flops),
        "bytes to train": (found.train.total - found.train.set_aside - data, xla.train_bytes - data),
        "bytes to train by residuals": (residuals, xla.train_bytes - data),
        "bytes to predict": (found.predict.total, xla.predict_bytes),
    }


def main() -> None:
    """Compare and print; `--json` writes the same numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--json", metavar="PATH")
    arguments = parser.parse_args()
    print(f"{default_device().device_kind}, jax {jax.__version__}, batch {arguments.batch_size}: ours / XLA's")
    found = {}
    for name in arguments.recipes:
        settings = {"batch_size": arguments.batch_size, "precision": arguments.precision, "remat": arguments.remat}
        recipe = dataclasses.replace(find(name), **settings)
        found[name] = pairs(cost(recipe), xla_cost(recipe), residual_bytes(recipe))
        cells = [f"{what} {a:,.0f} / {b:,.0f} = {a / b:.3f}" for what, (a, b) in found[name].items()]
        print(f"{name}: {'; '.join(cells)}", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"jax": jax.__version__, "batch": arguments.batch_size, "recipes": found}, file, indent=1)


if __name__ == "__main__":
    main()
