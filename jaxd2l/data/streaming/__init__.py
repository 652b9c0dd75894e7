"""Data that do not fit: batches addressed by pass and step, read while the device works.

- `OnDisk`: rows that are read when they are needed, with the face of an array
- `Course`, `Shuffled`, `InOrder`: the batches of a run, each found by its number alone
- `read_ahead`: through Grain, in threads or worker processes
"""

from jaxd2l.data.streaming.course import Course, InOrder, Shuffled
from jaxd2l.data.streaming.on_disk import OnDisk, rows_in_order
from jaxd2l.data.streaming.reading import default_workers, read_ahead, require_grain

__all__ = [
    "Course",
    "InOrder",
    "OnDisk",
    "Shuffled",
    "default_workers",
    "read_ahead",
    "require_grain",
    "rows_in_order",
]
