"""How training rows are divided: a validation part, folds, and equal pictures on one side of it.

- `hold_out`, `held_out_rows`: a share of the rows, of each class alike
- `deal_out`, `fold_of`: every row into one of k folds, of each class alike; the data with one of them held out
- `row_digests`, `same_picture`, `same_rows`: which pictures are equal
"""

from jaxd2l.data.division.equal import row_digests, same_picture
from jaxd2l.data.division.folds import deal_out, fold_of
from jaxd2l.data.division.held_out import held_out_rows, hold_out, same_rows

__all__ = ["deal_out", "fold_of", "held_out_rows", "hold_out", "row_digests", "same_picture", "same_rows"]
