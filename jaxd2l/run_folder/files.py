"""The files of a run folder by name, and what is left over of them where a process was killed."""

import re
from pathlib import Path

from jaxd2l.machine.disk import patiently

CONFIG, ENVIRONMENT, METRICS, WEIGHTS = "config.json", "environment.json", "metrics.jsonl", "weights.safetensors"
BEST, EMA = "best.safetensors", "ema.safetensors"
TEST = "test.json"
FILES = (CONFIG, ENVIRONMENT, METRICS, WEIGHTS, BEST, EMA, TEST)
CHECKPOINTS, DAMAGED = "checkpoints", "damaged"
REPORT, CURVES_SVG, CURVES_PNG = "report.html", "curves.svg", "curves.png"
DRAW = "draw.html"
REPORT_FILES = (REPORT, CURVES_SVG, CURVES_PNG, DRAW)  # made from the others, at any time
_TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, (*FILES, *REPORT_FILES)))})\.[0-9]+\Z")


def is_partial(name: str) -> bool:
    """Whether a file of this name is one that was being written, and is left over if nobody writes."""
    return _TEMPORARY.match(name) is not None


def remove_partial_files(path: Path) -> None:
    """Take away what a killed process left half written; only the holder of the lock may."""
    for entry in path.iterdir():
        if is_partial(entry.name):
            patiently(entry.unlink, missing_ok=True)
