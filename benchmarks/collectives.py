"""What 8 devices say to each other in a step of every recipe of pictures, at its own image size and batch.

    python benchmarks/collectives.py --out benchmarks/results/collectives.json
    python benchmarks/collectives.py --out benchmarks/results/collectives.json --only lenet vgg19

Each recipe's epoch is compiled for 8 simulated devices of a CPU, once as a CPU runs it and once as exported for CUDA,
divided by XLA here; the exchanges are read off the text of both. Nothing is run, and nothing is optimised that has no
part in how a program is divided. A recipe is stored as soon as it is counted, and those that are not counted again
stay: the deepest take minutes. `tests/train/eight_devices.py` reads small networks by the same function.
"""

import argparse
import datetime
import json
import platform
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jaxd2l.catalogue import EXPERIMENTS
from jaxd2l.data import Dataset, shapes
from jaxd2l.machine import conditions
from jaxd2l.nn.kernels.shards import batch_over
from jaxd2l.recipes import find
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json
from jaxd2l.train import Recipe
from jaxd2l.train.mesh import collectives, data_mesh, shardings
from jaxd2l.train.program import bind, calls_of

DEVICES = 8
# what is asked is how the program is divided, not how fast it is
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def exchanges(recipe: Recipe, data: Dataset, mesh: Mesh | None) -> dict[str, Any]:
    """The exchanges of an epoch's program, as compiled for CPU and as exported for CUDA, and what they consist of.

    Returns:
        `cpu` and `cuda`, the `Collective`s of each (those of a step stand there once); `norms`, the layers of batch
        normalisation, `statistics`, the numbers that they keep, and `parameters`, how many the network has.
    """
    program = bind(recipe, data, mesh)
    calls = calls_of(program)
    state = calls["epoch"][0]
    facts = {
        "norms": sum("var" in str(path[-1]) for path, _ in jax.tree.leaves_with_path(state.batch_stats)),
        "statistics": sum(a.size for a in jax.tree.leaves(state.batch_stats)),
        "parameters": sum(a.size for a in jax.tree.leaves(state.params)),
    }
    out = shardings(jax.eval_shape(program.epoch, *calls["epoch"]), mesh)
    with batch_over(mesh):
        epoch = jax.jit(program.epoch, donate_argnums=(0, 1), out_shardings=out)
        here = epoch.lower(*calls["epoch"]).compile(QUICKLY)
        unchecked = [jax.export.DisabledSafetyCheck.platform()]  # XLA divides a program in the same way for all
        exported = jax.export.export(epoch, platforms=["cuda"], disabled_checks=unchecked)(*calls["epoch"])
    cuda = jax.jit(exported.call).lower(*calls["epoch"]).compile(QUICKLY)
    return facts | {"cpu": collectives(here.as_text()), "cuda": collectives(cuda.as_text())}


def counted(name: str) -> dict[str, Any]:
    """How many exchanges of each kind a step of a recipe has, and their bytes."""
    recipe, began = find(name), time.monotonic()
    found = exchanges(recipe, shapes(recipe.dataset), data_mesh(jax.devices()))
    for target in ("cpu", "cuda"):
        calls = found[target]
        number = Counter(call.kind for call in calls)
        size = {kind: sum(call.bytes for call in calls if call.kind == kind) for kind in number}
        found[target] = {kind: {"number": number[kind], "bytes": size[kind]} for kind in sorted(number)}
    return {
        "image_size": recipe.image_size,
        "batch": recipe.batch_size,
        **found,
        "seconds": round(time.monotonic() - began, 1),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def said(calls: dict[str, dict[str, int]]) -> str:
    """The exchanges of one program in words, such as `17 all-reduce (0.19 MB)`."""
    return ", ".join(f"{one['number']} {kind} ({one['bytes'] / 1e6:.2f} MB)" for kind, one in calls.items())


def keep(out: Path, name: str, found: dict[str, Any], order: list[str]) -> None:
    """Write one recipe into the results, in the place of what they held of it."""
    before = json.loads(out.read_bytes())["recipes"] if out.exists() else {}
    recipes = {**before, name: found}
    where = {"device": conditions.device_name(), "devices": DEVICES, "python": platform.python_version()}
    head = {"command": "python benchmarks/collectives.py", **where, "jax": jax.__version__}
    write_json(out, {**head, "recipes": {name: recipes[name] for name in order if name in recipes}})


def main() -> None:
    """Count, print a table and keep the figures."""
    names = [name for name in EXPERIMENTS if len(shapes(find(name).dataset).train.x.shape) > 2]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="RECIPE", help=", ".join(names))
    parser.add_argument(
        "--out", type=Path, metavar="JSON", help="keep the figures, beside those of other recipes there"
    )
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    rows = []
    for name in args.only:
        found = counted(name)
        rows.append([name, str(found["parameters"]), str(found["norms"]), said(found["cpu"]), said(found["cuda"])])
        print(*rows[-1], f"{found['seconds']} s", sep="; ", flush=True)
        if args.out:
            keep(args.out, name, found, names)
    print(columns(["recipe", "parameters", "norms", "as a CPU has it", "as exported for CUDA"], rows))


if __name__ == "__main__":
    main()
