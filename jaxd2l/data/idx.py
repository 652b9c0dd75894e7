"""Strict reader of IDX, the file format of MNIST and its relatives.

Layout: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian
uint32, then the elements in C order and nothing after them. Source: LeCun, Cortes and Burges,
"The MNIST database of handwritten digits" (1998), section "file formats".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.wording import counted

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_LARGEST = 1 << 31  # bytes; above any published set of this format, below what would exhaust memory


def unpack(packed: bytes, name: str, limit: int = _LARGEST) -> bytes:
    """The unpacked bytes of a gzip file, or `packed` itself where it is none.

    Raises:
        DataError: the gzip stream is damaged, ends early or unpacks to more than `limit` bytes.
    """
    if not packed.startswith(_GZIP_MAGIC):
        return packed
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            data = stream.read(limit + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{name}: damaged or truncated gzip file ({error}); fetch it again") from error
    if len(data) > limit:
        raise DataError(f"{name}: unpacks to more than {limit} bytes; this is no image data set")
    return data


def parse(data: bytes, name: str, ndim: int) -> np.ndarray:
    """Read one unpacked IDX file of unsigned bytes.

    Args:
        data: the unpacked bytes.
        name: stands in the message.
        ndim: dimensions expected; 3 for images, 1 for labels.

    Returns:
        A read-only uint8 array with `ndim` dimensions, in file order.

    Raises:
        DataError: anything but the exact format: wrong magic, type or rank, bytes missing or left over.
    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{name}: not an IDX file (starts with {data[:4].hex(' ') or 'nothing'}, expected 00 00 08)")
    kind, rank = data[2], data[3]
    if kind != _UNSIGNED_BYTE or rank != ndim:
        raise DataError(f"{name}: IDX type 0x{kind:02x} with {counted(rank, 'dimension')}, expected 0x08 with {ndim}")
    header = 4 + 4 * ndim
    if len(data) < header:
        raise DataError(f"{name}: ends inside the header, at byte {len(data)} of {header}")
    shape = struct.unpack(f">{ndim}I", data[4:header])
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise DataError(f"{name}: {len(data)} bytes, but its header {shape} says {expected}; fetch the file again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read(path: str | Path, ndim: int) -> np.ndarray:
    """Read an IDX file, gzipped or not: `parse(unpack(bytes))`.

    Raises:
        DataError: the content is not what it claims.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return parse(unpack(path.read_bytes(), path.name), path.name, ndim)
