"""How far one rounding of the weights before each update carries a training: what float32 itself leaves open.

    python benchmarks/rounding.py dropout_mlp lenet_bn --json benchmarks/results/rounding.json

Each recipe trains 50 updates of its own compiled program, at its rate and at .1; then again, eight times, with each
weight made larger or smaller by 2^-23 of itself before each update, which way drawn at random. Told are the largest
difference of a loss as a share of it, and the first update where that is above 1e-4. Two libraries round otherwise in
every product: they cannot agree more closely than that (`docs/use/pytorch.md`).
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxd2l
from jaxd2l.data import Dataset
from jaxd2l.machine.processor import model_name
from jaxd2l.train import Program, Recipe, compile_program, run_keys
from jaxd2l.train.mesh import on_device
from jaxd2l.train.program import initial_state

UPDATES, TRIES, ASKED = 50, 8, 1e-4


def losses(recipe: Recipe, data: Dataset, program: Program, draw: np.random.Generator | None = None) -> np.ndarray:
    """The loss of each update (50,), of weights that are rounded once more before each where `draw` says how."""
    keys = run_keys(0)
    state = initial_state(program, 0, recipe.learning_rate, recipe.weight_decay)
    rows, record = program.shuffle(keys.shuffle, np.int32(1)), program.record(program.train_steps)
    train = on_device(data.train)

    def rounded(a: jax.Array) -> jax.Array:
        assert draw is not None
        factor = (1 + np.float32(2**-23) * draw.choice([-1, 1], a.shape)).astype(np.float32)
        return jnp.array(np.asarray(a) * factor)

    for i in range(UPDATES):
        if draw is not None:
            state = state._replace(params=jax.tree.map(rounded, state.params))
        state, record = program.epoch(state, record, *train, rows, keys.noise, np.int32(i), np.int32(i + 1))
    return np.asarray(record.loss, np.float64)[:UPDATES] / np.asarray(record.examples)[:UPDATES]


def main() -> None:
    """Train and print; `--json` keeps what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=["dropout_mlp", "lenet_bn"], metavar="RECIPE")
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    for name in args.recipes:
        own = jaxd2l.find(name)
        data = jaxd2l.load_data(own)
        program = compile_program(own, data, without=("evaluation",))
        for rate in (own.learning_rate, 0.1):
            recipe = dataclasses.replace(own, learning_rate=rate)
            plain, shares, first = losses(recipe, data, program), [], []
            for seed in range(TRIES):
                share = np.abs(losses(recipe, data, program, np.random.default_rng(seed)) - plain) / plain
                above = np.flatnonzero(share > ASKED)
                shares.append(float(f"{share.max():.2g}"))
                first.append(int(above[0]) + 1 if above.size else None)
            found.append({"recipe": name, "learning_rate": rate, "largest_share": shares, "first_update": first})
            print(f"{name} at {rate:g}: {', '.join(map(str, shares))}; above {ASKED:g} from {first}", flush=True)
    if args.json:
        told = {"processor": model_name(), "jax": jax.__version__, "updates": UPDATES, "runs": found}
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
