import os
import shutil

import numpy as np
import pytest
from picture_files import CHINA, DIGIT_LABELS, DIGITS, digit_folder, save

from jaxd2l import data
from jaxd2l.data import DataError, UnreadableError


@pytest.fixture(autouse=True)
def _no_cache_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def notes():
    return []


def opened(folder, notes, **options):
    return data.open_data(folder, on_note=notes.append, **options)


def digits_of(part):
    """The row of the digits that each picture is."""
    return [int(np.flatnonzero((picture[..., 0] == DIGITS).all((1, 2)))[0]) for picture in part.x]


def test_labels_follow_folders(tmp_path, notes):
    found = opened(digit_folder(tmp_path / "set", classes=5, each=7), notes, test_fraction=0.3)
    assert found.classes == ("0", "1", "2", "3", "4")
    assert found.name == "set"
    assert notes == []
    for part, each in ((found.train, 5), (found.test, 2)):
        assert part.x.dtype == np.uint8
        assert part.x.shape == (5 * each, 8, 8, 1)
        assert part.y.dtype == np.int32
        assert DIGIT_LABELS[digits_of(part)].tolist() == part.y.tolist()
        assert np.bincount(part.y).tolist() == [each] * 5
    assert len({*digits_of(found.train), *digits_of(found.test)}) == 35


def test_rows_mix_the_classes(tmp_path, notes):
    labels = opened(digit_folder(tmp_path / "set", classes=4, each=20), notes).train.y
    assert (np.diff(labels) != 0).mean() > 0.5  # 0.75 expected; in the order of folders 3 of 63


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Train", "VAL"), ("training", "valid"), ("train", "validation")]
)
def test_parts_are_those_of_the_folders(tmp_path, notes, train, test):
    digit_folder(tmp_path / "set" / train, each=4)
    digit_folder(tmp_path / "set" / test, each=2, first=4)
    found = opened(tmp_path / "set", notes)
    first = {digit: np.flatnonzero(digit == DIGIT_LABELS) for digit in range(3)}
    assert sorted(digits_of(found.train)) == sorted(row for rows in first.values() for row in rows[:4].tolist())
    assert sorted(digits_of(found.test)) == sorted(row for rows in first.values() for row in rows[4:6].tolist())
    assert notes == []


def test_test_is_what_is_judged_by_where_val_is_there_too(tmp_path, notes):
    for part, first in (("train", 0), ("val", 4), ("test", 8)):
        digit_folder(tmp_path / "set" / part, each=4, first=first)
    assert len(opened(tmp_path / "set", notes).test.x) == 12
    assert notes == ["set: val/ is not read: test/ is what is judged by"]


def test_a_train_folder_alone_is_divided(tmp_path, notes):
    digit_folder(tmp_path / "set" / "train", each=5)
    assert len(opened(tmp_path / "set", notes).test.x) == 3
    assert notes == ["set: no test/ beside train/: a share of train/ is held out"]


def test_a_test_folder_without_labels_is_not_read(tmp_path, notes):
    digit_folder(tmp_path / "set" / "train", each=5)
    save(DIGITS[0], tmp_path / "set" / "test" / "0.png")
    assert len(opened(tmp_path / "set", notes).test.x) == 3
    assert notes == ["set: test/ is not read: it has no class folder; a share of train/ is held out"]


def test_a_class_may_be_called_train(tmp_path, notes):
    for name in ("car", "train", "plane"):
        shutil.copytree(digit_folder(tmp_path / "digits", classes=1) / "0", tmp_path / "set" / name)
    assert opened(tmp_path / "set", notes, seed=1).classes == ("car", "plane", "train")
    shutil.copytree(tmp_path / "set" / "train", tmp_path / "set" / "train" / "steam")  # a folder in it changes nothing
    assert opened(tmp_path / "set", notes).classes == ("car", "plane", "train")


def test_two_parts_without_class_folders_are_not_two_classes(tmp_path, notes):
    for part in ("train", "test"):
        save(DIGITS[0], tmp_path / "set" / part / "0.png")
    with pytest.raises(DataError, match=r"train/, test/ but no class folder in train/"):
        opened(tmp_path / "set", notes)


def test_pictures_in_folders_inside_a_class_belong_to_it(tmp_path, notes):
    folder = digit_folder(tmp_path / "set", classes=2, each=3)
    save(DIGITS[20], folder / "0" / "more" / "deep" / "20.PNG")
    found = opened(folder, notes)
    assert 20 in digits_of(found.train) + digits_of(found.test)


def test_extensions_are_read_in_any_case_and_content_decides(tmp_path, notes):
    folder = digit_folder(tmp_path / "set", classes=2, each=3, suffix=".PnG")
    save(DIGITS[20], folder / "0" / "20.bmp").rename(folder / "0" / "20.JPEG")
    assert len(opened(folder, notes).train.x) + len(opened(folder, notes).test.x) == 7


def test_what_archivers_and_file_managers_leave_is_passed_over(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    for name in (
        "__MACOSX/0/._1.png",
        ".ipynb_checkpoints/1.png",
        "0/._7.png",
        "0/Thumbs.db",
        "1/.DS_Store",
        "desktop.ini",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    assert opened(folder, notes).classes == ("0", "1", "2")
    assert notes == []


def test_files_of_other_kinds_are_counted(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    for name in ("0/a.txt", "0/b.TXT", "1/c.tif", "2/noextension"):
        (folder / name).write_bytes(b"")
    save(DIGITS[0], folder / "beside.png")
    opened(folder, notes)
    assert notes == [
        "set: 1 picture beside the class folders not read",
        "set: files that are not PNG, JPEG, BMP, WebP, GIF are not read: 2 .txt, 1 .tif, 1 without an extension",
    ]


def test_pictures_beside_the_class_folders_of_a_part_are_counted(tmp_path, notes):
    for part, first in (("train", 0), ("test", 4)):
        digit_folder(tmp_path / "set" / part, each=4, first=first)
        save(DIGITS[0], tmp_path / "set" / part / "stray.png")
    opened(tmp_path / "set", notes)
    assert notes == [f"set: 1 picture beside the class folders of {part}/ not read" for part in ("train", "test")]


@pytest.mark.posix
def test_links_are_followed_but_not_in_circles(tmp_path, notes):
    folder = digit_folder(tmp_path / "set", classes=2)
    os.symlink(folder, folder / "0" / "loop")
    os.symlink("..", folder / "1" / "up")
    os.symlink(digit_folder(tmp_path / "elsewhere", classes=3) / "2", folder / "2")
    found = opened(folder, notes)
    assert found.classes == ("0", "1", "2")
    assert len(found.train.x) + len(found.test.x) == 15


@pytest.mark.posix
def test_a_pipe_and_a_link_to_nowhere_are_unreadable(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    os.mkfifo(folder / "0" / "pipe.png")
    os.symlink("nowhere", folder / "1" / "link.png")
    os.symlink("self.png", folder / "2" / "self.png")
    with pytest.raises(UnreadableError) as caught:
        opened(folder, notes)
    assert caught.value.files == (
        ("0/pipe.png", "no regular file"),
        ("1/link.png", "no such file or directory"),
        ("2/self.png", "too many levels of symbolic links"),
    )


@pytest.mark.posix
def test_names_of_pictures_may_be_any_bytes(tmp_path, notes):
    folder = digit_folder(tmp_path / "set", classes=2)
    names = [b"\xff\xfe.png", "é ü\n.png".encode(), b"\x1b[31m.png"]
    for row, name in enumerate(names, 40):
        os.rename(save(DIGITS[row], folder / "0" / "x.png"), os.fsencode(folder / "0") + b"/" + name)
    assert len(opened(folder, notes).train.x) == 10
    (folder / "1" / os.fsdecode(names[0])).write_bytes(b"")
    with pytest.raises(UnreadableError, match=r"1/\\udcff\\udcfe.png \(empty file\)"):
        opened(folder, notes)


@pytest.mark.posix
def test_the_folder_may_have_any_name(tmp_path, notes):
    folder = digit_folder(tmp_path / os.fsdecode(b"my caf\xe9"))
    (folder / os.fsdecode(b"\xff")).mkdir()
    with pytest.raises(DataError) as caught:
        opened(folder, notes)
    assert str(caught.value).isprintable()
    (folder / os.fsdecode(b"\xff")).rename(folder / ".hidden")
    found = opened(folder, notes)
    assert found.name == "my caf\\udce9"
    assert found.sha256 == opened(folder, notes).sha256


@pytest.mark.posix
@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"\x1b[31m"])
def test_a_class_name_that_is_not_printable_utf8_is_refused(tmp_path, notes, name):
    folder = digit_folder(tmp_path / "set", classes=2)
    os.rename(folder / "0", os.fsencode(folder) + b"/" + name)
    with pytest.raises(DataError, match=r"class name .* is not printable UTF-8; rename it") as caught:
        opened(folder, notes)
    assert str(caught.value).isprintable()


def test_one_name_spelled_in_two_ways_is_one_class(tmp_path, notes):
    digit_folder(tmp_path / "set" / "train")
    digit_folder(tmp_path / "set" / "test", first=5)
    (tmp_path / "set" / "train" / "0").rename(tmp_path / "set" / "train" / "caf\u00e9")
    (tmp_path / "set" / "test" / "0").rename(tmp_path / "set" / "test" / "cafe\u0301")
    assert opened(tmp_path / "set", notes).classes == ("1", "2", "caf\u00e9")
    shutil.copytree(tmp_path / "set" / "test" / "cafe\u0301", tmp_path / "set" / "test" / "caf\u00e9")
    with pytest.raises(DataError, match="two folders are called caf\u00e9"):
        opened(tmp_path / "set", notes)


def test_an_empty_class_is_refused_with_what_lies_there(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    (folder / "empty").mkdir()
    (folder / "empty" / "a.tiff").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"no picture in the folder of class empty \(1 .tiff in all\); PNG, JPEG.* remove"
    ):
        opened(folder, notes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder.mkdir(), "no class folder with pictures"),
        (lambda folder: save(DIGITS[0], folder / "a.png"), "1 picture but no class folder; put those of each class"),
        (lambda folder: digit_folder(folder, classes=1), "the only class is 0; at least two"),
        (lambda folder: digit_folder(folder, each=1), "fewer than two different examples of class 0, 1, 2"),
        (lambda folder: digit_folder(folder / "test"), r"test/ but no train/ beside it"),
        (lambda folder: [digit_folder(folder / p) for p in ("train", "Training")], "could both be the train part"),
    ],
    ids=["empty", "flat", "one class", "one each", "no train", "two trains"],
)
def test_a_folder_that_cannot_be_learned_from_is_refused_in_one_line(tmp_path, notes, make, message):
    make(tmp_path / "set")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path / "set", notes)
    assert "\n" not in str(caught.value)


def test_a_class_of_the_test_part_alone_is_refused_and_one_of_training_alone_noted(tmp_path, notes):
    digit_folder(tmp_path / "set" / "train", classes=3)
    digit_folder(tmp_path / "set" / "test", classes=2, first=5)
    opened(tmp_path / "set", notes)
    assert notes == ["set: no example of class 2 in the test part, so nothing judges it"]
    (tmp_path / "set" / "test" / "1").rename(tmp_path / "set" / "test" / "One")
    with pytest.raises(DataError, match="class One has examples in the test part but none in the training part"):
        opened(tmp_path / "set", notes)


def test_the_same_picture_in_both_parts_is_noted(tmp_path, notes):
    digit_folder(tmp_path / "set" / "train", each=5)
    digit_folder(tmp_path / "set" / "test", each=2, first=4, suffix=".bmp")  # another file, the same pixels
    opened(tmp_path / "set", notes)
    assert len(notes) == 1
    assert notes[0].startswith("set: 3 of 6 test pictures are in the training part too, such as test/")


def test_a_draw_keeps_the_same_picture_on_one_side(tmp_path, notes):
    folder = digit_folder(tmp_path / "set", classes=2, each=6)
    for path in list(folder.rglob("*.png")):
        shutil.copy(path, path.with_stem(path.stem + "copy"))
    for seed in range(8):
        found = opened(folder, notes, seed=seed)
        assert not set(digits_of(found.train)) & set(digits_of(found.test))
        assert len(found.test.x) == 4  # 20 % of 12 of each class are 2.4
    assert notes == []


def test_one_picture_under_two_classes_is_noted(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    save(DIGITS[0], folder / "1" / "zero.png")
    opened(folder, notes)
    assert len(notes) == 1
    assert notes[0].startswith("set: 1 picture stands under two classes, such as ")


def test_every_unreadable_file_is_listed_ten_in_the_message(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    (folder / "0" / "empty.png").write_bytes(b"")
    cut = (folder / "1" / "1.png").read_bytes()
    (folder / "1" / "cut.png").write_bytes(cut[: len(cut) // 2])
    for row in range(11):
        (folder / "2" / f"text{row:02}.jpg").write_text("not a picture", encoding="utf-8")
    with pytest.raises(
        UnreadableError, match=r"^set: 13 of 28 pictures cannot be read: 0/empty.png \(empty file\); 1/cut.png \("
    ) as caught:
        opened(folder, notes)
    assert "text07.jpg (not a picture) and 3 more; repair or remove them" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(caught.value.files) == 13
    found = opened(folder, notes, skip_unreadable=True)
    assert len(found.train.x) + len(found.test.x) == 15
    assert notes[0].startswith("set: 13 of 28 pictures are skipped: 0/empty.png (empty file)")


def test_a_class_of_which_nothing_is_readable_is_refused(tmp_path, notes):
    folder = digit_folder(tmp_path / "set")
    (folder / "bad").mkdir()
    (folder / "bad" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no picture of class bad can be read: bad/a.png \(empty file\)"):
        opened(folder, notes, skip_unreadable=True)
    (folder / "0" / "a.png").write_bytes(b"")
    shutil.rmtree(folder / "bad")
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UnreadableError, match="16 of 16 pictures cannot be read"):
        opened(folder, notes, skip_unreadable=True)


@pytest.mark.slow
def test_size_and_channels_follow_the_data(tmp_path, notes):
    folder = tmp_path / "set"
    for row in range(4):
        save(CHINA[row : row + 9, :12], folder / "a" / f"{row}.png")
        save(CHINA[row : row + 9, 20:32], folder / "b" / f"{row}.png")
    assert opened(folder, notes).train.x.shape[1:] == (9, 12, 3)  # all alike
    save(CHINA[:30, :20, 0], folder / "a" / "grey.png")
    assert opened(folder, notes).train.x.shape[1:] == (9, 9, 3)  # the median of 9 x 8, 20
    for row in range(20):
        save(CHINA[:, row:], folder / "b" / f"large{row}.png")
    assert opened(folder, notes).train.x.shape[1:] == (224, 224, 3)  # not 427
    assert opened(folder, notes, image_size=5, channels=1).train.x.shape[1:] == (5, 5, 1)
    assert opened(folder, notes, image_size=5).train.x.shape[1:] == (5, 5, 3)


def test_dark_16_bit_pictures_are_noted(tmp_path, notes):
    folder = tmp_path / "set"
    for row in range(6):
        save(DIGITS[row].astype(np.uint16) * 16, folder / "ab"[row % 2] / f"{row}.png")
    opened(folder, notes)
    assert len(notes) == 1
    assert "16-bit pictures hold values up to" in notes[0]


def test_what_would_not_fit_into_memory_is_refused_before_decoding(tmp_path, notes):
    with pytest.raises(
        DataError, match=r"15 pictures of 1000000 x 1000000 x 3 bytes take .* GB.*image_size=224 or less"
    ):
        opened(digit_folder(tmp_path / "set"), notes, image_size=1_000_000, channels=3)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("nothing", OSError, "no such folder or file; expected a folder, .npz, .csv or tfds:DIR"),
        ("", OSError, "an empty name"),
        ("tfds:nothing", OSError, "no such folder"),
        ("a.zip", DataError, "an archive: unpack it"),
        ("a.png", DataError, "expected a folder"),
    ],
)
def test_what_is_no_data_is_said(tmp_path, monkeypatch, spec, error, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.zip", "a.png"):
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(error, match=message):
        data.open_data(spec)


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 0},
        {"image_size": 2.5},
        {"channels": 1.0},
        {"channels": True},
        {"channels": 4},
        {"test_fraction": 0},
        {"test_fraction": 20},
        {"seed": -1},
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        data.open_data(tmp_path, **options)


def test_a_note_is_a_warning_by_default(tmp_path):
    folder = digit_folder(tmp_path / "set" / "train").parent
    with pytest.warns(data.DataWarning, match="no test/ beside train/") as caught:
        data.from_folder(folder)
    assert caught[0].filename == __file__
