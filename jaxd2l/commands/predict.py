"""`jaxd2l predict RUN_DIR PATH...`: what a trained network says to pictures or to rows of a table of one's own."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.data import note
from jaxd2l.commands.asked.recipe import tell_changed_code
from jaxd2l.commands.asked.written import check_writable
from jaxd2l.data import DataError
from jaxd2l.data.own.listing.folder import passed_over
from jaxd2l.data.table import csv_lines
from jaxd2l.data.table.csv_file import read_records, text_frame
from jaxd2l.machine.disk import write_named
from jaxd2l.prediction import Conversion, convert_like, framing_of, load_run, table_rows
from jaxd2l.prediction.load import require_pictures
from jaxd2l.prediction.picture import SUFFIXES
from jaxd2l.prediction.rows_of_table import keeps_table, kept_table
from jaxd2l.report.text import columns
from jaxd2l.wording import counted, some


def run(args: argparse.Namespace) -> int:
    """Predict as asked; pictures that cannot be read are named and left out.

    Raises:
        DataError: see `load_run`, `framing_of` and `table_rows`, or there is no picture.
        ValueError: likewise, or an option that is about the other kind of data.
        OSError: a file cannot be read, or that of --out not be written.
    """
    if args.top < 1:
        raise ValueError(f"--top must be at least 1, got {args.top}")
    if args.out is not None:
        check_writable(args.out, "--out", "the predictions", args.paths)
    if keeps_table(run_folder.read_config(args.run_dir)):
        return _predict_rows(args)
    if args.id is not None:
        raise ValueError(f"--id is about rows of a table, and {args.run_dir} was trained on none; leave it out")
    return _predict_pictures(args)


def _predict_pictures(args: argparse.Namespace) -> int:
    paths = picture_files(args.paths)
    settings.choose_device(args.device)
    run = load_run(args.run_dir)
    require_pictures(run)
    predictor, frame = run.predictor(args.weights), framing_of(run)
    tell_changed_code(run.config)
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
        raise DataError(f"0 of {counted(len(paths), 'picture')} can be read")
    probabilities = predictor.predict_proba(np.stack(images))
    top = min(args.top, len(predictor.classes))
    print(_table(records, probabilities, predictor.classes, top))
    if args.out is not None:
        _write(args.out, _classified(["picture", "class"], [r.path for r in records], probabilities, predictor.classes))
    if args.json:
        answers = [
            {**record._asdict(), "predictions": _best(row, predictor.classes, top)}
            for record, row in zip(records, probabilities, strict=True)
        ]
        more = {"input_shape": list(predictor.input_shape), "dark_ground": frame.dark, "fill": frame.fill}
        _print_json(args, predictor.recipe.name, {**more, "pictures": answers, "failed": failed})
    return ExitCode.DATA if failed else ExitCode.DONE


def _predict_rows(args: argparse.Namespace) -> int:
    if args.invert != "auto":
        raise ValueError(f"--invert is about pictures, and {args.run_dir} was trained on a table; leave it out")
    if len(args.paths) > 1:
        raise ValueError(
            f"{args.run_dir} was trained on a table: give one CSV of rows, got {counted(len(args.paths), 'path')}"
        )
    (path,) = args.paths
    header, records = read_records(path)
    if args.id is not None and args.id not in header:
        raise DataError(f"{path}: no column {args.id!r} for --id; the columns are {some(header)}")
    settings.choose_device(args.device)
    run = load_run(args.run_dir)
    predictor, (table, own) = run.predictor(args.weights), kept_table(run)
    target = str(own.target)
    tell_changed_code(run.config)
    frame = text_frame(header, records)
    rows = table_rows(run, frame if args.id in (None, *table.columns) else frame.drop(columns=args.id), str(path))
    for line in rows.notes:
        note(line)
    names = [
        str(number) if args.id is None else cells[header.index(args.id)] for number, cells in enumerate(records, 1)
    ]
    head = ["row" if args.id is None else args.id, target]
    if predictor.classes:
        probabilities = predictor.predict_proba(rows.x)
        lines = _classified(head, names, probabilities, predictor.classes)
        answers: list[dict[str, Any]] = [{"predictions": _best(p, predictor.classes, args.top)} for p in probabilities]
    else:
        values = predictor.predict(rows.x)[:, 0]
        lines = [_unique(head), *([name, str(value)] for name, value in zip(names, values, strict=True))]
        answers = [{"value": float(value)} for value in values]
    if args.out is None:
        print(csv_lines(lines), end="")
    else:
        _write(args.out, lines)
        print(f"{path}: {counted(len(records), 'row')} predicted by {predictor.recipe.name}, written to {args.out}")
    if args.json:
        named = [
            {"row": row, **({} if args.id is None else {"id": name}), **answer}
            for row, (name, answer) in enumerate(zip(names, answers, strict=True), 1)
        ]
        more = {"target": target, "rows": named, "unseen": rows.unseen, "passed_over": list(rows.passed_over)}
        _print_json(args, predictor.recipe.name, more)
    return ExitCode.DONE


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the pictures in folders and their folders, by name, each once; none that are hidden.

    Raises:
        DataError: a folder holds no picture.
        OSError: a path is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(2, "no such file or folder", str(path))
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in SUFFIXES
                and not any(map(passed_over, file.relative_to(path).parts))
                and file.is_file()
            )
            if not inside:
                raise DataError(f"{path}: no picture in this folder; expected files ending in {', '.join(SUFFIXES)}")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


def _classified(
    head: Sequence[str], names: Iterable[str], probabilities: np.ndarray, classes: Sequence[str]
) -> list[list[str]]:
    """Lines of a CSV: what is classified, the most probable class, its probability and that of each class."""
    header = _unique([*head, "probability", *(f"probability_{name}" for name in classes)])
    lines = [
        [name, classes[row.argmax()], str(row.max()), *map(str, row)]
        for name, row in zip(names, probabilities, strict=True)
    ]
    return [header, *lines]


def _unique(header: Iterable[str]) -> list[str]:
    """Names of columns of which no two are equal: a target may be called `row` or `probability`."""
    found: list[str] = []
    for name in header:
        while name in found:
            name += "_"
        found.append(name)
    return found


def _write(path: Path, lines: Sequence[Sequence[str]]) -> None:
    write_named(path, csv_lines(lines).encode("utf-8", "surrogateescape"))  # a file's name may be no UTF-8


def _print_json(args: argparse.Namespace, recipe: str, answers: dict[str, Any]) -> None:
    summary = {
        "run_dir": str(args.run_dir),
        "weights": args.weights,
        "recipe": recipe,
        "device": run_folder.device_name(),
        **answers,
        **({} if args.out is None else {"out": str(args.out)}),
    }
    print(json.dumps(summary, allow_nan=False))


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
