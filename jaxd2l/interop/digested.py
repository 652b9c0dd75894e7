"""safetensors with the digest that the format lacks.

The header's metadata holds the epoch and a SHA-256 over every name, dtype, shape and byte, so damage is found
on reading. A file of another origin has none and is read without.
"""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from jaxd2l.data import DataError
from jaxd2l.interop import safetensors_file

_KEY = "jaxd2l"  # one entry: safetensors writes several in random order, and equal weights are to be equal bytes


def pack(tensors: dict[str, np.ndarray], epoch: int | None, facts: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """The file's bytes.

    Args:
        tensors: arrays by name, such as `params.Conv_0.kernel`.
        epoch: after which they were taken, 0 for initial ones; None where that has no meaning.
        facts: plain values that the header says too.
    """
    from safetensors.numpy import save

    said = {"epoch": epoch, "sha256": digest(tensors), **facts}
    return save(tensors, metadata={_KEY: json.dumps(said, allow_nan=False)})


def parse(data: bytes, name: str) -> tuple[dict[str, np.ndarray], int | None]:
    """Read a safetensors file; nothing in it is executed.

    Args:
        data: the file's bytes.
        name: stands in the message.

    Returns:
        The tensors by name and the epoch, None where the file does not say.

    Raises:
        DataError: no safetensors file, a damaged one, or one that does not agree with its digest.
    """
    tensors, facts = parse_with_facts(data, name)
    epoch = facts.get("epoch")
    return tensors, epoch if isinstance(epoch, int) else None


def parse_with_facts(data: bytes, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """`parse` with all that the header says, {} in a file of another origin.

    Raises:
        DataError: see `parse`.
    """
    try:
        tensors, metadata = safetensors_file.parse(data)
        facts = json.loads(metadata.get(_KEY, "{}"))
        said = facts.get("sha256")
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: no safetensors file ({' '.join(str(error).split())})") from error
    if facts and said != digest(tensors):
        raise DataError(f"{name}: damaged, its tensors do not agree with their SHA-256; resume or rerun the training")
    return tensors, facts


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over every name, type, shape and byte."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        a = np.ascontiguousarray(tensors[name])
        found.update(f"{name} {a.dtype} {tensors[name].shape}\n".encode())
        found.update(a.reshape(-1).view(np.uint8))
    return found.hexdigest()
