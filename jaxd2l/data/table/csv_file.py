"""CSV files to tables of text: a cell is what stands in the file, and what is no CSV is named (RFC 4180).

No cell is turned into a number here: what a column is belongs to the training table, see `jaxd2l.data.table.column`.
"""

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jaxd2l.data.error import DataError
from jaxd2l.data.table.column import is_missing
from jaxd2l.machine.disk import read_at_most
from jaxd2l.wording import counted

if TYPE_CHECKING:
    import pandas as pd

_TIMES = 12  # what a table takes in memory for each byte of its file: a text object a cell
# What files of other kinds start with, and what to do about them; a column may be named PAR1.
_STARTS = (
    (b"\x1f\x8b", "gzip inside gzip: unpack it once"),
    *((b"BZh%d1AY&SY" % size, "bzip2: unpack it") for size in range(1, 10)),
    (b"\xfd7zXZ\x00", "xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "zstd: unpack it"),
    (b"\x04\x22\x4d\x18", "lz4: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "a rar archive: unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file: save the sheet as CSV"),
    (b"PAR1\x15", "Parquet: write it as CSV, as pandas.read_parquet and to_csv do"),
    (b"ARROW1\x00", "Arrow or Feather: write it as CSV, as pandas.read_feather and to_csv do"),
    (b"FEA1\x00", "Feather: write it as CSV, as pandas.read_feather and to_csv do"),
    (b"\x89HDF\r\n\x1a\n", "HDF5: write it as CSV"),
    (b"SQLite format 3\x00", "an SQLite database: write the table as CSV"),
    (b"\x93NUMPY", "a NumPy array: write it as CSV, as numpy.savetxt does"),
    (b"%PDF-", "a PDF: save the table as CSV"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file: run git lfs pull"),
    (b"\xff\xfe\x00\x00", "UTF-32: save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32: save it as UTF-8"),
    (b"\xff\xfe", "UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16: save it as UTF-8"),
)
_MARKUP = re.compile(rb"\s*<(!doctype\s+html|html|head|body|table|\?xml)\b", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\[\s*)?\{\s*"')
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV with a header, plain or gzipped, in UTF-8, as text.

    Returns:
        Columns of Python strings, exactly as they stand in the file; None where a value is missing (`is_missing`).
        Blank lines are passed over.

    Raises:
        DataError: naming file and line: another kind of file, not UTF-8, damaged gzip, empty, no row, a header with an
            empty or repeated name, another separator, a row with more or fewer fields than the header.
        OSError: the file cannot be read.
    """
    return text_frame(*read_records(path))


def text_frame(header: list[str], records: list[list[str]]) -> "pd.DataFrame":
    """The frame that `read_table` gives, of what `read_records` gives."""
    import pandas as pd

    cells = [[None if is_missing(cell) else cell for cell in record] for record in records]
    return pd.DataFrame(cells, columns=pd.Index(header, dtype=object), dtype=object)


def read_records(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows that `read_table` makes a frame of, where no text stands for a missing value."""
    return _records(path, _text(path))


def csv_lines(rows: Iterable[Iterable[object]]) -> str:
    """Write rows as CSV, a line each; quotes stand where a value holds a comma, a quote or a line break."""
    text = io.StringIO(newline="")
    lines = []
    writer = csv.writer(text)  # whose line ends, CR LF, are what makes it quote both characters
    for row in rows:
        text.seek(0)
        text.truncate()
        writer.writerow(row)
        lines.append(text.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def _text(path: Path) -> str:
    from jaxd2l.machine.memory import free_host_bytes  # imports psutil

    most = (free_host_bytes() or 1 << 60) // _TIMES
    with path.open("rb") as file:
        raw = read_at_most(file, most, str(path))
    try:
        if raw[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as unpacked:
                raw = read_at_most(unpacked, most, str(path))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); copy or download it again") from None
    kind = _other_kind(raw)
    if kind:
        raise DataError(f"{path}: not a CSV but {kind}")
    try:
        text = raw.decode("utf-8-sig")  # Excel starts its UTF-8 with a byte order mark
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8") from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected a CSV with a header")
    return text


def _other_kind(raw: bytes) -> str | None:
    """Name what the bytes are, where it is known to be no CSV."""
    if raw[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip_kind(raw)
    for start, kind in _STARTS:
        if raw.startswith(start):
            return kind
    if raw[257:262] == b"ustar":
        return "a tar archive: unpack it"
    if _MARKUP.match(raw):
        return "a web page or XML: download the file itself"
    if _JSON.match(raw):
        return "JSON: write it as CSV, as pandas.read_json and to_csv do"
    if b"\x00" in raw:
        at = raw.index(b"\x00")
        wide = raw[at % 2 :: 2].count(0) * 3 > len(raw)  # every second byte of ASCII in UTF-16 is zero
        return "UTF-16: save it as UTF-8" if wide else f"binary (a zero byte at {at}); expected text"
    return None


def _zip_kind(raw: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(raw)).namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return "a damaged zip archive: copy or download it again"
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook: save the sheet as CSV"
    if "content.xml" in names:
        return "an OpenDocument file: save the sheet as CSV"
    return "a zip archive: unpack it"


def _records(path: Path, text: str) -> tuple[list[str], list[list[str]]]:
    """Split into header and rows; a short row, which pandas would pad in silence, is refused."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next((record for record in reader if not _is_blank(record)), None)
        if header is None:
            raise DataError(f"{path}: nothing but empty quotes; expected a CSV with a header")
        _check_header(f"{path}, line {reader.line_num}", header)
        records = []
        for record in reader:
            if not record or (len(header) > 1 and _is_blank(record)):
                continue
            if len(record) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: {counted(len(record), 'field')}, but the header has "
                    f"{len(header)}; "
                    + (_separated(header) or "complete the row or quote the field that holds a comma")
                )
            records.append(record)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a CSV ({error})") from None
    if not records:
        raise DataError(f"{path}: a header without rows; at least one row is needed")
    separated = _separated(header)
    if separated and all(_separated(record) == separated for record in records):
        raise DataError(f"{path}: {separated}")
    return header, records


def _is_blank(record: list[str]) -> bool:
    return not record or (len(record) == 1 and not record[0].strip())


def _check_header(where: str, header: list[str]) -> None:
    repeated = [name for name, count in Counter(header).items() if count > 1 and name.strip()]
    if repeated:
        raise DataError(f"{where}: column {min(repeated)!r} appears twice; every column needs a name of its own")
    nameless = [number for number, name in enumerate(header, 1) if not name.strip()]
    if nameless == [1] and len(header) > 1:
        raise DataError(
            f"{where}: column 1 has no name; every column needs a name of its own (pandas writes its row numbers so: "
            "use to_csv(index=False))"
        )
    if nameless:
        raise DataError(f"{where}: column {nameless[0]} has no name; every column needs a name of its own")


def _separated(record: list[str]) -> str:
    """Say by what the fields are separated, where it seems to be no comma."""
    found = [name for separator, name in _SEPARATORS.items() if len(record) == 1 and separator in record[0]]
    return f"the fields seem to be separated by {found[0]}; save the file with commas between them" if found else ""
