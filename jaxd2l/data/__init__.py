"""Data: arrays in, arrays out; knows no model.

- `load`: data sets by name, verified; `DATASETS` is the table of them, `shapes` what their arrays look like
- `Examples`, `Dataset`, `check_examples`, `split`, `balanced_class_weights`: rows in memory
- `hold_out`, `deal_out`, `fold_of`: a validation part and folds, equal pictures together
- `Rows`, `Ring`, `epoch_rows`, `ordered_rows`, `num_steps`: which rows make up each batch, and batches themselves
- `random_flip`, `random_crop`, `random_crop_and_flip`, `random_erase`, `random_rotate`, `AUGMENTATIONS`,
  `augmentation`, `random_mixing`: what training may change at random
- `scale`, `resize`, `standardise`, `image_preparer`, `as_stored`: what happens to a batch inside the step
- `open_data`, `from_folder`, `from_arrays`, `from_table`: a user's own; `UnreadableError`, `DataWarning`: what is wrong
- `channel_statistics`: mean and deviation of each channel
- `DataError`: data is not what it claims
"""

from jaxd2l.data.augment import (
    AUGMENTATIONS,
    Augment,
    Mixing,
    augmentation,
    random_crop,
    random_crop_and_flip,
    random_erase,
    random_flip,
    random_mixing,
    random_rotate,
)
from jaxd2l.data.batches import Ring, Rows, epoch_rows, num_steps, ordered_rows
from jaxd2l.data.channels import ChannelStatistics, channel_statistics
from jaxd2l.data.datasets import load, shapes
from jaxd2l.data.division import deal_out, fold_of, hold_out
from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples, balanced_class_weights, check_examples, split
from jaxd2l.data.own import DataWarning, UnreadableError, from_arrays, from_folder, from_table, open_data
from jaxd2l.data.prepare import ImageSize, Prepare, as_stored, image_preparer, resize, scale, standardise
from jaxd2l.data.sources import DATASETS

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "Augment",
    "ChannelStatistics",
    "DataError",
    "DataWarning",
    "Dataset",
    "Examples",
    "ImageSize",
    "Mixing",
    "Prepare",
    "Ring",
    "Rows",
    "UnreadableError",
    "as_stored",
    "augmentation",
    "balanced_class_weights",
    "channel_statistics",
    "check_examples",
    "deal_out",
    "epoch_rows",
    "fold_of",
    "from_arrays",
    "from_folder",
    "from_table",
    "hold_out",
    "image_preparer",
    "load",
    "num_steps",
    "open_data",
    "ordered_rows",
    "random_crop",
    "random_crop_and_flip",
    "random_erase",
    "random_flip",
    "random_mixing",
    "random_rotate",
    "resize",
    "scale",
    "shapes",
    "split",
    "standardise",
]
