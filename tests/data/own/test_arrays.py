import contextlib
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from picture_files import CHINA, DIGIT_LABELS, DIGITS

from jaxd2l import data
from jaxd2l.data import DataError

X, Y = DIGITS[:200], DIGIT_LABELS[:200]
NEW_X, NEW_Y = DIGITS[200:300], DIGIT_LABELS[200:300]


@pytest.fixture
def notes():
    return []


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x[..., None],
        lambda x: x.astype(np.int64),
        lambda x: x.astype(">u2"),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.float64) / 255,
        lambda x: x.astype(np.float32) / 255,
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
        lambda x: x.tolist(),
        lambda x: jnp.asarray(x, jnp.bfloat16),
        np.ma.array,
    ],
    ids=[
        "bytes",
        "channel",
        "int64",
        "big endian",
        "whole",
        "shares",
        "shares32",
        "fortran",
        "strided",
        "list",
        "bfloat16",
        "no mask",
    ],
)
def test_pictures_in_any_numbers_are_the_same_bytes(convert):
    found = data.from_arrays(convert(X), Y, convert(NEW_X), NEW_Y)
    np.testing.assert_array_equal(found.train.x, X[..., None])
    np.testing.assert_array_equal(found.test.x, NEW_X[..., None])
    assert found.train.x.dtype == np.uint8
    assert found.sha256 == data.from_arrays(X, Y, NEW_X, NEW_Y).sha256


def test_half_precision_shares_are_within_a_level():
    found = data.from_arrays(X.astype(np.float16) / 255, Y, NEW_X.astype(np.float16) / 255, NEW_Y)
    assert np.abs(found.train.x[..., 0].astype(int) - X).max() == 0  # 11 bits tell 256 levels apart


def test_true_is_white(notes):
    found = data.from_arrays(X > 99, Y, NEW_X > 99, NEW_Y, on_note=notes.append)
    np.testing.assert_array_equal(found.train.x[..., 0], 255 * (X > 99))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8"])
@pytest.mark.parametrize("column", [False, True])
def test_labels_of_any_integer_type_are_the_same(dtype, column):
    y, new_y = (labels.astype(dtype)[:, None] if column else labels.astype(dtype) for labels in (Y, NEW_Y))
    found = data.from_arrays(X, y, NEW_X, new_y)
    assert found.train.y.dtype == np.int32
    np.testing.assert_array_equal(found.train.y, Y)
    assert found.classes == tuple("0123456789")


def test_text_labels_are_sorted_into_classes():
    words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    for kind in (words, words.astype(object)):
        found = data.from_arrays(X, kind[Y], NEW_X, kind[NEW_Y])
        assert found.classes == tuple(sorted(words))
        assert [found.classes[label] for label in found.train.y] == words[Y].tolist()
    assert data.from_arrays(X, words[Y], NEW_X, words[NEW_Y], classes=list(words)).train.y.tolist() == Y.tolist()


def test_a_draw_holds_out_a_share_of_each_class():
    found = data.from_arrays(DIGITS, DIGIT_LABELS, test_fraction=0.1, seed=3)
    each = np.bincount(DIGIT_LABELS)
    assert np.bincount(found.test.y).tolist() == [round(0.1 * n) for n in each]
    assert len(found.train.x) + len(found.test.x) == len(DIGITS)
    assert found.sha256 == data.from_arrays(DIGITS, DIGIT_LABELS, test_fraction=0.1, seed=3).sha256
    assert found.sha256 != data.from_arrays(DIGITS, DIGIT_LABELS, test_fraction=0.1, seed=4).sha256


def test_size_and_channels_are_changed_as_those_of_files_are(tmp_path, monkeypatch):
    from picture_files import save

    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    pictures = np.stack([CHINA[i : i + 20, i : i + 31] for i in range(4)])
    for i, picture in enumerate(pictures):
        save(picture, tmp_path / "set" / ("train" if i < 2 else "test") / "ab"[i % 2] / "x.png")
    folder = data.open_data(tmp_path / "set", image_size=7, channels=1)
    y = np.array([0, 1])
    arrays = data.from_arrays(pictures[:2], y, pictures[2:], y, image_size=7, channels=1)
    for label in y:
        np.testing.assert_array_equal(arrays.train.x[label], folder.train.x[folder.train.y == label][0])
    assert data.from_arrays(X, Y, NEW_X, NEW_Y, channels=3).train.x.shape == (200, 8, 8, 3)


def test_notes_say_what_is_odd(notes):
    data.from_arrays(X, Y + 1, NEW_X, NEW_Y + 1, on_note=notes.append)
    data.from_arrays(X // 128, Y, on_note=notes.append)
    data.from_arrays(X, Y, X[:30], Y[:30], name="mine", on_note=notes.append)
    assert notes[0] == "arrays: no example of class 0"
    assert notes[1] == "arrays: images hold only 0 and 1 of 255, nearly black; multiply by 255 if 1 is white"
    assert notes[-1].startswith(
        "mine: 30 of 30 test pictures are in the training part too, such as test row 0 = training"
    )


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((X - 128.0) / 64, Y, r"float64 from -2 to 1.75, expected whole numbers in 0..255 or floats in \[0, 1\]"),
        (X * 1.5, Y, "expected whole numbers"),
        (X.astype(int) * 2, Y, "int64 from 0 to 480"),
        (X.astype(int) - 1, Y, "int64 from -1"),
        (np.where(X > 9, np.nan, 0.5), Y, "NaN"),
        (np.repeat(X[:, None], 3, axis=1), Y, r"np.moveaxis\(x, 1, -1\)"),
        (np.repeat(X[..., None], 4, axis=-1), Y, "drops the alpha channel"),
        (np.repeat(X[..., None], 2, axis=-1), Y, "with 1 or 3 channels last"),
        (X.reshape(200, 64), Y, "reshape it"),
        (X[:0], Y[:0], "at least one of one pixel"),
        (X[:, :0], Y, "at least one of one pixel"),
        (X.astype(complex), Y, "of numbers"),
        (X.astype(object), Y, "of numbers"),
        ("pictures", Y, "of numbers"),
        ([[[1]], [[2, 3]]], Y[:2], "pictures must all have one shape"),
        (np.ma.masked_less(X, 9), Y, "x_train has masked values"),
        (X, np.ma.masked_less(Y, 2), "y_train has masked values"),
        (None, Y, "x_train is missing"),
        (X, None, "y_train is missing"),
        (X, Y[:10], "10 labels for 200 pictures"),
        (X, np.eye(10)[Y], r"y.argmax\(1\)"),
        (X, Y.astype(float), r"y.astype\(int\)"),
        (X, Y.astype("datetime64[s]"), "integer type, or text"),
        (X, Y - 1, "labels run from -1 to 8, expected 0 and up"),
        (X, Y * 100, "10 different labels run up to 900; number the classes from 0"),
        (X, Y.astype(np.uint64) + 2**63, "labels run from"),
        (X, np.zeros(200, int), "the only class is 0"),
        (X, np.array(["a\nb", "c"])[Y % 2], "not printable UTF-8"),
    ],
)
def test_what_is_no_picture_or_label_is_refused_in_one_line(notes, x, y, message):
    with pytest.raises(DataError, match=message) as caught:
        data.from_arrays(x, y, on_note=notes.append)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (NEW_X / 255, NEW_Y, "x_train is uint8 but x_test is float64; make them alike"),
        (NEW_X[:, :4], NEW_Y, r"x_train has shape \(200, 8, 8\) but x_test \(100, 4, 8\)"),
        (NEW_X, NEW_Y.astype(str), "labels are text in one part and numbers in the other"),
        (NEW_X, NEW_Y + 1, "class 10 has examples in the test part but none in the training part"),
        (NEW_X, None, "one of x_test and y_test is missing"),
        (None, NEW_Y, "one of x_test and y_test is missing"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(x, y, message):
    with pytest.raises(DataError, match=message):
        data.from_arrays(X, Y, x, y)


@pytest.mark.parametrize("classes", ["abcdefghij", list("abc"), list("aacdefghij"), [b"a"] * 10, range(10), [""] * 10])
def test_classes_are_a_name_for_each_label(classes):
    with pytest.raises(DataError, match=r"expected a list of text|expected 0 to 2|two classes are called a|no name"):
        data.from_arrays(X, Y, NEW_X, NEW_Y, classes=classes)


def test_an_npz_holds_what_the_arrays_hold(tmp_path):
    expected = data.from_arrays(X, Y, NEW_X, NEW_Y)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=NEW_X, y_test=NEW_Y)
        assert data.open_data(tmp_path / "a.npz").sha256 == expected.sha256
    (tmp_path / "a.npz").rename(tmp_path / "B.NPZ")
    assert data.open_data(tmp_path / "B.NPZ").name == "B"
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    assert data.open_data(tmp_path / "a.npz", seed=2).sha256 == data.from_arrays(X, Y, seed=2).sha256


def test_an_npz_may_name_its_classes_and_hold_more(tmp_path, notes):
    names = np.array(list("abcdefghij"))
    file = tmp_path / "medical.npz"
    parts = {"train_images": X, "train_labels": Y[:, None], "test_images": NEW_X, "test_labels": NEW_Y[:, None]}
    np.savez(file, **parts, classes=names, val_images=X)
    assert data.open_data(file, on_note=notes.append).classes == tuple("abcdefghij")
    assert notes == ["medical: val_images is not read"]
    np.savez(file, **parts, classes=np.arange(10))
    with pytest.raises(DataError, match="expected one text a class"):
        data.open_data(file)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X, "y_test": Y}, "without y_train, x_test; it has x_train, y_test"),
        ({"images": X}, "without x_train, y_train, x_test, y_test; it has images"),
        ({}, "it has nothing"),
        ({"x": X.astype(object), "y": Y}, "Python objects, which are never read"),
    ],
)
def test_an_npz_without_what_is_needed_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        data.open_data(tmp_path / "a.npz")


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    file = tmp_path / "a.npz"
    np.savez_compressed(file, x=X, y=Y)
    whole = file.read_bytes()
    np.save(tmp_path / "b.npy", X)
    for content, message in (
        (b"", "not a .npz"),
        (b"x,y", "not a .npz"),
        (whole[: len(whole) // 2], "not a .npz"),
        ((tmp_path / "b.npy").read_bytes(), "a single array"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=message):
            data.open_data(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", "text")
        archive.writestr("y", "text")
    with pytest.raises(DataError, match=r"x is .*of numbers"):
        data.open_data(file)


@pytest.mark.slow
def test_damage_in_an_npz_is_a_data_error_or_none(tmp_path, notes):
    file = tmp_path / "a.npz"
    np.savez_compressed(file, x=X[:40], y=Y[:40])
    whole = np.frombuffer(file.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 4)] = rng.integers(0, 256, 4)
        file.write_bytes(damaged.tobytes())
        with contextlib.suppress(DataError):
            data.open_data(file, on_note=notes.append)


@pytest.mark.parametrize(
    "classes", [{"a", "b"}, {"a": 1, "b": 0}, (name for name in "ab"), "ab", 2, [0, 1], np.array([0, 1])]
)
def test_names_of_classes_without_an_order_of_their_own_are_refused(classes):
    with pytest.raises(DataError, match="expected a list of text, one for each label"):
        data.from_arrays(X, Y % 2, classes=classes)


def test_options_and_names_may_be_numpys():
    asked = {"seed": 3, "image_size": 9, "channels": 3, "test_fraction": 0.25}
    given = {name: np.array(value)[()] for name, value in asked.items()}
    found = data.from_arrays(X, Y % 2, classes=np.array(["even", "odd"]), **given)
    assert found.sha256 == data.from_arrays(X, Y % 2, classes=["even", "odd"], **asked).sha256
