"""A user's own data: a folder, a list, arrays or a table to a `Dataset`.

- `open_data`: whatever a path names; `from_folder`, `from_arrays`
- `from_table`: a CSV of features and a target
- `OwnData`, `Opened`: plain values that open them again; `Kept`, `kept_data`: as a run's configuration has them
- `UnreadableError`: which pictures cannot be read, and why
- `DataWarning`: what need not stop a run

A listing (`listing`) is read (`read`, with `decode` and `cache`) and assembled (`assemble`, with `divide` and `equal`).
"""

from jaxd2l.data.own.arrays import from_arrays
from jaxd2l.data.own.open import from_folder, open_data
from jaxd2l.data.own.settings import DataWarning, Options, Settings
from jaxd2l.data.own.source import Kept, Opened, OwnData, by_class_name, kept_data, other_settings
from jaxd2l.data.own.table_target import TableDataset, from_table
from jaxd2l.data.own.unreadable import UnreadableError

__all__ = [
    "DataWarning",
    "Kept",
    "Opened",
    "Options",
    "OwnData",
    "Settings",
    "TableDataset",
    "UnreadableError",
    "by_class_name",
    "from_arrays",
    "from_folder",
    "from_table",
    "kept_data",
    "open_data",
    "other_settings",
]
