"""Trained deep networks as ONNX at the size of their recipes: how far onnxruntime's logits are from the run's own.

    python benchmarks/onnx_deep.py --json benchmarks/results/onnx_deep.json

Each recipe trains a few updates on the first examples, so that its weights and running statistics are no longer initial
ones; then `export_run` writes it and compares 100 test examples, as `jaxd2l export --to onnx` does. The share is the
largest difference over the largest logit, or over 1 where that is smaller; allowed is 1e-5.
"""

import argparse
import dataclasses
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnxruntime

import jaxd2l
from jaxd2l.data import Examples
from jaxd2l.export import export_run
from jaxd2l.machine.processor import model_name

RECIPES = ("alexnet", "resnet18", "densenet", "googlenet")


def exported(name: str, updates: int, batch_size: int, learning_rate: float) -> dict[str, Any]:
    """Train a recipe for so many updates, write it as ONNX and compare."""
    recipe = dataclasses.replace(jaxd2l.find(name), epochs=1, batch_size=batch_size, learning_rate=learning_rate)
    whole = jaxd2l.load_data(recipe)
    first = Examples(*(a[: updates * batch_size] for a in whole.train))
    data = whole._replace(train=first, test=Examples(*(a[:100] for a in whole.test)))
    with tempfile.TemporaryDirectory() as folder:
        run_dir, file = Path(folder) / "run", Path(folder) / "net.onnx"
        done = jaxd2l.fit(recipe, data, run_dir=run_dir)
        run = jaxd2l.load_run(run_dir, recipe)
        found = export_run(run, "onnx", file, test=data.test).comparison
        largest = float(np.abs(run.predictor().outputs(data.test.x)).max())
        return {
            "image_size": recipe.image_size,
            "parameters": sum(a.size for a in jax.tree.leaves(done.state.params)),
            "updates": int(done.state.step),
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "train_loss": done.epochs[-1].train_loss,
            "examples": found.examples,
            "largest_logit": largest,
            "largest_difference": found.largest,
            "share": found.largest / max(1.0, largest),
            "allowed": found.allowed["outputs"],
            "file_bytes": file.stat().st_size,
        }


def main() -> None:
    """Compare and print; `--json` keeps what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES, metavar="RECIPE")
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args()
    versions = {"jax": jax.__version__, "onnxruntime": onnxruntime.__version__, "python": platform.python_version()}
    kept = json.loads(args.json.read_bytes()) if args.json and args.json.exists() else {}
    found: dict[str, Any] = kept.get("recipes", {})  # a recipe at a time takes less memory
    for name in args.recipes:
        found[name] = one = exported(name, args.updates, args.batch_size, args.learning_rate)
        size, count = one["image_size"], one["parameters"]
        print(
            f"{name}, {size} pixels, {count:,} parameters, {one['updates']} updates: {one['largest_difference']:.2g} "
            f"of logits up to {one['largest_logit']:.2g}, share {one['share']:.2g}",
            flush=True,
        )
        if args.json:
            told = {"processor": model_name(), **versions, "recipes": found}
            args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
