"""Every distinct convolution and pool of the book's networks: how fast, and what share of a matrix product's rate.

    python benchmarks/layers.py lenet alexnet --batch 16
    python benchmarks/layers.py --all-ways --batch 16

Each product runs inside a compiled loop, as in training. For a convolution the columns are GFLOP/s (and percent of the
rate of a 1024 x 1024 product, measured first) of the forward pass, the input gradient and the filter gradient, and
the ways that `jaxd2l.nn.kernels.plan` chose (r a convolution routine, k patches of k outputs, w Winograd's minimal
filtering, 1x1 a plain product).
For a pool: milliseconds forward, and forward with gradient.

`--all-ways` times every way that there is for every convolution and product instead, in turns, and says by how much the
chosen one is faster than the best of the others: the reason for a row of the plan's table, or for its end. With
`--torch-python` PyTorch's own has its turn too (t), and is not among those others.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.machine import conditions
from jaxd2l.nn import pool
from jaxd2l.nn.kernels import plan as conv_plan
from jaxd2l.nn.kernels import ways, winograd
from jaxd2l.recipes import find

BOOK = ("lenet", "lenet_bn", "alexnet", "vgg11", "nin", "googlenet", "resnet18", "densenet")


def shapes(names):
    """(convolutions, pools) of the recipes, each once, with the recipe that has it first."""
    convolutions, pools = {}, {}
    convolve, largest, mean = conv_plan.convolve, pool._largest, pool._mean
    current = ""

    def seen_convolution(x, kernel, at):
        convolutions.setdefault((x.shape[1:], kernel.shape, at), current)
        return convolve(x, kernel, at)

    def seen_pool(kind, function):
        def record(x, at):
            pools.setdefault((kind, x.shape[1:], at), current)
            return function(x, at)

        return record

    with (
        mock.patch.object(conv_plan, "convolve", seen_convolution),
        mock.patch.object(pool, "_largest", seen_pool("max", largest)),
        mock.patch.object(pool, "_mean", seen_pool("mean", mean)),
    ):
        for current in names:
            recipe = find(current)
            x = jax.ShapeDtypeStruct((1, recipe.image_size, recipe.image_size, 1), jnp.float32)
            jax.eval_shape(lambda x, model=recipe.model: model.init(jax.random.key(0), x, train=False), x)
    return convolutions, pools


def compiled_loop(function, arrays, least=0.05):
    """A function that runs `function(*arrays)` in a compiled loop and returns the seconds of one call."""

    def loop(arrays, count):
        def body(_, arrays):
            out = lax.optimization_barrier(function(*arrays))
            # One element of the result goes into the first array, so that no round can be left out.
            first = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(out))
            changed = arrays[0].at[(0,) * arrays[0].ndim].add(1e-30 * first)
            return (changed, *arrays[1:])

        return lax.fori_loop(0, count, body, arrays)

    run = jax.jit(loop)
    jax.block_until_ready(run(arrays, 1))
    began = time.perf_counter()
    jax.block_until_ready(run(arrays, 1))
    count = max(1, int(least / (time.perf_counter() - began)))

    def timed():
        began = time.perf_counter()
        jax.block_until_ready(run(arrays, count))
        return (time.perf_counter() - began) / count

    return timed


def seconds(function, *arrays, repeats=5):
    """Median time of one call of `function(*arrays)` inside a compiled loop."""
    timed = compiled_loop(function, arrays)
    return statistics.median(timed() for _ in range(repeats))


def draw(*shape):
    """Normal numbers from a fixed key."""
    return jax.random.normal(jax.random.key(0), shape)


def matrix_rate(size=1024):
    """GFLOP/s of a float32 product of two square matrices."""
    a = draw(size, size)
    return 2 * size**3 / seconds(jnp.matmul, a, a) / 1e9


def measure_convolution(image, kernel_shape, at, batch, repeats):
    """GFLOP/s of the three products."""
    x, kernel = draw(batch, *image), draw(*kernel_shape)
    y = jax.eval_shape(lambda x, k: conv_plan.convolve(x, k, at), x, kernel)
    flops, dy = 2 * y.size * kernel[..., 0].size, draw(*y.shape)

    def input_gradient(dy, x, kernel):
        return jax.vjp(lambda x: conv_plan.convolve(x, kernel, at), x)[1](dy)

    def filter_gradient(dy, x, kernel):
        return jax.vjp(lambda k: conv_plan.convolve(x, k, at), kernel)[1](dy)

    forward = seconds(lambda x, k: conv_plan.convolve(x, k, at), x, kernel, repeats=repeats)
    gradients = [seconds(f, dy, x, kernel, repeats=repeats) for f in (input_gradient, filter_gradient)]
    return [flops / s / 1e9 for s in (forward, *gradients)]


def measure_pool(kind, image, at, batch, repeats):
    """Milliseconds forward, and forward with gradient."""
    function = pool._largest if kind == "max" else pool._mean
    x = draw(batch, *image)
    dy = draw(*jax.eval_shape(lambda x: function(x, at), x).shape)

    def both(x, dy):
        y, back = jax.vjp(lambda x: function(x, at), x)
        return y, back(dy)

    return [1e3 * seconds(f, *a, repeats=repeats) for f, a in ((lambda x: function(x, at), (x,)), (both, (x, dy)))]


def every_way(shape):
    """The ways that there are for a convolution, by a sign."""
    found = {"r": ways.routine(shape), **{str(k): ways.patched(shape, k) for k in (1, 2, 4)}}
    if shape.window == (1, 1) and shape.at.borders == ((0, 0), (0, 0)):
        found["1x1"] = ways.pointwise(shape)
    if shape.window in winograd.WINDOWS and shape.at.strides == (1, 1):
        found["w"] = ways.minimal(shape)
    return found


def chosen(shape):
    """The sign of the plan's way for each of the three products."""
    found = [*every_way(shape).items(), *((str(k), ways.patched(shape, k, kept=False)) for k in (1, 2, 4))]
    return [next(sign for sign, way in found if way[i] is f) for i, f in enumerate(conv_plan.plan(shape))]


class Torch:
    """PyTorch in an interpreter of its own; between its turns it reads standard input and leaves the cores alone."""

    def __init__(self, python):
        script = Path(__file__).parent / "peers" / "torch_convolution.py"
        self.process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.process.stdout.readline().strip()

    def milliseconds(self, shape, batch, product):
        """Of one call."""
        asked = {"batch": batch, "image": [*shape.image, shape.channels], "strides": shape.at.strides}
        asked["kernel"] = [*shape.window, shape.channels, shape.features]
        asked["padding"] = [low for low, _ in shape.at.borders]
        self.process.stdin.write(json.dumps(asked | {"product": product}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        time.sleep(0.01)  # its threads spin for a while
        return float(answer)


def measure_ways(shape, batch, repeats, torch=None):
    """Milliseconds of each product in each way, in turns: [{sign: median}] of forward, input and filter gradient."""
    x, kernel = draw(batch, *shape.image, shape.channels), draw(*shape.window, shape.channels, shape.features)
    dy = draw(batch, *shape.output, shape.features)
    products = []
    for i, arrays in enumerate(((x, kernel), (kernel, dy), (x, dy))):
        loops = {sign: compiled_loop(way[i], arrays) for sign, way in every_way(shape).items()}
        times = {sign: [] for sign in [*loops, *(["t"] if torch else [])]}
        for _ in range(repeats):
            for sign, timed in loops.items():
                times[sign].append(1e3 * timed())
            if torch:
                times["t"].append(torch.milliseconds(shape, batch, i))
        products.append({sign: statistics.median(found) for sign, found in times.items()})
    return products


def print_every_way(convolutions, batch, repeats, torch=None):
    """A line for each product of each convolution: the chosen way, its lead, and the times of all."""
    rows = []
    for (image, kernel, at), name in convolutions.items():
        shape = ways.Shape(image[:2], kernel[:2], kernel[2], kernel[3], at)
        for product, sign, times in zip(
            ("forward", "input", "filter"), chosen(shape), measure_ways(shape, batch, repeats, torch), strict=True
        ):
            lead = min(t for other, t in times.items() if other not in (sign, "t")) / times[sign]
            told = "  ".join(f"{other} {t:.3g}" for other, t in times.items())
            print(
                f"{name:10} {'x'.join(map(str, image)):>14} {'x'.join(map(str, kernel)):>17} {at.strides[0]:>6} "
                f"{product:>8} {sign:>4} {lead:5.2f}x  {told} ms",
                flush=True,
            )
            rows.append({"recipe": name, "image": image, "kernel": kernel, "strides": at.strides, "product": product})
            rows[-1] |= {"way": sign, "lead": lead, "milliseconds": times}
    return rows


def main():
    """Measure and print; `--json` writes the same numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=BOOK, metavar="RECIPE")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--all-ways", action="store_true", help="every way for every convolution")
    parser.add_argument("--torch-python", metavar="PATH", help="an interpreter with PyTorch, beside all ways")
    parser.add_argument("--json", metavar="PATH")
    arguments = parser.parse_args()
    convolutions, pools = shapes(arguments.recipes)
    if arguments.all_ways:
        print(
            f"{jax.devices()[0].device_kind}, jax {jax.__version__}, batch {arguments.batch}; chosen way and its lead"
        )
        torch = Torch(arguments.torch_python) if arguments.torch_python else None
        rows = print_every_way(convolutions, arguments.batch, arguments.repeats, torch)
        write(arguments, rows, **({"torch": torch.version} if torch else {}))
        return
    peak, rows = matrix_rate(), []
    print(
        f"{jax.devices()[0].device_kind}, jax {jax.__version__}, batch {arguments.batch}; "
        f"matrix product {peak:.0f} GFLOP/s"
    )
    print(
        f"{'recipe':10} {'image':>14} {'kernel':>17} {'stride':>6} {'way':>6} "
        f"{'forward':>11} {'input':>11} {'filter':>11}"
    )
    for (image, kernel, at), name in convolutions.items():
        rates = measure_convolution(image, kernel, at, arguments.batch, arguments.repeats)
        cells = " ".join(f"{rate:5.0f} {100 * rate / peak:4.0f}%" for rate in rates)
        print(
            f"{name:10} {'x'.join(map(str, image)):>14} {'x'.join(map(str, kernel)):>17} {at.strides[0]:>6} "
            f"{' '.join(chosen(ways.Shape(image[:2], kernel[:2], kernel[2], kernel[3], at))):>6} {cells}",
            flush=True,
        )
        rows.append({"recipe": name, "image": image, "kernel": kernel, "strides": at.strides, "gflops": rates})
    print(f"\n{'recipe':10} {'image':>14} {'pool':>5} {'window':>6} {'stride':>6} {'forward ms':>10} {'both ms':>8}")
    for (kind, image, at), name in pools.items():
        times = measure_pool(kind, image, at, arguments.batch, arguments.repeats)
        print(
            f"{name:10} {'x'.join(map(str, image)):>14} {kind:>5} {at.window[0]:>6} {at.strides[0]:>6} "
            f"{times[0]:10.2f} {times[1]:8.2f}",
            flush=True,
        )
        rows.append({"recipe": name, "image": image, "pool": kind, "window": at.window, "milliseconds": times})
    write(arguments, rows, matrix_gflops=peak)


def write(arguments, rows, **facts):
    """The rows as JSON where that is asked for."""
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            head = {name: found for name, found in conditions.conditions().items() if isinstance(found, str)}
            json.dump(head | {"batch": arguments.batch, **facts, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
