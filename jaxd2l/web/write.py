"""The page of a run, from its folder to a file."""

from pathlib import Path

from jaxd2l import run_folder
from jaxd2l.machine.disk import write_named
from jaxd2l.prediction import load_predictor
from jaxd2l.web.document import page


def write_page(run_dir: Path, path: Path | None = None, *, weights: str = "last") -> Path:
    """Write a page to draw on with a run's network inside.

    Args:
        run_dir: a folder that `jaxd2l train` or `jaxd2l.fit(..., run_dir=...)` wrote.
        path: of the page; `run_dir/draw.html` by default.
        weights: "last" or "best".

    Returns:
        The page's path.

    Raises:
        DataError: no run folder, or its configuration, weights or data are not what they claim.
        ValueError: its network takes no pictures, holds an operation that a page cannot compute, or is too large.
        OSError: a file cannot be read or written.
    """
    whole = page(*load_predictor(run_dir, weights)).encode()
    path = path or run_dir / run_folder.DRAW
    path.parent.mkdir(parents=True, exist_ok=True)
    write_named(path, whole)
    return path
