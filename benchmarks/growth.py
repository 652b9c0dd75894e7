"""How the cost of an epoch grows: with the number of examples, the batch, the image and the width of the network.

    python benchmarks/growth.py --out growth.svg

One network (LeNet), one thing varied at a time; the other sizes stay at 2,560 examples, batch 256, 28 pixels, the
book's width. The slope is that of a straight line through the logarithms: 1 means proportional, 2 quadratic.
"""

import argparse
import dataclasses
import statistics
import time

import jax
import numpy as np

from jaxd2l.data import Dataset, Examples
from jaxd2l.nn.models import LeNet
from jaxd2l.recipes import find
from jaxd2l.train import compile_program
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import initial_state
from jaxd2l.train.state import run_keys

SWEEPS = {
    "examples": (1280, 2560, 5120, 10240),
    "batch size": (32, 64, 128, 256, 512),
    "image size": (20, 28, 40, 56),
    "width": (1, 2, 4, 8),
}


def epoch_seconds(examples=2560, batch_size=256, image_size=28, width=1, repeats=3):
    """Median seconds of one epoch, compiled before."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (examples, 28, 28, 1), np.uint8), rng.integers(0, 10, examples).astype(np.int32)
    model = LeNet(conv_features=(6 * width, 16 * width), dense_features=(120 * width, 84 * width))
    recipe = dataclasses.replace(
        find("lenet"), model=model, batch_size=batch_size, image_size=image_size, learning_rate=0.1
    )
    program = compile_program(recipe, Dataset("growth", Examples(x, y), Examples(x[:256], y[:256])))
    state, keys, steps = initial_state(program, 0, 0.1, 0.0), run_keys(0), program.train_steps
    rows, x, y, times = program.shuffle(keys.shuffle, np.int32(1)), jax.device_put(x), jax.device_put(y), []
    for _ in range(repeats + 1):
        record = empty_tally(steps)
        began = time.perf_counter()
        state, _ = jax.block_until_ready(
            program.epoch(state, record, x, y, rows, keys.noise, np.int32(0), np.int32(steps))
        )
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main():
    """Measure every sweep, print slopes, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", metavar="PATH", help="draw here (SVG or PNG); needs matplotlib")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    measured = {}
    for name, values in SWEEPS.items():
        setting = name.replace(" ", "_")
        seconds = [epoch_seconds(**{setting: value}, repeats=arguments.repeats) for value in values]
        slope = np.polyfit(np.log(values), np.log(seconds), 1)[0]
        measured[name] = (values, seconds)
        cells = "  ".join(f"{value}: {1e3 * s:.0f} ms" for value, s in zip(values, seconds, strict=True))
        print(f"{name:11} slope {slope:5.2f}   {cells}", flush=True)
    if arguments.out:
        draw(measured, arguments.out)


def draw(measured, path):
    """One logarithmic panel for each sweep, with the proportional line for comparison."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3), layout="constrained")
    for axes, (name, (values, seconds)) in zip(
        figure.subplots(1, len(measured), sharey=True, squeeze=False)[0], measured.items(), strict=True
    ):
        axes.loglog(values, seconds, "o-", label="measured")
        axes.loglog(values, seconds[0] * np.asarray(values) / values[0], "k:", label="proportional")
        axes.set_xlabel(name)
        axes.set_xticks(values, [str(v) for v in values], minor=False)
        axes.minorticks_off()
    figure.axes[0].set_ylabel("seconds an epoch")
    figure.axes[0].legend()
    figure.savefig(path)
    print(path)


if __name__ == "__main__":
    main()
