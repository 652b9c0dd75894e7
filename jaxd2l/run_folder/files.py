"""The files of a run folder, each written whole or not at all."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG, ENVIRONMENT, METRICS, WEIGHTS = "config.json", "environment.json", "metrics.jsonl", "weights.safetensors"
BEST = "best.safetensors"
FILES = (CONFIG, ENVIRONMENT, METRICS, WEIGHTS, BEST)
CHECKPOINTS, DAMAGED = "checkpoints", "damaged"
REPORT, CURVES_SVG, CURVES_PNG = "report.html", "curves.svg", "curves.png"
REPORT_FILES = (REPORT, CURVES_SVG, CURVES_PNG)  # made from the others, at any time
_TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, (*FILES, *REPORT_FILES)))})\.[0-9]+\Z")


def is_partial(name: str) -> bool:
    """Whether a file of this name is one that was being written, and is left over if nobody writes."""
    return _TEMPORARY.match(name) is not None


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: a reader never sees half of it, also after a crash.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise with_name(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def with_name(error: OSError, path: Path) -> OSError:
    """The same error with the file's name, which a failed write does not know."""
    return OSError(error.errno, error.strerror or str(error), str(path))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """`write_atomically` as indented JSON; NaN and infinity are refused, since JSON has none."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def remove_partial_files(path: Path) -> None:
    """Take away what a killed process left half written; only the holder of the lock may."""
    for entry in path.iterdir():
        if is_partial(entry.name):
            entry.unlink(missing_ok=True)
