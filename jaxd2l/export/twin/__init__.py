"""The PyTorch twin of a training: a script that trains the same network by the same numbers, and those numbers.

- `write_twin`: of a recipe and its data, both files
- `Twin`, `twin_of`: their contents
"""

from jaxd2l.export.twin.numbers import Numbers, numbers_of
from jaxd2l.export.twin.script import script_of
from jaxd2l.export.twin.write import Twin, data_file, require_twin, twin_of, write_twin

__all__ = ["Numbers", "Twin", "data_file", "numbers_of", "require_twin", "script_of", "twin_of", "write_twin"]
