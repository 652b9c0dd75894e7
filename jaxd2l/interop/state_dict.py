"""A PyTorch `state_dict` from a safetensors file; whatever else the file is, it is named and refused, and never run."""

from pathlib import Path

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.interop.file_kind import kind_of
from jaxd2l.interop.safetensors_file import begins_like_one, parse


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a `.safetensors` file; nothing in it can run.

    Returns:
        Arrays by name, in the file's own formats: bfloat16 and 8-bit floats are those of `ml_dtypes`.

    Raises:
        DataError: another kind of file, such as a pickle (what `torch.save` writes), or a damaged one; the message
            says what it is and what to do.
        OSError: it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted(file.name for file in path.glob("*.safetensors"))
        found = f"such as {inside[0]} in it" if inside else "and there is none in it"
        raise IsADirectoryError(f"{path} is a folder; name a .safetensors file, {found}")
    with open(path, "rb") as file:
        head = file.read(4096)
        if not begins_like_one(head):
            raise DataError(f"{path} {kind_of(head, path)}")
        content = head + file.read()
    try:
        return parse(content)[0]
    except ValueError as error:
        raise DataError(f"{path} is not a safetensors file that can be read: {error}") from error
