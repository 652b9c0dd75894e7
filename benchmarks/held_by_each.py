"""What each device holds of parameters and optimizer state, whole and in parts, beside what `jaxd2l cost` says.

    python benchmarks/held_by_each.py --out benchmarks/results/held_by_each.json

A run's first state is made on 2, 4 and 8 simulated devices of a CPU, as `jaxd2l train` does it with and without
`--shard-parameters`, and the bytes of the pieces that lie on each device are added up. It is where the state lies
between all steps: the compiled epoch takes and gives it so. Foreseen is `jaxd2l cost --devices N`, which counts the
number of the step among the optimizer's state.
"""

import argparse
import dataclasses
import datetime
import platform
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l.cost.each_device import each_device
from jaxd2l.data import shapes
from jaxd2l.machine import conditions
from jaxd2l.recipes import find
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json
from jaxd2l.train import Recipe, compile_program
from jaxd2l.train.mesh import AXIS, SHARDED
from jaxd2l.train.program import initial_state

RECIPES = ("mlp", "alexnet", "resnet18")
OPTIMIZERS = {"sgd": {}, "momentum": {"momentum": 0.9}, "adamw": {"optimizer": "adamw"}}
DEVICES = (2, 4, 8)


def held(tree: Any) -> list[int]:
    """Bytes that each device holds of the arrays of a tree."""
    found: Counter[Any] = Counter()
    for array in jax.tree.leaves(tree):
        for shard in array.addressable_shards:
            found[shard.device.id] += shard.data.nbytes
    return [found[device] for device in sorted(found)]


def measured(recipe: Recipe, devices: int, parts: bool) -> dict[str, Any]:
    """Bytes on each device, the same on all, and those foreseen."""
    data = shapes(recipe.dataset)
    mesh = Mesh(np.array(jax.devices()[:devices]), (SHARDED if parts else AXIS,))
    program = compile_program(recipe, data, mesh=mesh, without=("shuffle", "epoch", "evaluation"))
    state = initial_state(program, 0, recipe.learning_rate, recipe.weight_decay)
    foreseen = each_device(recipe, data, devices, shard_parameters=parts).cost.train
    found: dict[str, Any] = {}
    for name, tree, said in (
        ("parameters", state.params, foreseen.parameters),
        ("optimizer_state", (state.step, state.opt_state, state.ema), foreseen.optimizer_state),
    ):
        each = held(tree) or [0] * devices
        if len(each) != devices or len(set(each)) != 1:
            raise SystemExit(f"{recipe.name}: {name} lie unequally on {devices} devices: {each}")
        found[name] = {"held": each[0], "foreseen": said}
    return found


def rows_of(names: list[str]) -> list[dict[str, Any]]:
    """Every recipe with every optimizer on every number of devices, whole and in parts."""
    rows = []
    for name in names:
        for optimizer, settings in OPTIMIZERS.items():
            recipe = dataclasses.replace(find(name), **settings)
            for devices in DEVICES:
                for parts in (False, True):
                    what = {"recipe": name, "optimizer": optimizer, "devices": devices, "in_parts": parts}
                    rows.append(what | measured(recipe, devices, parts))
                    print(rows[-1], flush=True)
    return rows


def shown(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    sizes = [row[name][which] for which in ("held", "foreseen") for name in ("parameters", "optimizer_state")]
    in_parts = "in parts" if row["in_parts"] else "whole"
    return [row["recipe"], row["optimizer"], str(row["devices"]), in_parts, *(f"{size / 1e6:.3f}" for size in sizes)]


def main() -> None:
    """Measure, print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--out", type=Path, metavar="JSON", help="keep the figures")
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", max(DEVICES))
    rows = rows_of(args.only)
    header = ["recipe", "optimizer", "devices", "", "parameters, MB", "state, MB", "foreseen", "foreseen"]
    print(columns(header, [shown(row) for row in rows]))
    if args.out:
        where = {"device": conditions.device_name(), "jax": jax.__version__, "python": platform.python_version()}
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(
            args.out, {"command": "python benchmarks/held_by_each.py", "made": made, "where": where, "rows": rows}
        )


if __name__ == "__main__":
    main()
