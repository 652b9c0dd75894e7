"""The eigenvalue of largest size of the loss's Hessian while LeNet trains, beside 2 / rate: when a rate diverges.

    python benchmarks/sharpness.py

Gradient descent on a quadratic bowl diverges where the largest curvature is above 2 / rate. The eigenvalue is found by
power iteration, with products of the Hessian and a vector as a derivative of the gradient in that direction.
"""

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.data import scale
from jaxd2l.nn import cross_entropy
from jaxd2l.recipes import find, load_data
from jaxd2l.run_folder import device_name

RESULTS = Path(__file__).parent / "results"
RUNS = (("lenet", 0.9), ("lenet_relu", 0.1), ("lenet_relu", 0.9))
UPDATES = (0, 1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
BATCH, MEASURED, ITERATIONS = 256, 256, 30


def measured(name: str, rates: list[float], seed: int = 0) -> list[dict[str, Any]]:
    """Train with each rate; loss and largest eigenvalue, on the same images, after each number of updates."""
    recipe = find(name)
    train = load_data(recipe).train
    x, y = scale(train.x[:MEASURED]), jnp.asarray(train.y[:MEASURED])

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return cross_entropy(recipe.model.apply({"params": params}, x, train=True), y).mean()

    def dot(a: Any, b: Any) -> jax.Array:
        return sum(jnp.vdot(i, j) for i, j in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))

    @jax.jit
    def look(params: Any) -> tuple[jax.Array, jax.Array]:
        gradient = jax.grad(lambda p: loss(p, x, y))

        def turn(_: int, found: Any) -> Any:
            v, _ = found
            length = jnp.sqrt(dot(v, v)) + 1e-30
            v = jax.tree.map(lambda leaf: leaf / length, v)
            product = jax.jvp(gradient, (params,), (v,))[1]
            return product, dot(v, product)

        start = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape), params)
        return loss(params, x, y), jax.lax.fori_loop(0, ITERATIONS, turn, (start, jnp.zeros(())))[1]

    @jax.jit
    def update(params: Any, images: jax.Array, labels: jax.Array, rate: float, t: int) -> Any:
        rows = jax.random.randint(jax.random.fold_in(jax.random.key(seed), t), (BATCH,), 0, len(images))
        gradient = jax.grad(loss)(params, scale(images[rows]), labels[rows])
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient)

    images, labels = jnp.asarray(train.x), jnp.asarray(train.y)
    found = []
    for rate in rates:
        params = recipe.model.init(jax.random.key(seed), x[:1], train=False)["params"]
        losses, eigenvalues = [], []
        for t in range(UPDATES[-1] + 1):
            if t in UPDATES:
                for values, value in zip((losses, eigenvalues), look(params), strict=True):
                    values.append(round(float(value), 4))
            params = update(params, images, labels, rate, t)
        print(name, rate, *zip(UPDATES, losses, eigenvalues, strict=True), sep="\n  ", flush=True)
        found.append({"recipe": name, "rate": rate, "seed": seed, "loss": losses, "largest_eigenvalue": eigenvalues})
    return found


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "sharpness.json")
    args = parser.parse_args()
    runs = [
        run
        for name in dict.fromkeys(name for name, _ in RUNS)
        for run in measured(name, [rate for other, rate in RUNS if other == name])
    ]
    made: dict[str, Any] = {
        "command": "python benchmarks/sharpness.py",
        "date": datetime.date.today().isoformat(),
        "device": device_name(),
        "jax": jax.__version__,
        "batch": BATCH,
        "images": MEASURED,
        "updates": UPDATES,
    }
    args.out.write_text(json.dumps(made | {"runs": runs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
