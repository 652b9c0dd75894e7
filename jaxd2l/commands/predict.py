"""`jaxd2l predict RUN_DIR PATH...`: what a trained network says to pictures of one's own."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.recipe import tell_changed_code
from jaxd2l.data import DataError
from jaxd2l.prediction import Conversion, convert_like, load_predictor
from jaxd2l.prediction.picture import SUFFIXES
from jaxd2l.report.text import columns


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
    tell_changed_code(run_folder.read_config(args.run_dir))
    images, records, failed = [], [], []
    for path in paths:
        try:
            image, record = convert_like(frame, path, predictor.input_shape, args.invert)
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
