import gzip
import struct

import numpy as np
import pytest

from jaxd2l.data import DataError, idx


def encode(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
GOOD = encode(IMAGES)


def test_what_was_written_is_read_back_in_order(tmp_path):
    (tmp_path / "plain").write_bytes(GOOD)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(GOOD))
    for name in ("plain", "packed.gz"):
        np.testing.assert_array_equal(idx.read(tmp_path / name, ndim=3), IMAGES)


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_every_truncation_is_refused(length):
    with pytest.raises(DataError):
        idx.parse(GOOD[:length], "file", ndim=3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing"),
        (b"<html>", "not an IDX file"),
        (GOOD + b"\0", "header .2, 3, 5. says"),
        (GOOD[:2] + b"\x0d" + GOOD[3:], "type 0x0d"),
        (GOOD[:7] + b"\xff" + GOOD[8:], "says"),
        (encode(IMAGES[0]), "with 2 dimensions, expected 0x08 with 3"),
    ],
)
def test_other_content_is_refused_by_name(data, message):
    with pytest.raises(DataError, match=f"digits: .*{message}"):
        idx.parse(data, "digits", ndim=3)


def test_a_header_that_claims_more_than_memory_allocates_nothing():
    with pytest.raises(DataError, match="header"):
        idx.parse(struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "file", ndim=3)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:30] + b"\xff\xff\xff" + b[33:], lambda b: b[:5]])
def test_a_damaged_gzip_file_is_refused(damage):
    with pytest.raises(DataError, match="gzip"):
        idx.unpack(damage(gzip.compress(GOOD * 50)), "file")


def test_a_file_that_unpacks_to_too_much_is_refused():
    with pytest.raises(DataError, match="more than 1000 bytes"):
        idx.unpack(gzip.compress(bytes(100_000)), "bomb", limit=1000)
