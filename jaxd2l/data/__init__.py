"""Data: arrays in, arrays out; knows no model.

- `load`: data sets by name, verified; `DATASETS` is the table of them, `shapes` what their arrays look like
- `Examples`, `Dataset`, `check_examples`, `split`: rows in memory
- `Rows`, `epoch_rows`, `ordered_rows`, `num_steps`: which rows make up each batch
- `random_flip`, `random_crop`, `random_crop_and_flip`, `AUGMENTATIONS`: what training may change at random
- `scale`, `resize`, `image_preparer`, `as_stored`: what happens to a batch inside the step
- `DataError`: data is not what it claims
"""

from jaxd2l.data.augment import AUGMENTATIONS, Augment, random_crop, random_crop_and_flip, random_flip
from jaxd2l.data.batches import Rows, epoch_rows, num_steps, ordered_rows
from jaxd2l.data.datasets import load, shapes
from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples, check_examples, split
from jaxd2l.data.prepare import Prepare, as_stored, image_preparer, resize, scale
from jaxd2l.data.sources import DATASETS

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "Augment",
    "DataError",
    "Dataset",
    "Examples",
    "Prepare",
    "Rows",
    "as_stored",
    "check_examples",
    "epoch_rows",
    "image_preparer",
    "load",
    "num_steps",
    "ordered_rows",
    "random_crop",
    "random_crop_and_flip",
    "random_flip",
    "resize",
    "scale",
    "shapes",
    "split",
]
