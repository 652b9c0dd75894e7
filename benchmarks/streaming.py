"""How fast streamed data train beside resident ones, and where the reader becomes the limit.

    python benchmarks/streaming.py --out benchmarks/results/streaming.json

Two questions, each answered by `jaxd2l.fit` itself, images a second of the updates and of waiting for batches:

- arrays in memory: Fashion-MNIST under `softmax`, `mlp` and `lenet`, a step of each much longer than the one before;
- pictures on the disk: JPEGs of `--side` pixels cut from scikit-learn's two photographs, decoded in this process's
  threads and in worker processes, under `mlp` at 64 pixels.

Each figure is of `--rounds` epochs together, after a first one that is left out, in which worker processes start; the
least and the largest are of single ones. Windows are of `--window` MiB: an epoch of so few examples has several so. The
share of the time that was waited is the reader's: near 0 the network is the limit, near 1 the reader is.
"""

import argparse
import dataclasses
import datetime
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from jaxd2l.data import Dataset, Examples, channel_statistics, open_data
from jaxd2l.machine.conditions import device_name
from jaxd2l.machine.processor import model_name
from jaxd2l.recipes import find, fitted_to, load_data
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json
from jaxd2l.train import Recipe, fit, loop
from jaxd2l.train.program import windows


def main() -> None:
    """Measure, print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="epochs that are measured (5)")
    parser.add_argument("--pictures", type=int, default=1500, help="JPEGs on the disk (1500)")
    parser.add_argument("--side", type=int, default=256, help="pixels a side of them (256)")
    parser.add_argument("--window", type=int, default=4, help="MiB of batches on the device at a time (4)")
    parser.add_argument("--examples", type=int, default=20000, help="of Fashion-MNIST (20000)")
    parser.add_argument("--out", type=Path, metavar="JSON", help="keep the figures")
    args = parser.parse_args()
    windows.BYTES = args.window << 20
    rows = [row for name in ("softmax", "mlp", "lenet") for row in of_arrays(name, args)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAXD2L_CACHE_DIR"] = folder
        rows += of_pictures(Path(folder) / "pictures", args)
    print(columns(["data", "recipe", "how", "images/s", "waited"], [shown(row) for row in rows]))
    if args.out:
        packages = {name: version(name) for name in ("jax", "jaxlib", "grain", "numpy", "pillow")}
        where = {"device": device_name(), "processor": model_name(), "python": platform.python_version(), **packages}
        settings = {
            "rounds": args.rounds,
            "pictures": args.pictures,
            "side": args.side,
            "examples": args.examples,
            "window_mib": args.window,
        }
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(args.out, {"made": made, "where": where, "settings": settings, "rows": rows})


def of_arrays(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Arrays in memory, resident and streamed."""
    recipe = find(name)
    whole = load_data(recipe)
    data = whole._replace(train=Examples(*(a[: args.examples] for a in whole.train)), test=few(whole))
    what = f"{args.examples:,} of {data.name}"
    return [
        measured(what, "resident", recipe, data, args.rounds),
        measured(what, "streamed", recipe, data, args.rounds, stream=True),
    ]


def of_pictures(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Pictures on the disk: decoded before and resident, streamed by threads, streamed by workers."""
    photographs, rng = load_sample_images().images, np.random.default_rng(0)
    for label, photograph in enumerate(photographs):
        (folder / str(label)).mkdir(parents=True)
        for i in range(args.pictures // 2):
            top, left = (int(rng.integers(0, n - args.side)) for n in photograph.shape[:2])
            cut = photograph[top : top + args.side, left : left + args.side]
            Image.fromarray(cut).save(folder / str(label) / f"{i}.jpg", quality=90)
    rows, what = [], f"{args.pictures:,} JPEGs of {args.side} pixels"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for how, stream, workers in (
        ("resident", False, None),
        ("streamed, threads", True, 0),
        ("streamed, 1 worker", True, 1),
        (f"streamed, {cores} workers", True, cores),
    ):
        data = open_data(folder, image_size=64, stream=stream, on_note=lambda note: None)
        recipe = fitted_to(find("mlp"), data, channel_statistics(data.train))
        rows.append(measured(what, how, recipe, data._replace(test=few(data)), args.rounds, workers=workers))
    return rows


def few(data: Dataset) -> Examples:
    """Some test examples: they are judged between epochs, outside of what is measured."""
    return Examples(*(a[:64] for a in data.test))


def measured(what: str, how: str, recipe: Recipe, data: Dataset, rounds: int, **options: Any) -> dict[str, Any]:
    """Images a second of each epoch but the first, and the share of the time that was waited for batches."""
    recipe = dataclasses.replace(recipe, epochs=1 + rounds)
    feeds: list[Any] = []
    waited = [0.0]
    make = loop.feed_of_training

    def kept(*args: Any, **settings: Any) -> Any:
        feeds.append(make(*args, **settings))
        return feeds[-1]

    loop.feed_of_training = kept
    try:
        run = fit(recipe, data, on_epoch=lambda result, state: waited.append(feeds[-1].waited), **options)
    finally:
        loop.feed_of_training = make
    epochs = run.epochs[1:]
    rates, seconds = [result.images_per_second for result in epochs], sum(result.seconds for result in epochs)
    return {
        "data": what,
        "recipe": recipe.name,
        "how": how,
        "images_per_second": round(len(epochs) * len(data.train.x) / seconds),
        "least": round(min(rates)),
        "largest": round(max(rates)),
        "waited": round((waited[-1] - waited[1]) / seconds, 3),
    }


def shown(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    rate = f"{row['images_per_second']:,} ({row['least']:,} to {row['largest']:,})"
    return [row["data"], row["recipe"], row["how"], rate, f"{row['waited']:.0%}"]


if __name__ == "__main__":
    main()
