"""A user's own data: a folder, a list, arrays or a table to a `Dataset`.

- `open_data`: whatever a path names; `from_folder`, `from_arrays`
- `from_table`: a CSV of features and a target
- `UnreadableError`: which pictures cannot be read, and why
- `DataWarning`: what need not stop a run

A listing (`listing`) is read (`read`, with `decode` and `cache`) and assembled (`assemble`, with `divide` and `equal`).
"""

from jaxd2l.data.own.arrays import from_arrays
from jaxd2l.data.own.open import from_folder, open_data
from jaxd2l.data.own.settings import DataWarning, Options, Settings
from jaxd2l.data.own.table_target import TableDataset, from_table
from jaxd2l.data.own.unreadable import UnreadableError

__all__ = [
    "DataWarning",
    "Options",
    "Settings",
    "TableDataset",
    "UnreadableError",
    "from_arrays",
    "from_folder",
    "from_table",
    "open_data",
]
