"""What pictures there are, before any is read.

- `Pictures`: names, labels, parts and how to open each
- `list_folder`, `list_csv`, `list_tfds`: of class folders, of a CSV, of a prepared data set
"""

from jaxd2l.data.own.listing.csv_list import list_csv
from jaxd2l.data.own.listing.folder import list_folder
from jaxd2l.data.own.listing.pictures import Pictures
from jaxd2l.data.own.listing.tfds import list_tfds

__all__ = ["Pictures", "list_csv", "list_folder", "list_tfds"]
