import numpy as np
import pytest
from picture_files import DIGIT_LABELS, DIGITS, digit_folder

from jaxd2l import data
from jaxd2l.data import DataError, UnreadableError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Paths of 15 pictures of three digits, relative to `tmp_path`."""
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    folder = digit_folder(tmp_path / "digits")
    return sorted(str(path.relative_to(tmp_path)) for path in folder.rglob("*.png"))


def listed(tmp_path, text, **options):
    file = tmp_path / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return data.open_data(file, **options)


def label(name):
    return name.split("/")[1]


def as_text(files, ending="\n"):
    return ending.join(["file,label", *(f"{name},{label(name)}" for name in files)])


def test_labels_are_those_of_the_rows(tmp_path, files):
    found = listed(tmp_path, as_text(files))
    assert found.name == "list"
    assert found.classes == ("0", "1", "2")
    for part in found.train, found.test:
        rows = [int(np.flatnonzero((picture[..., 0] == DIGITS).all((1, 2)))[0]) for picture in part.x]
        assert DIGIT_LABELS[rows].tolist() == part.y.tolist()
    assert (len(found.train.x), len(found.test.x)) == (12, 3)


def test_how_a_list_is_written_does_not_matter(tmp_path, files):
    expected = listed(tmp_path, as_text(files)).sha256
    for text in (
        "\ufeff" + as_text(files, "\r\n") + "\r\n\r\n",
        as_text(files[::-1]),
        "\n".join([" Label , note, FILE ", *(f"{label(name)},x, {name} " for name in files)]),
        "\n".join(["file,label", *(f'"./{name}","{label(name)}"' for name in files)]),
        "\n".join(["file,label", *(f"{name.replace('/', chr(92))},{label(name)}" for name in files)]),
    ):
        assert listed(tmp_path, text).sha256 == expected


def test_a_split_column_is_followed(tmp_path, files):
    notes = []
    parts = ("train", "Test", "VALIDATION")
    rows = [f"{name},{label(name)},{parts[i % 3]}" for i, name in enumerate(files)]
    found = listed(tmp_path, "\n".join(["file,label,split", *rows]), on_note=notes.append)
    assert (len(found.train.x), len(found.test.x)) == (5, 5)
    assert notes == ["list: 5 rows of split val are not read: test is what is judged by"]
    rows = [f"{name},{label(name)},{'val' if i % 3 else 'training'}" for i, name in enumerate(files)]
    assert len(listed(tmp_path, "\n".join(["file,label,split", *rows])).test.x) == 10
    rows = [f"{name},{label(name)},train" for name in files]
    assert len(listed(tmp_path, "\n".join(["file,label,split", *rows]), on_note=notes.append).test.x) == 3
    assert notes[1:] == ["list: every row is of split train: a share of them is held out"]


def test_labels_are_text(tmp_path, files):
    rows = [f"{name},0{label(name)}.0" for name in files]
    assert listed(tmp_path, "\n".join(["file,label", *rows])).classes == ("00.0", "01.0", "02.0")
    rows = [f"{name},{'NA' if label(name) == '0' else 'None'}" for name in files]
    assert listed(tmp_path, "\n".join(["file,label", *rows])).classes == ("NA", "None")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("file,label\n", "a header without rows"),
        ("path,class\na,b\n", "expected one column 'file' in the header, got path, class"),
        ("file,name\na,b\n", "expected one column 'label'"),
        ("file;label\na;b\n", "separated by semicolons; save the file with commas"),
        ("file,file,label\na,b,c\n", "column 'file' appears twice"),
        ("file, File ,label\na,b,c\n", "expected one column 'file'"),
        ("file,label,split,Split\na,b,train,train\n", "expected one column 'split'"),
        ("file,label\na,b\nc\n", "line 3: 1 field, but the header has 2"),
        ("file,label\na,b,c\n", "line 2: 3 fields, but the header has 2"),
        ('file,label\n"a,b\n', "not a CSV"),
        ("file,label\nx,y\n,b\n", "row 2: no file is named"),
        ("file,label\na\0b,b\n", "binary"),
        ("file,label\na, \n", "row 1: a class has no name"),
        ('file,label\na,"x\ny"\n', "not printable UTF-8"),
        ("file,label\na,b\n\n./a,c\n", r"row 2: ./a is listed in row 1 too"),
        ("file,label,split\na,b,dev\n", "split is 'dev', expected train, test or val"),
        (b"file,label\na,b\nc,\xff\n", "line 3: not UTF-8"),
        (b"PK\x03\x04\x00", "a damaged zip archive"),
        ("file,label\na,b\nc,b\n", "the only class is b"),
        ("file,label,split\na,b,test\nc,d,test\n", "no example in the training part"),
    ],
)
def test_every_flaw_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        listed(tmp_path, text)
    assert str(caught.value).isprintable()


def test_files_that_are_not_there_are_listed(tmp_path, files):
    text = as_text(files) + f"\nnothere.png,0\ndigits,1\n{'y' * 300}.png,2\n"
    with pytest.raises(UnreadableError) as caught:
        listed(tmp_path, text)
    assert [reason for _, reason in caught.value.files] == [
        "no regular file",
        "no such file or directory",
        "file name too long",
    ]
    assert listed(tmp_path, text, skip_unreadable=True, on_note=lambda _: None).sha256 == (
        listed(tmp_path, as_text(files)).sha256
    )


def test_absolute_names_are_taken(tmp_path, files):
    rows = [f"{tmp_path / name},{label(name)}" for name in files]
    assert len(listed(tmp_path, "\n".join(["file,label", *rows])).train.x) == 12
