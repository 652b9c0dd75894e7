"""From the shell to the first update, and to the end of a run of one: the first time, and again.

    python benchmarks/starts.py --out benchmarks/results/starts-cpu.json

Each command is a process of its own, with the caches of its recipe in an empty folder: once cold, then `--rounds` times
warm, of which the median counts. `jax` is warm too, but with JAX's own compilation cache alone, which has to be asked
with a traced program (`JAX_COMPILATION_CACHE_DIR`). Its rounds alternate with those of `warm`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

from jaxd2l.machine import processor
from jaxd2l.run_folder import device_name, write_json

RECIPES = ("mlp", "lenet", "lenet_bn", "nin", "resnet18", "densenet", "alexnet", "vgg11", "googlenet")
RUN = ("--epochs", "1", "--limit-train", "64", "--limit-test", "64", "--batch-size", "64", "--no-report")


def start(recipe: str, cache: Path, jaxs: bool) -> tuple[float, float]:
    """Seconds until everything is compiled, and until the process ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment["XDG_CACHE_HOME"] = str(cache)
    if jaxs:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(cache / "jax")
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jaxd2l", "train", recipe, *RUN, "--out", str(Path(folder) / "run")]
        began, compiled = time.perf_counter(), float("nan")
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("compiled in"):
                    compiled = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"starts.py: {recipe} ended with {process.returncode}")
        return compiled, time.perf_counter() - began


def measure(recipe: str, rounds: int, with_jaxs: bool) -> dict[str, dict[str, float]]:
    """Seconds of each kind of start of a recipe."""
    kinds = {"warm": False, **({"jax": True} if with_jaxs else {})}
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in ("cold", *kinds)}
    with tempfile.TemporaryDirectory() as folder:
        caches = {kind: Path(folder) / kind for kind in kinds}
        for kind, jaxs in kinds.items():
            first = start(recipe, caches[kind], jaxs)
            found["cold"] += [] if jaxs else [first]
        for _ in range(rounds):
            for kind, jaxs in kinds.items():
                found[kind].append(start(recipe, caches[kind], jaxs))
    return {
        kind: dict(
            zip(("compiled", "end"), (round(statistics.median(s), 2) for s in zip(*times, strict=True)), strict=True)
        )
        for kind, times in found.items()
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES, metavar="RECIPE", help=f"default: {', '.join(RECIPES)}")
    parser.add_argument("--rounds", type=int, default=3, help="warm starts of each kind; default: 3")
    parser.add_argument("--jaxs-cache", action="store_true", help="beside them starts with JAX's own cache alone")
    parser.add_argument("--out", type=Path, help="JSON; recipes that it holds, measured alike, stay in it")
    args = parser.parse_args()
    result = {
        "device": device_name(),
        "processor": processor.model_name(),
        "instructions": processor.vector_instructions(),
        "jax": jax.__version__,
        "command": f"jaxd2l train RECIPE {' '.join(RUN)}",
        "rounds": args.rounds,
        "seconds": {},
    }
    before = json.loads(args.out.read_text(encoding="utf-8")) if args.out and args.out.exists() else {}
    if {**before, "seconds": {}} == result:  # other recipes of the same
        result["seconds"] = before["seconds"]
    for recipe in args.recipes:
        result["seconds"][recipe] = measured = measure(recipe, args.rounds, args.jaxs_cache)
        print(recipe, *(f"{kind} {s['compiled']:.1f} to {s['end']:.1f} s" for kind, s in measured.items()), flush=True)
        if args.out:
            write_json(args.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
