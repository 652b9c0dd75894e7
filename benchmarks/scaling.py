"""How far a batch can be divided: what devices compute in a step against what they say to each other.

    python benchmarks/scaling.py                    # on paper, for H100s
    python benchmarks/scaling.py --measure          # and the same sum held against two processes here, one core each

On paper a step on N devices takes the FLOPs of its rows at a share of the device's peak, and then as many all-reduces
as the program has: each a latency, and the gradient at 2 (N - 1) / N of its bytes over the link (a ring; NCCL does no
worse). Nothing is overlapped. `jaxd2l cost --devices N` counts the FLOPs and the bytes; the tests hold both to XLA's
own count. The measurement times the parts by themselves and the whole: half the batch in one process, the all-reduce
alone, large once and small for every further array that a step's all-reduces hold (Gloo, by which processes on CPUs
talk, sends them one after another; NCCL together), and the step of two processes.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxd2l
from jaxd2l.catalogue import BOOK
from jaxd2l.cost.each_device import each_device
from jaxd2l.data import Dataset, Examples
from jaxd2l.machine import conditions
from jaxd2l.report.text import columns, short
from jaxd2l.run_folder import write_json
from jaxd2l.train import compile_program
from jaxd2l.train.mesh import collectives

OUT = Path(__file__).resolve().parent / "results" / "scaling.json"
ALL_REDUCES_A_NORM = 4  # mean, variance, and two of their gradients; tests/train/test_mesh.py counts them
MOST = 1024
MEASURED = {"mlp": (256, 200), "lenet": (256, 100), "lenet_bn": (256, 100), "alexnet": (16, 8)}  # batch, steps
REPEATS = 5


class Machine(NamedTuple):
    """A device and its links.

    Attributes:
        flops: a second at its best, in the precision of the network.
        share: of them that a convolution network's step reaches.
        inside, outside: bytes a second each way: between the devices of one machine, and between machines.
        together: devices of one machine.
        latency: seconds of a small all-reduce in one machine; across machines twice that.
    """

    flops: float
    share: float
    inside: float
    outside: float
    together: int
    latency: float

    def compute(self, flops: float) -> float:
        """Seconds of so many FLOPs."""
        return flops / (self.flops * self.share)

    def reduce(self, size: int, number: int, devices: int) -> float:
        """Seconds of `number` all-reduces of `size` bytes altogether."""
        if devices == 1:
            return 0.0
        across = devices > self.together
        link = self.outside if across else self.inside
        return number * self.latency * (1 + across) + 2 * (devices - 1) / devices * size / link


# Data sheet: TF32 without sparsity, NVLink 4 at 900 GB/s both ways together, one 400 Gb/s port a GPU. Share and latency
# are assumptions of the size that NCCL's and cuDNN's published measurements have.
H100 = Machine(flops=494.7e12, share=0.3, inside=450e9, outside=50e9, together=8, latency=20e-6)


def on_paper(name: str, machine: Machine) -> dict[str, Any]:
    """What a step of the recipe costs, and at how many devices its communication takes longer than its computing."""
    recipe = jaxd2l.find(name)
    data = jaxd2l.data.shapes(recipe.dataset)
    one = each_device(recipe, data, 1)
    number = 1 + ALL_REDUCES_A_NORM * sum(layer.kind == "BatchNorm" for layer in one.cost.layers)
    at = {}
    for devices in (2**power for power in range(1, MOST.bit_length())):
        wide = dataclasses.replace(recipe, batch_size=recipe.batch_size * devices)
        at[devices] = {
            "same_batch": machine.compute(one.cost.step_flops / devices) if recipe.batch_size % devices == 0 else None,
            "batch_of_each": machine.compute(one.cost.step_flops),
            "reduce": machine.reduce(one.reduced_bytes, number, devices),
            "rows": wide.batch_size,
        }
    dominated = [n for n, t in at.items() if t["same_batch"] is not None and t["reduce"] > t["same_batch"]]
    return {
        "batch": recipe.batch_size,
        "step_flops": one.cost.step_flops,
        "reduced_bytes": one.reduced_bytes,
        "all_reduces": number,
        "compute_ms": 1e3 * machine.compute(one.cost.step_flops),
        "dominated_from": min(dominated, default=None),
        "efficiency": {
            str(n): at[n]["batch_of_each"] / (at[n]["batch_of_each"] + at[n]["reduce"]) for n in (8, 64, MOST)
        },
    }


def few(name: str, rows: int) -> Dataset:
    """That many training examples, and few to judge by."""
    data = jaxd2l.load_data(jaxd2l.find(name))
    return data._replace(train=Examples(*(a[:rows] for a in data.train)), test=Examples(*(a[:16] for a in data.test)))


def all_reduce(mesh: Mesh, size: int) -> list[float]:
    """Seconds of summing so many floats over the processes, several times."""
    rows = jax.make_array_from_process_local_data(
        NamedSharding(mesh, PartitionSpec("data")), np.ones((1, size), np.float32)
    )
    total = jax.jit(lambda a: a.sum(0), out_shardings=NamedSharding(mesh, PartitionSpec()))
    total(rows).block_until_ready()
    found = []
    for _ in range(4 * REPEATS):
        began = time.perf_counter()
        total(rows).block_until_ready()
        found.append(time.perf_counter() - began)
    return found


def worker(name: str, batch: int, steps: int, address: str, number: int, me: int) -> None:
    """One process on a core of its own: print seconds of a step, and of the all-reduce alone."""
    if number > 1:
        jax.distributed.initialize(address, number, me)
    recipe = dataclasses.replace(jaxd2l.find(name), batch_size=batch, epochs=1 + REPEATS)
    data, mesh = few(name, steps * batch), jax.make_mesh((number,), ("data",))
    program = compile_program(recipe, data, mesh=mesh if number > 1 else None)
    epochs = jaxd2l.fit(recipe, data, program=program).epochs
    seconds = {"step": [epoch.seconds / steps for epoch in epochs[1:]]}
    if number > 1:
        whole = each_device(recipe, data, number).reduced_bytes // 4
        seconds |= {"reduce": all_reduce(mesh, whole), "small": all_reduce(mesh, 16)}
    found = {key: statistics.median(values) for key, values in seconds.items()}
    found["arrays"] = sum(one.arrays for one in collectives(program.epoch.as_text()))
    if me == 0:
        print(json.dumps(found), flush=True)


def in_processes(name: str, batch: int, steps: int, number: int) -> dict[str, float]:
    """What the first of so many processes prints."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    started = []
    for me in range(number):
        command = [sys.executable, __file__, "--worker", name, str(batch), str(steps), address, str(number), str(me)]
        # each with a core of its own, as if it were a machine
        pin = ["taskset", "-c", str(me)] if platform.system() == "Linux" else []
        started.append(subprocess.Popen([*pin, *command], stdout=subprocess.PIPE, text=True))
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{name}: a process of {number} failed")
    found: dict[str, float] = json.loads(printed[0].splitlines()[-1])
    return found


def measured(name: str, batch: int, steps: int) -> dict[str, Any]:
    """The parts and the whole."""
    half, both = in_processes(name, batch // 2, steps, 1), in_processes(name, batch, steps, 2)
    reduced = both["reduce"] + (both["arrays"] - 1) * both["small"]
    return {
        "batch": batch,
        "arrays": both["arrays"],
        "small_ms": 1e3 * both["small"],
        "half_the_batch_ms": 1e3 * half["step"],
        "all_reduce_ms": 1e3 * reduced,
        "step_of_two_ms": 1e3 * both["step"],
        "to_the_sum": both["step"] / (half["step"] + reduced),
    }


def main() -> None:
    """Reckon, measure where asked, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--share", type=float, default=H100.share, help="of the peak that a step reaches")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE")
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, batch, steps, address, number, me = args.worker
        return worker(name, int(batch), int(steps), address, int(number), int(me))
    machine = H100._replace(share=args.share)
    names = [name for name, experiment in BOOK.items() if experiment.image_size is not None]
    paper = {name: on_paper(name, machine) for name in names}
    kept = json.loads(args.out.read_text(encoding="utf-8")) if args.out.is_file() else {}
    kept |= {"command": "python benchmarks/scaling.py --measure", "machine": machine._asdict(), "paper": paper}
    header = (
        "recipe",
        "batch",
        "FLOPs a step",
        "gradient",
        "all-reduces",
        "ms",
        "dominates from",
        "8",
        "64",
        str(MOST),
    )
    rows = [
        (
            *(name, str(one["batch"]), short(one["step_flops"]), f"{one['reduced_bytes'] / 1e6:.2f} MB"),
            *(str(one["all_reduces"]), f"{one['compute_ms']:.2f}", str(one["dominated_from"] or "")),
            *(f"{share:.0%}" for share in one["efficiency"].values()),
        )
        for name, one in paper.items()
    ]
    print(columns(header, rows))
    if args.measure:
        found = {name: measured(name, *of) for name, of in MEASURED.items()}
        facts = {"device": conditions.device_name(), "jax": jax.__version__, "cores": os.cpu_count()}
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        kept["measured"] = {"recipes": found, **facts, "when": when}
        header = ("recipe", "batch", "arrays", "half, ms", "all-reduce, ms", "sum, ms", "two processes, ms", "ratio")
        rows = [
            (
                *(name, str(one["batch"]), str(one["arrays"]), f"{one['half_the_batch_ms']:.1f}"),
                f"{one['all_reduce_ms']:.1f}",
                *(f"{one['half_the_batch_ms'] + one['all_reduce_ms']:.1f}", f"{one['step_of_two_ms']:.1f}"),
                f"{one['to_the_sum']:.2f}",
            )
            for name, one in found.items()
        ]
        print(columns(header, rows))
    write_json(args.out, kept)
    return None


if __name__ == "__main__":
    main()
