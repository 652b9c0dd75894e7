"""How fast a folder of pictures is read: cold, and again from the cache; beside torchvision's ImageFolder.

    python benchmarks/decoding.py --out benchmarks/results/decoding.json
    python benchmarks/decoding.py --torch-python ~/torch/bin/python

Writes `--pictures` pictures of two classes into a temporary folder, cut from scikit-learn's two photographs (427 x
640 pixels) at random places and sizes of 60 to 427 pixels, in turn as JPEG, PNG, WebP and BMP, and reads them at
`--size` pixels a side. Every figure is the median over `--rounds`, with the least and the largest; each start is a
process of its own, without its imports. Processor seconds, of all threads and workers, say more than seconds where
others compute on the same machine. The system holds the files in memory for everyone: they were just written.
"""

import argparse
import ast
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from sklearn.datasets import load_sample_images

from jaxd2l.machine.processor import model_name
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json

OURS = """
import os, sys, time
from jaxd2l.data import from_folder
import jaxd2l.data.own.read
began, used = time.perf_counter(), sum(os.times()[:4])
data = from_folder(sys.argv[1], image_size=int(sys.argv[2]), cache=sys.argv[3] == "cache", on_note=lambda note: None)
print(time.perf_counter() - began, sum(os.times()[:4]) - used)
"""
# The wheel of torchvision that is found first is for CUDA; beside a torch for CPUs its compiled operators do not load.
# Reading pictures needs none of them.
TORCHVISION = """
import torch
try:
    import torchvision
except RuntimeError:
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision
"""
THEIRS = f"""
import os, sys, time
{TORCHVISION}
from torchvision import datasets, transforms
side = int(sys.argv[2])
began, used = time.perf_counter(), sum(os.times()[:4])
change = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side), transforms.PILToTensor()])
workers = len(os.sched_getaffinity(0)) if sys.argv[3] == "workers" else 0
loader = torch.utils.data.DataLoader(datasets.ImageFolder(sys.argv[1], change), batch_size=64, num_workers=workers)
images = torch.cat([x for x, y in loader])
del loader
print(time.perf_counter() - began, sum(os.times()[:4]) - used)
"""

VERSIONS = f"""
import platform, PIL
{TORCHVISION}
print({{"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}})
print(PIL.__version__)
"""


def versions_of(python: str) -> dict[str, str]:
    """What the pictures of the other interpreter are read with; {} where it has no torchvision."""
    done = subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True)
    if done.returncode:
        return {}
    found, pillow = done.stdout.splitlines()
    return {**ast.literal_eval(found), "pillow": pillow}


def write_pictures(folder: Path, count: int) -> float:
    """Write the pictures; returns their megapixels."""
    rng, photographs = np.random.default_rng(0), load_sample_images().images
    kinds = (("jpg", {"quality": 90}), ("png", {}), ("webp", {"quality": 90}), ("bmp", {}))
    pixels = 0
    for row in range(count):
        label = row % 2
        photo = photographs[label]
        height, width = (int(side) for side in rng.integers(60, 428, 2))
        top, left = int(rng.integers(0, 428 - height)), int(rng.integers(0, 641 - width))
        suffix, options = kinds[row // 2 % 4]
        path = folder / ("china", "flower")[label] / f"{row}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo[top : top + height, left : left + width]).save(path, **options)
        pixels += height * width
    return pixels / 1e6


def seconds(python: str, program: str, folder: Path, size: int, how: str, cache: Path) -> list[float] | str:
    """Seconds and processor seconds of one start, or why it failed."""
    done = subprocess.run(
        [python, "-c", program, str(folder), str(size), how],
        env={**os.environ, "JAXD2L_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    return [float(number) for number in done.stdout.split()[-2:]]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Pictures read a second.")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch-python", help="an interpreter with torch and torchvision")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    ways = [
        ("jaxd2l, nothing kept", sys.executable, OURS, "fresh"),
        ("jaxd2l, second start", sys.executable, OURS, "cache"),
    ]
    if args.torch_python:
        ways += [
            ("torchvision, one process", args.torch_python, THEIRS, "one"),
            ("torchvision, a worker a core", args.torch_python, THEIRS, "workers"),
        ]
    times: dict[str, list[list[float]]] = {name: [] for name, *_ in ways}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "pictures", Path(temporary) / "cache"
        folder.mkdir()
        megapixels = write_pictures(folder, args.pictures)
        seconds(sys.executable, OURS, folder, args.size, "cache", cache)
        for _ in range(args.rounds):
            for name, python, program, how in ways:
                took = seconds(python, program, folder, args.size, how, cache)
                if isinstance(took, str):
                    failed[name] = took
                else:
                    times[name].append(took)
    rows = []
    for name, taken in times.items():
        if name in failed:
            rows.append((name, "", "", "", failed[name]))
            continue
        middle, used = (statistics.median(column) for column in zip(*taken, strict=True))
        least, largest = min(taken)[0], max(taken)[0]
        rate = f"{args.pictures / middle:,.0f}"
        rows.append((name, f"{used:.2f}", f"{middle:.2f}", rate, f"{least:.2f} to {largest:.2f} s"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{args.pictures:,} pictures, {megapixels:,.0f} megapixels, to {args.size} x {args.size}, {cores} cores")
    print(columns(("", "processor s", "seconds", "pictures/s", f"of {args.rounds}"), rows))
    if args.out:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "processor": model_name(),
            "python": platform.python_version(),
            "cores": cores,
            "load": os.getloadavg()[0],
            "pillow": PIL.__version__,
            "beside": versions_of(args.torch_python) if args.torch_python else {},
            "pictures": args.pictures,
            "megapixels": round(megapixels, 1),
            "size": args.size,
            "seconds_and_processor_seconds": times,
            "failed": failed,
        }
        write_json(args.out, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
