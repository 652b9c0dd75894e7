"""Run by `test_mesh.py` as a process with 8 simulated devices: prints facts about programs and runs there, as JSON.

A test process has one device; how many there are is settled before JAX is first used.
"""

import contextlib
import dataclasses
import io
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["JAX_NUM_CPU_DEVICES"] = "8"
sys.path.extend(str(Path(__file__).parents[2] / name) for name in ("benchmarks", "tests"))

import collectives as benchmark
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from begun import begun
from jax.sharding import Mesh

from jaxd2l import cli, run_folder
from jaxd2l.cost.each_device import each_device
from jaxd2l.data import Dataset, Examples, augmentation, epoch_rows
from jaxd2l.nn import BatchNorm, Conv, Dense, Dropout, flatten, max_pool, relu
from jaxd2l.nn.kernels.shards import batch_over
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.models import MLP, ResNet
from jaxd2l.nn.models.resnet import RESNEXT_BLOCK
from jaxd2l.recipes import find
from jaxd2l.selection.folds import assign_folds, same_in_every_fold
from jaxd2l.selection.grid import Point
from jaxd2l.selection.kfold import kfold
from jaxd2l.selection.sweep import Method, sweep
from jaxd2l.train import (
    Objective,
    Recipe,
    compile_program,
    empty_tally,
    fit,
    make_epoch,
    make_step,
    run_keys,
)
from jaxd2l.train.mesh import (
    collectives,
    data_mesh,
    in_order_of_pieces,
    placed,
    sharded_shapes,
)
from jaxd2l.train.optimizer import sgd

SHALLOW = {
    "resnext50": ResNet(RESNEXT_BLOCK, stages=(1, 1), width=16),
}


def exchanges(name, image_size=None):
    """What devices exchange in a step of a recipe, as compiled for CPU and as exported for CUDA."""
    recipe = dataclasses.replace(find(name), batch_size=16, model=SHALLOW.get(name, find(name).model))
    if image_size is not None:
        recipe = dataclasses.replace(recipe, image_size=image_size)
    part = Examples(np.zeros((48, 28, 28, 1), np.uint8), np.zeros(48, np.int32))
    data = Dataset(recipe.dataset, part, part, tuple("0123456789"))
    return benchmark.exchanges(recipe, data, data_mesh(jax.devices()))


class EverythingThatMixesRows(nn.Module):
    """Convolutions by a routine, by patches and in groups, batch statistics and dropout."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = relu(BatchNorm()(Conv(24, 3, padding=1)(x), train=train))
        x = relu(Conv(24, 3, padding=1)(x))
        x = relu(Conv(24, 3, padding=1, groups=2)(x))
        x = max_pool(relu(BatchNorm()(Conv(32, 3, stride=2)(x), train=train)), 2)
        x = Dropout(0.3)(relu(Dense(7)(flatten(x))), train=train)
        return Dense(3)(x)


def agreement(*axes):
    """The largest difference, in float64, of all that an epoch makes on 8 devices along an axis and on 1."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, y = rng.uniform(size=(100, 12, 12, 2)), rng.integers(0, 3, 100).astype(np.int32)
        accumulate, size = 2, 32
        objective = Objective(
            find("lenet").loss, find("lenet").hits, dtype=jnp.float64, augment=augmentation("flip,crop"), mixup=0.3
        )
        model, optimizer, keys = EverythingThatMixesRows(), sgd(jnp.float64(0.1), jnp.float64(0.01)), run_keys(0)
        state = begun(model, optimizer, keys.init, x[:1])
        epoch = make_epoch(make_step(model, optimizer, objective, accumulate=accumulate))
        rows = epoch_rows(keys.shuffle, len(x), size, keep_last=False)

        def end(mesh):
            ordered = rows if mesh is None else in_order_of_pieces(rows, mesh.size, accumulate)
            call = (state, empty_tally(3, jnp.float64), x, y, ordered, keys.noise, np.int32(0), np.int32(3))
            shapes = call if mesh is None else sharded_shapes(jax.eval_shape(lambda *a: a, *call), mesh)
            with batch_over(mesh):
                program = jax.jit(epoch).lower(*shapes).compile(benchmark.QUICKLY)
            return program(*placed(call, mesh))

        def apart(a, b):
            return float(np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0))

        one, devices = end(None), np.array(jax.devices())
        return {
            axis: max(jax.tree.leaves(jax.tree.map(apart, one, end(data_mesh(Mesh(devices, (axis,)))))))
            for axis in axes
        }


def clouds(n=52):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n).astype(np.int32)
    x = (rng.normal(size=(n, 12, 12, 1)) + y[:, None, None, None]).astype(np.float32)
    return Dataset("clouds", Examples(x, y), Examples(x[:19], y[:19]), ("a", "b", "c"))


class Normed(nn.Module):
    """Batch statistics and dropout, and little else to compile."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = relu(BatchNorm()(Dense(24)(flatten(x)), train=train))
        return Dense(3)(Dropout(0.3)(x, train=train))


RECIPE = Recipe("small", Normed(), "clouds", learning_rate=0.05, epochs=2, batch_size=16)


def goes_on(folder):
    """A run that begins on 8 devices, goes on on 1 and ends on 8, beside the one that was never stopped."""
    whole, losses, warnings = fit(RECIPE, clouds(), mesh=jax.devices()), [], []
    pieces, stopped = iter(range(100)), None
    for devices in (8, 1, 8):
        stop = (lambda: None) if losses and devices == 8 else (lambda: InterruptedError if next(pieces) % 2 else None)
        try:
            run = run_folder.fit(
                RECIPE, clouds(), run_dir=folder, resume=True, mesh=jax.devices()[:devices], stop=stop,
                warn=warnings.append, chunk_seconds=0.0,
            )  # fmt: skip
        except InterruptedError as error:
            stopped = str(error)
            losses.append(stopped)
    apart = [abs(a.train_loss - b.train_loss) for a, b in zip(run.epochs, whole.epochs, strict=True)]
    environment = json.loads((Path(folder) / "environment.json").read_bytes())
    return {
        "stops": losses,
        "warnings": warnings,
        "apart": max(apart),
        "used": environment["devices_used"],
        "differing": [start.get("differing", []) for start in environment["resumed"]],
        "placed": len(run.state.step.sharding.device_set) if run.state.step is not None else 0,
    }


def commands():
    """Exit code and output of `jaxd2l train`, and whether it made a folder: by default, and as asked."""
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in {"default": [], "all": ["--devices", "all"], "nine": ["--devices", "9"]}.items():
            out, err, run = io.StringIO(), io.StringIO(), Path(folder) / name
            small = ["--limit-train", "60", "--limit-test", "30", "--epochs", "1", "--batch-size", "20", "--no-report"]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.main(["train", "softmax", *small, "--out", str(run), *options])
            told[name] = [code, out.getvalue(), err.getvalue(), run.exists()]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            cli.main(["check", str(Path(folder) / "default")])
        told["check"] = out.getvalue()
    return told


def parts():
    """What devices exchange, and bytes of the arguments of a compiled epoch, with whole parameters and with parts."""
    recipe = dataclasses.replace(find("mlp"), batch_size=16, optimizer="adam")
    part = Examples(np.zeros((48, 28, 28, 1), np.uint8), np.zeros(48, np.int32))
    data, told = Dataset(recipe.dataset, part, part, tuple("0123456789")), {}
    for axis in ("data", "fsdp"):
        epoch = compile_program(recipe, data, mesh=Mesh(np.array(jax.devices()), (axis,))).epoch
        resident = epoch.memory_analysis().argument_size_in_bytes - sum(a.nbytes for a in part)
        found = each_device(recipe, data, 8, shard_parameters=axis == "fsdp")
        foreseen = found.cost.train.parameters + found.cost.train.optimizer_state
        told[axis] = [collectives(epoch.as_text()), resident, foreseen, found.reduced_bytes, found.gathered_bytes]
    return told


def members(method):
    """The largest difference in a sweep's curves, and in K-fold validation's, on 8 devices and on 1; what is said."""
    mesh, data, said = data_mesh(jax.devices()), clouds(48), []
    recipe = Recipe("small", MLP(hidden=(7,), num_outputs=3, dropout=(0.3,)), "clouds", epochs=2, batch_size=16)
    points = [Point(0.1), Point(0.03), Point(0.01, 0.1)]
    told = lambda choice: said.append([choice.method.value, choice.seeds, choice.points, choice.reason])  # noqa: E731
    sweeps = [
        sweep(recipe, data, points, range(4), method=Method(method), mesh=m, on_choice=told) for m in (None, mesh)
    ]
    apart = [np.max(np.abs(a.train_loss - b.train_loss)) for a, b in zip(*(s.values() for s in sweeps), strict=True)]
    folds = same_in_every_fold(Examples(data.train.x.reshape(48, -1), data.train.y), assign_folds(48, 4, 0))
    settings = {"epochs": 2, "batch_size": 16, "loss": cross_entropy, "seeds": (0, 1), "optimizer": "sgd"}
    network = lambda rate: MLP(hidden=(7,), num_outputs=3, dropout=(rate,))  # noqa: E731
    found = [kfold(network, folds, points, mesh=m, **settings) for m in (None, mesh)]
    fold = [np.max(np.abs(getattr(found[0], n) - getattr(found[1], n))) for n in ("validation_loss", "out_of_fold")]
    return {"sweep": float(max(apart)), "kfold": float(max(fold)), "said": said}


def refusals():
    """What each mesh that cannot be is answered with."""
    devices, told = jax.devices(), {}
    tries = {
        "indivisible": lambda: fit(dataclasses.replace(RECIPE, batch_size=20), clouds(), mesh=devices),
        "pieces": lambda: fit(dataclasses.replace(RECIPE, accumulate=4), clouds(), mesh=devices),
        "two axes": lambda: fit(RECIPE, clouds(), mesh=jax.make_mesh((4, 2), ("data", "model"))),
        "none": lambda: fit(RECIPE, clouds(), mesh=[]),
        "twice": lambda: fit(RECIPE, clouds(), mesh=[devices[0], devices[0]]),
    }
    for name, refused in tries.items():
        try:
            refused()
        except ValueError as error:
            told[name] = str(error)
    return told


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps({name: [globals()[name](*given) for given in calls] for name, calls in asked.items()}))
