"""What a checkpoint costs a run that nothing happens to.

    python benchmarks/checkpoint_cost.py --out benchmarks/results/checkpoint_cost.json

For each recipe: how long the training loop waits for a checkpoint to begin (the copy to the host), how long the
thread beside it then takes to hash, write and commit, and how much processor time that is; once a process, the
import of Orbax. Medians over `--saves`, after two that are not counted.
"""

import argparse
import datetime
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import jax

from jaxd2l.recipes import find, load_data
from jaxd2l.run_folder import device_name, write_json
from jaxd2l.run_folder.checkpoint import Checkpoints, pack
from jaxd2l.train import Progress, compile_program, empty_tally
from jaxd2l.train.program import initial_state


def measure(name: str, saves: int) -> dict[str, float]:
    """Milliseconds and megabytes of one checkpoint of the recipe called `name`."""
    recipe = find(name)
    program = compile_program(recipe, load_data(recipe))
    state = initial_state(program, 0, recipe.learning_rate, recipe.weight_decay)
    now = Progress(state, empty_tally(program.train_steps), 1, 0, 0.0, ())
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((now.state, now.record)))
    begin, commit, cpu = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "checkpoints")
        for number in range(saves + 2):
            before, began = time.process_time(), time.perf_counter()
            checkpoints.save(number, *pack(now))
            begun = time.perf_counter()
            checkpoints.wait()
            begin.append(begun - began)
            commit.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - before)  # of all threads
        checkpoints.close()
    return {
        "megabytes": round(size / 1e6, 2),
        "loop_waits_ms": round(1e3 * statistics.median(begin[2:]), 2),
        "thread_takes_ms": round(1e3 * statistics.median(commit[2:]), 1),
        "processor_ms": round(1e3 * statistics.median(cpu[2:]), 1),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The cost of a checkpoint.")
    parser.add_argument("--recipes", nargs="+", default=["mlp", "lenet", "resnet18"])
    parser.add_argument("--saves", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    before = time.process_time()
    import orbax.checkpoint

    result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device_name(),
        "jax": jax.__version__,
        "orbax": orbax.checkpoint.__version__,
        "saves": args.saves,
        "import_processor_seconds": round(time.process_time() - before, 2),
        "recipes": {name: measure(name, args.saves) for name in args.recipes},
    }
    print(json.dumps(result, indent=2))
    if args.out:
        write_json(args.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
