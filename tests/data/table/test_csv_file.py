"""What is read is what stands in the file, and what is no CSV is named in one line."""

import bz2
import csv
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxd2l.data import DataError
from jaxd2l.data.table.column import is_missing
from jaxd2l.data.table.csv_file import csv_lines, read_table


def written(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "a,b\n1,2\n")
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("table.csv"), io.BytesIO())
    return file.getvalue()


NO_TABLES = {
    "nothing": ("", "empty"),
    "blank": (" \n\n", "empty"),
    "header": ("a,b\n", "header without rows"),
    "short": ("a,b\n1,2\n3\n", "line 3: 1 field, but the header has 2"),
    "long": ("a,b\n1,2,3\n", "line 2: 3 fields, but the header has 2"),
    "trailing-comma": ("a,b\n1,2,\n", "line 2: 3 fields"),
    "empty-quotes": ('""', "nothing but empty quotes"),
    "lines-of-empty-quotes": ('""\n\n""\n', "nothing but empty quotes"),
    "repeated": ("a,a\n1,2\n", "'a' appears twice"),
    "nameless": ("a,\n1,2\n", "column 2 has no name"),
    "blank-name": ("a, \n1,2\n", "column 2 has no name"),
    "pandas-index": (",a\n0,2\n", "column 1 has no name.*index=False"),
    "open-quote": ('a,b\n1,"2\n', "not a CSV"),
    "latin-1": ("a,b\n1,2\nä,3\n".encode("latin-1"), "line 3: not UTF-8"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
    "utf-16-unmarked": ("a,b\n1,2\n".encode("utf-16-be"), "UTF-16: save it as UTF-8"),
    "utf-32": ("a,b\n1,2\n".encode("utf-32"), "UTF-32: save it as UTF-8"),
    "cut-gzip": (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-6], "damaged gzip"),
    "gzip-twice": (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "unpack it once"),
    "semicolons": ("a;b\n1;2\n", "separated by semicolons"),
    "decimal-commas": ("a;b\n1,5;2\n", "separated by semicolons"),
    "tabs": ("a\tb\n1\t2\n", "separated by tabs"),
    "zip": (zipped("table.csv"), "a zip archive: unpack it"),
    "empty-zip": (zipped(), "a zip archive: unpack it"),
    "cut-zip": (zipped("table.csv")[:20], "a damaged zip archive"),
    "zip-in-gzip": (gzip.compress(zipped("table.csv"), mtime=0), "a zip archive: unpack it"),
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook: save the sheet as CSV"),
    "ods": (zipped("mimetype", "content.xml"), "an OpenDocument file: save the sheet as CSV"),
    "tar": (tarred(), "a tar archive: unpack it"),
    "tar-gz": (gzip.compress(tarred(), mtime=0), "a tar archive: unpack it"),
    "bzip2": (bz2.compress(b"a,b"), "bzip2: unpack it"),
    "xz": (lzma.compress(b"a,b"), "xz: unpack it"),
    "parquet": (b"PAR1\x15\x04", "Parquet"),
    "feather": (b"ARROW1\x00\x00", "Feather"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "Excel"),
    "pdf": (b"%PDF-1.7\n", "a PDF"),
    "html": ("\n<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
    "xml": ('<?xml version="1.0"?><a/>', "a web page or XML"),
    "json": ('[{"a": 1}]', "JSON"),
    "pickle": (pickle.dumps(np.zeros(2)), "binary|not UTF-8"),
    "lfs": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "zero-byte": (b"a,b\n1,\x00\n", "a zero byte at 6"),
}


@pytest.mark.parametrize(("text", "message"), NO_TABLES.values(), ids=NO_TABLES)
def test_a_file_that_is_not_a_table_is_refused_with_its_name_and_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_none_is_a_category_and_na_and_nothing_are_missing(tmp_path):
    frame = read_table(written(tmp_path, "a,b\nNone,1\nNA,NA\n,\nx,2\n"))
    assert frame["a"].isna().tolist() == [False, True, True, False]
    assert frame["a"][0] == "None"
    assert frame["b"].tolist() == ["1", None, None, "2"]


PLAIN = 'a,b\n"x, y",1\nz,2\n'
SPELLINGS = {
    "crlf": PLAIN.replace("\n", "\r\n").encode(),
    "cr": PLAIN.replace("\n", "\r").encode(),
    "byte-order-mark": ("\ufeff" + PLAIN).encode(),
    "no-last-line-end": PLAIN.rstrip().encode(),
    "blank-lines": PLAIN.replace("\n", "\n\n  \n").encode(),
    "blank-lines-first": ("\n\n" + PLAIN).encode(),
    "quotes-everywhere": b'"a","b"\n"x, y","1"\n"z","2"\n',
    "gzip": gzip.compress(PLAIN.encode(), mtime=0),
    "gzip-in-parts": gzip.compress(PLAIN[:9].encode(), mtime=0) + gzip.compress(PLAIN[9:].encode(), mtime=0),
}


@pytest.mark.parametrize("data", SPELLINGS.values(), ids=SPELLINGS)
def test_the_ways_to_write_a_csv_read_alike(tmp_path, data):
    pd.testing.assert_frame_equal(read_table(written(tmp_path, data)), read_table(written(tmp_path, PLAIN, "plain")))


# No lone surrogates, which UTF-8 cannot hold, and no zero byte, which no text holds.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=6)
NAMES = TEXTS.filter(str.strip)
NUMBERS = st.sampled_from(("01", "1", "1.0", "1e0", "+1", "0901", "1_000", "0x10", "-0", " 7", "1.50", "\uff11", "inf"))


@st.composite
def frames(draw):
    """Text columns of any spelling, None where a value is missing, as `read_table` makes them."""
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    cells = st.one_of(NUMBERS, TEXTS, st.sampled_from(("a,1", 'b"', "c\nd", "e\rf", "None", "", "NA")))
    rows = draw(st.lists(st.tuples(*[cells] * len(names)), min_size=1, max_size=5))
    known = [[None if is_missing(cell) else cell for cell in row] for row in rows]
    return pd.DataFrame(known, columns=pd.Index(names, dtype=object), dtype=object)


def by_csv_writer(frame, path):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([frame.columns, *frame.itertuples(index=False)])


def by_our_writer(frame, path):
    path.write_bytes(csv_lines([frame.columns, *frame.itertuples(index=False)]).encode())


@pytest.mark.slow
@pytest.mark.parametrize("write", [by_csv_writer, by_our_writer])
def test_what_is_written_reads_back_as_it_was(tmp_path_factory, write):
    path = tmp_path_factory.mktemp("csv") / "table.csv"

    @given(frames())
    def unchanged(frame):
        write(frame, path)
        pd.testing.assert_frame_equal(read_table(path), frame)

    unchanged()


@pytest.mark.slow
@given(rows=st.lists(st.lists(TEXTS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_our_writer_ends_each_row_in_one_line_feed_and_python_reads_it_back(rows):
    text = csv_lines(rows)
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows
    assert text.endswith("\n")


def test_pandas_and_back_changes_nothing(tmp_path):
    frame = read_table(written(tmp_path, 'Id,a\n0901,1.50\n"a,1",+2\n01,NA\n1,1e3\n"x\ny",None\n'))
    frame.to_csv(tmp_path / "again.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "again.csv"), frame)
    assert frame["Id"].tolist() == ["0901", "a,1", "01", "1", "x\ny"]


def test_a_column_may_be_named_like_another_kind_of_file(tmp_path):
    assert list(read_table(written(tmp_path, "PAR1,BZh,ARROW1\n1,2,3\n"))) == ["PAR1", "BZh", "ARROW1"]


def test_a_very_wide_table_is_read(tmp_path):
    frame = read_table(written(tmp_path, ",".join(f"c{i}" for i in range(20_000)) + "\n" + ",".join(["7"] * 20_000)))
    assert frame.shape == (1, 20_000)
    assert np.all(frame.to_numpy() == "7")
