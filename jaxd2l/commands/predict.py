"""`jaxd2l predict RUN_DIR PATH...`: what a trained network says to pictures of one's own."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.commands import settings
from jaxd2l.commands.evaluate import add_weights_option
from jaxd2l.commands.exit_code import ExitCode
from jaxd2l.data import DataError
from jaxd2l.data.picture import INVERT, SUFFIXES, Conversion, Framing, convert_picture, framing
from jaxd2l.recipes import load_data
from jaxd2l.report.console import columns
from jaxd2l.train.prediction import Predictor


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "predict",
        help="name what is on pictures",
        description="Convert pictures as a run's data are and print the most probable classes. A network of pictures "
        "on a dark ground (Fashion-MNIST, MNIST) gets one on a light ground inverted, which is said.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="picture files, and folders of them")
    parser.add_argument("--top", type=settings.integer, default=3, metavar="K", help="classes shown (default: 3)")
    parser.add_argument("--invert", choices=INVERT, default="auto", help="exchange dark and light (default: auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    add_weights_option(parser)
    settings.add_device_option(parser)
    return parser


def load_predictor(run_dir: Path, weights: str = "last") -> tuple[Predictor, Framing]:
    """A run's network, ready to answer, and how its data show their things.

    Args:
        run_dir: a folder that `jaxd2l train` wrote.
        weights: "last" or "best".

    Raises:
        DataError: no run folder, or its configuration, weights or data are not what they claim.
        ValueError: its recipe takes no pictures.
        OSError: a file cannot be read.
    """
    run = run_folder.load_run(run_dir)
    if run.recipe.image_size is None or run.recipe.hits is None:
        raise ValueError(f"{run_dir} is a run of {run.recipe.name}, which classifies no pictures; give one that does")
    try:
        params, batch_stats = run.weights(weights)
    except FileNotFoundError as error:
        raise DataError(f"{run_dir} has no weights yet: no epoch is finished; train on with --resume") from error
    data = load_data(run.recipe)
    shape = data.train.x.shape[1:]
    predictor = Predictor(run.recipe, params, batch_stats, run.classes or data.classes, shape, data.train.x.dtype)
    return predictor, framing(np.asarray(data.train.x))


def run(args: argparse.Namespace) -> int:
    """Predict as asked; pictures that cannot be read are named and left out.

    Raises:
        DataError: see `load_predictor`, or there is no picture.
        ValueError: see `load_predictor`.
    """
    if args.top < 1:
        raise ValueError(f"--top must be at least 1, got {args.top}")
    paths = picture_files(args.paths)
    settings.choose_device(args.device)
    predictor, frame = load_predictor(args.run_dir, args.weights)
    height, width, channels = predictor.input_shape
    invert = args.invert if args.invert != "auto" or frame.dark else "no"
    images, records, failed = [], [], []
    for path in paths:
        try:
            image, record = convert_picture(path, height, width, channels, invert, frame.fill)
            images.append(image)
            records.append(record)
        except (DataError, OSError) as error:
            failed.append({"path": str(path), "reason": str(error)})
            print(f"jaxd2l predict: left out: {error}", file=sys.stderr)
    if not images:
        raise DataError(f"none of {len(paths)} pictures can be read")
    probabilities = predictor.predict_proba(np.stack(images))
    top = min(args.top, len(predictor.classes))
    print(_table(records, probabilities, predictor.classes, top))
    if args.json:
        answers = [
            {**record._asdict(), "predictions": _best(row, predictor.classes, top)}
            for record, row in zip(records, probabilities, strict=True)
        ]
        summary = {
            "run_dir": str(args.run_dir),
            "weights": args.weights,
            "recipe": predictor.recipe.name,
            "input_shape": list(predictor.input_shape),
            "dark_ground": frame.dark,
            "fill": frame.fill,
            "device": run_folder.device_name(),
            "pictures": answers,
            "failed": failed,
        }
        print(json.dumps(summary, allow_nan=False))
    return ExitCode.DATA if failed else ExitCode.DONE


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the pictures in folders and their folders, by name, each once.

    Raises:
        DataError: a folder holds no picture.
        OSError: a path is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(2, "no such file or folder", str(path))
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise DataError(f"{path}: no picture in this folder; expected files ending in {', '.join(SUFFIXES)}")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


def _best(row: np.ndarray, classes: Sequence[str], top: int) -> list[dict[str, Any]]:
    order = np.argsort(-row, kind="stable")[:top]
    return [{"class": str(classes[i]), "label": int(i), "probability": float(row[i])} for i in order]


def _table(records: Sequence[Conversion], probabilities: np.ndarray, classes: Sequence[str], top: int) -> str:
    rows = []
    for record, row in zip(records, probabilities, strict=True):
        named = [f"{one['class']} {one['probability']:.3f}" for one in _best(row, classes, top)]
        rows.append((record.path, *named, "; ".join(record.steps)))
    ordinals = [f"{i}." for i in range(1, top + 1)]
    return columns(("picture", *ordinals, "what was done to it"), rows)
