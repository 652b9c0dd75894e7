"""The files of a run folder, each written whole or not at all."""

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CONFIG, ENVIRONMENT, METRICS, WEIGHTS = "config.json", "environment.json", "metrics.jsonl", "weights.safetensors"
BEST, EMA = "best.safetensors", "ema.safetensors"
TEST = "test.json"
FILES = (CONFIG, ENVIRONMENT, METRICS, WEIGHTS, BEST, EMA, TEST)
CHECKPOINTS, DAMAGED = "checkpoints", "damaged"
_PAUSES_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.2)
_OPEN_ELSEWHERE = (5, 32)  # Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION
REPORT, CURVES_SVG, CURVES_PNG = "report.html", "curves.svg", "curves.png"
DRAW = "draw.html"
REPORT_FILES = (REPORT, CURVES_SVG, CURVES_PNG, DRAW)  # made from the others, at any time
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
        replace(temporary, path)
    except OSError as error:
        raise with_name(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # never instead of the reason: a read-only system refuses this too
            patiently(temporary.unlink, missing_ok=True)


def patiently[**P, R](action: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `action`, again and again within half a second where Windows refuses it because the file is open elsewhere.

    A reader, a virus scanner or an indexer there keeps others from replacing, renaming and deleting a file, for
    milliseconds as a rule. Elsewhere a refusal is final and is passed on at once.

    Raises:
        OSError: what `action` raised last.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return action(*args, **kwargs)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _OPEN_ELSEWHERE:
                raise
        time.sleep(pause)
    return action(*args, **kwargs)


def replace(source: Path, target: Path) -> None:
    """`os.replace`, patiently."""
    patiently(os.replace, source, target)


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
            patiently(entry.unlink, missing_ok=True)
