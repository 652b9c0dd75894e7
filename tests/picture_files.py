"""Real picture files for tests: scikit-learn's digits (8 x 8, grey) and its two photographs."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

DIGITS, DIGIT_LABELS = (lambda bunch: ((bunch.images * 15).astype(np.uint8), bunch.target))(load_digits())
CHINA, FLOWER = load_sample_images().images  # uint8 (427, 640, 3)


def save(picture: np.ndarray, path: Path, **options) -> Path:
    """Write `picture` in the format that the suffix of `path` names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def encoded(picture: np.ndarray | Image.Image, kind: str, **options) -> io.BytesIO:
    """The file as bytes, rewound."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    file.seek(0)
    return file


def digit_folder(root: Path, classes: int = 3, each: int = 5, first: int = 0, suffix: str = ".png") -> Path:
    """`root/<digit>/<row>.png`: `each` of the first `classes` digits, beginning with the `first`-th of each."""
    for digit in range(classes):
        for row in np.flatnonzero(digit == DIGIT_LABELS)[first : first + each]:
            save(DIGITS[row], root / str(digit) / f"{row}{suffix}")
    return root


def touch_back(path: Path) -> None:
    """Give a file a time far from now, so that a later write differs in time whatever the clock's grain."""
    os.utime(path, (1_000_000_000, 1_000_000_000))
