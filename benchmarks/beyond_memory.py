"""What memory a training takes whose data are streamed, beside one whose data are resident, at two sizes of the data.

    python benchmarks/beyond_memory.py --out benchmarks/results/beyond_memory.json

Two kinds of data, colour images of `--side` pixels a side: an array in a file, read into memory or given to
`jaxd2l.fit` as the `np.memmap` that it is, and JPEGs cut from scikit-learn's two photographs, opened by
`jaxd2l.data.open_data` and decoded by one worker process. Each training is a process of its own, with softmax
regression, a run folder and all that belongs to it: the first look at every picture, the digest of the data, two
epochs, a test part of 64 rows.

Memory is read from outside, 20 times a second, in /proc (Linux alone): what a process has for itself (anonymous and
shared pages), the largest that was seen, of the training process and of all its worker processes together; and the
pages of files, which the kernel takes back when it wants them. Images a second are of the second epoch.
"""

import argparse
import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from sklearn.datasets import load_sample_images

import jaxd2l
from jaxd2l.data import Dataset, Examples, channel_statistics, open_data
from jaxd2l.machine.conditions import device_name
from jaxd2l.machine.processor import model_name
from jaxd2l.recipes import find, fitted_to
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json

EPOCHS, BATCH_SIZE, CLASSES, JUDGED = 2, 64, ("china", "flower"), 64


def crops(number: int, side: int) -> Any:
    """So many different squares of the two photographs in turn, uint8 (side, side, 3)."""
    photographs = load_sample_images().images
    rows, columns = (n - side for n in photographs[0].shape[:2])
    places = itertools.islice(itertools.product(range(rows), range(columns)), (number + 1) // 2)
    both = (photograph[r : r + side, c : c + side] for r, c in places for photograph in photographs)
    return itertools.islice(both, number)


def write_array(file: Path, number: int, side: int) -> None:
    """The squares one after another in a file."""
    with file.open("wb") as out:
        for square in crops(number, side):
            out.write(np.ascontiguousarray(square))


def write_pictures(folder: Path, number: int, side: int) -> None:
    """The squares as JPEGs, in folders of classes: a training part of so many and a small test part."""
    for part, count in (("train", number), ("test", JUDGED)):
        for name in CLASSES:
            (folder / part / name).mkdir(parents=True)
        for i, square in enumerate(crops(count, side)):
            Image.fromarray(square).save(folder / part / CLASSES[i % 2] / f"{i}.jpg", quality=85 + (part == "test"))


def opened(kind: str, place: Path, number: int, side: int, streamed: bool) -> Dataset:
    """The data as a user would open them."""
    if kind == "pictures":
        return open_data(place, stream=streamed, on_note=lambda note: None)
    shape = number, side, side, 3
    x = np.memmap(place, np.uint8, "r", shape=shape) if streamed else np.fromfile(place, np.uint8).reshape(shape)
    y = np.arange(number, dtype=np.int32) % 2
    return Dataset("array", Examples(x, y), Examples(np.array(x[:JUDGED]), y[:JUDGED]), CLASSES)


def train(kind: str, place: Path, number: int, side: int, streamed: bool, folder: Path) -> None:
    """One training, in this process."""
    data = opened(kind, place, number, side, streamed)
    statistics = channel_statistics(data.train) if kind == "pictures" else None
    recipe = fitted_to(find("softmax"), data, statistics)
    recipe = dataclasses.replace(recipe, epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=1e-4)
    run = jaxd2l.fit(recipe, data, run_dir=folder, stream=streamed, workers=1)
    epochs = run.epochs[1:]
    seconds = sum(epoch.seconds for epoch in epochs)
    print(json.dumps({"images_per_second": round(len(epochs) * number / seconds)}))


def own_pages(process: psutil.Process) -> tuple[int, int]:
    """Bytes that a process has for itself and of files, now; 0 of one that is over."""
    found = {"RssAnon": 0, "RssShmem": 0, "RssFile": 0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024
    return found["RssAnon"] + found["RssShmem"], found["RssFile"]


def measured(kind: str, place: Path, number: int, side: int, streamed: bool) -> dict[str, Any]:
    """Largest memory of a training in a fresh process, and how fast it was."""
    with tempfile.TemporaryDirectory() as folder:
        given = kind, str(place), str(number), str(side), str(int(streamed)), str(Path(folder) / "run")
        variables = {**os.environ, "JAXD2L_CACHE_DIR": folder}
        began = time.monotonic()
        started = subprocess.Popen([sys.executable, __file__, "--train", *given], stdout=subprocess.PIPE, env=variables)
        own = workers = files = 0
        process = psutil.Process(started.pid)
        while started.poll() is None:
            now, of_files = own_pages(process)
            with contextlib.suppress(psutil.Error):
                workers = max(workers, sum(own_pages(child)[0] for child in process.children(recursive=True)))
            own, files = max(own, now), max(files, of_files)
            time.sleep(0.05)
        assert started.stdout is not None
        printed = started.stdout.read().decode()
    if started.returncode:
        raise SystemExit(f"{kind}, {number} images: the training ended with exit code {started.returncode}")
    return {
        "data": kind,
        "how": "streamed" if streamed else "resident",
        "images": number,
        "bytes": number * side * side * 3,
        "own_bytes": own,
        "workers_bytes": workers,
        "file_bytes": files,
        **json.loads(printed.splitlines()[-1]),
        "seconds": round(time.monotonic() - began, 1),
    }


def rows_of(args: argparse.Namespace) -> Any:
    """Every training: resident at the smaller size, streamed at both."""
    make = {"array": write_array, "pictures": write_pictures}
    for kind in args.kinds:
        for size, ways in ((args.small, (False, True)), (args.large, (True,))):
            number = round(size * 1e9) // (args.side**2 * 3)
            with tempfile.TemporaryDirectory(dir=args.work) as folder:
                place = Path(folder) / kind
                make[kind](place, number, args.side)
                for streamed in ways:
                    yield measured(kind, place, number, args.side, streamed)


def shown(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    own, workers, size = (f"{row[name] / 1e9:.2f}" for name in ("own_bytes", "workers_bytes", "bytes"))
    return [row["data"], size, row["how"], own, workers, f"{row['images_per_second']:,}"]


def main() -> None:
    """Measure, print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", type=float, default=1.1, help="GB of the smaller data, decoded (1.1)")
    parser.add_argument("--large", type=float, default=4.4, help="GB of the larger (4.4)")
    parser.add_argument("--side", type=int, default=384, help="pixels a side of an image (384)")
    parser.add_argument("--kinds", nargs="+", choices=("array", "pictures"), default=["array", "pictures"])
    parser.add_argument("--work", type=Path, metavar="DIR", help="where the data are written, and removed again")
    parser.add_argument("--out", type=Path, metavar="JSON", help="keep the figures, beside those of the other kind")
    parser.add_argument("--train", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        kind, place, number, side, streamed, folder = args.train
        return train(kind, Path(place), int(number), int(side), streamed == "1", Path(folder))
    rows = []
    for row in rows_of(args):
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(columns(["data", "GB", "how", "own memory, GB", "workers, GB", "images/s"], [shown(row) for row in rows]))
    if args.out:
        packages = {name: version(name) for name in ("jax", "jaxlib", "grain", "numpy", "pillow")}
        where = {"device": device_name(), "processor": model_name(), "python": platform.python_version(), **packages}
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        before = json.loads(args.out.read_bytes())["rows"] if args.out.exists() else []
        rows += [row for row in before if row["data"] not in args.kinds]
        settings = {"side": args.side, "epochs": EPOCHS, "batch_size": BATCH_SIZE}
        head = {"command": "python benchmarks/beyond_memory.py", "made": made, "where": where, "settings": settings}
        write_json(args.out, {**head, "rows": sorted(rows, key=lambda row: row["data"])})
    return None


if __name__ == "__main__":
    main()
