"""Run by `test_processes.py` once in each process: trains one run over all of their devices and prints what came of it.

How many processes there are is settled before JAX is first used.
"""

import dataclasses
import json
import sys

import jax
import numpy as np

from jaxd2l import run_folder
from jaxd2l.data import Dataset, Examples
from jaxd2l.data.streaming import OnDisk
from jaxd2l.nn.models import MLP
from jaxd2l.train import DivergenceError, Recipe, compile_program, fit
from jaxd2l.train.mesh import collectives, of_each, readable, require_same
from jaxd2l.train.program import windows


def trained(folder, mesh):
    """A run in the folder, stopped and gone on with, every process at its own pace; what a rate too high is called."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 52).astype(np.int32)
    x = (rng.normal(size=(52, 8)) + y[:, None]).astype(np.float32)
    data = Dataset("clouds", Examples(x, y), Examples(x[:19], y[:19]), ("a", "b", "c"))
    model = MLP(hidden=(128,), num_outputs=3, dropout=(0.3,))
    recipe = Recipe("small", model, "clouds", learning_rate=0.05, epochs=2, batch_size=16, momentum=0.9)
    seen = iter(range(100))
    program = compile_program(recipe, data, mesh=mesh)
    settings = {"run_dir": folder, "resume": True, "program": program, "chunk_seconds": float(jax.process_index())}
    try:
        run_folder.fit(recipe, data, **settings, stop=lambda: InterruptedError if next(seen) else None)
    except InterruptedError as error:
        stopped = str(error)
    run = run_folder.fit(recipe, data, **settings)
    try:
        fit(dataclasses.replace(recipe, learning_rate=1e30), data, program=program)
    except DivergenceError as error:
        diverged = str(error).partition(";")[0]
    return stopped.partition(";")[0], [epoch.train_loss for epoch in run.epochs], diverged


class Read:
    """Rows of an array, and how many were asked for at a time."""

    def __init__(self, rows):
        self.rows, self.counts = rows, set()

    def __call__(self, which):
        self.counts.add(len(which))
        return self.rows[which]


def streamed(mesh):
    """Of a training from a disk, in pieces: whether it has the resident one's bits, rows read at once, exchanges."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (52, 4, 4, 1), np.uint8), rng.integers(0, 3, 52).astype(np.int32)
    data = Dataset("noise", Examples(x, y), Examples(x[:19], y[:19]), ("a", "b", "c"))
    model = MLP(hidden=(9,), num_outputs=3, dropout=(0.3,))
    recipe = Recipe("small", model, "noise", learning_rate=0.05, epochs=2, batch_size=16, image_size=4, accumulate=2)
    windows.BYTES = 3 * 16 * (16 + 4)
    read = Read(x)
    digests, sums = np.zeros((52, 32), np.uint8), np.zeros((52, 2, 1), np.int64)
    disk = OnDisk(read, x.shape[1:], x.dtype, rows=np.arange(52), digests=digests, sums=sums)
    there = data._replace(train=data.train._replace(x=disk))
    program = compile_program(recipe, there, mesh=mesh)
    runs = fit(recipe, data, mesh=mesh), fit(recipe, there, program=program, workers=0)
    resident, same = ([np.asarray(a).tobytes() for a in jax.tree.leaves(readable(run.state))] for run in runs)
    exchanged = sorted({one.kind for one in collectives(program.epoch.as_text())})
    return [resident == same, [run.epochs[-1].test_loss for run in runs], sorted(read.counts), exchanged]


def main():
    """Train, and ask for different things once."""
    folder, coordinator, number, me = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if number > 1:
        jax.distributed.initialize(coordinator, number, me, initialization_timeout=60)
    devices = jax.devices()
    mesh = jax.make_mesh((len(devices),), ("fsdp",))  # large kernels in parts, all else whole
    stopped, losses, diverged = trained(f"{folder}/run", mesh)
    try:
        require_same({"seed": str(me)}, mesh)
        refused = ""
    except ValueError as error:
        refused = str(error)
    told = [stopped, losses, refused, of_each(me, mesh), streamed(jax.make_mesh((len(devices),), ("data",))), diverged]
    with open(f"{folder}/{me}.json", "w", encoding="utf-8") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main()
