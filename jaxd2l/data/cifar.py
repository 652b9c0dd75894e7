"""Reader of the binary version of CIFAR-10.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009); the format is
described beside the published archive.
"""

import io
import tarfile
import zlib
from pathlib import Path

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Examples, check_examples


def parse(data: bytes, name: str) -> Examples:
    """Read one unpacked binary CIFAR-10 batch: records of a label byte and 3 x 32 x 32 bytes.

    Returns:
        uint8 images (n, 32, 32, 3) and int32 labels (n,), in file order.

    Raises:
        DataError: the size is no whole number of records, or a label is not in 0..9.
    """
    record = 1 + 3 * 32 * 32
    if not data or len(data) % record:
        raise DataError(f"{name}: {len(data)} bytes are no whole number of {record}-byte records; fetch it again")
    table = np.frombuffer(data, np.uint8).reshape(-1, record)
    images = np.ascontiguousarray(table[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return check_examples(Examples(images, table[:, 0].astype(np.int32)), 10, name)


def read(archive: bytes, name: str) -> tuple[Examples, Examples]:
    """Read the published archive in memory; nothing is written to disk.

    Returns:
        `(training, test)`: 50,000 and 10,000 examples, in file order.

    Raises:
        DataError: the archive is damaged or a batch is missing.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            members = {Path(m.name).name: tar.extractfile(m) for m in tar.getmembers() if m.isfile()}
            batches = {}
            for member in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
                stream = members.get(member)
                if stream is None:
                    raise DataError(f"{name}: {member} is missing in the archive; fetch it again")
                batches[member] = parse(stream.read(), member)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{name}: damaged archive ({error}); fetch it again") from error
    test = batches.pop("test_batch.bin")
    parts = list(batches.values())
    return Examples(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts])), test
