"""Pictures left on the disk: rows, parts, digests and statistics of decoded ones, read when they are needed."""

import errno
import io
import pickle
import threading
import warnings

import jax
import numpy as np
import pytest
from picture_files import CHINA, DIGIT_LABELS, DIGITS, FLOWER, digit_folder, save
from PIL import Image

from jaxd2l import data
from jaxd2l.data import DataError, UnreadableError, channel_statistics, hold_out
from jaxd2l.data.own import open as opening
from jaxd2l.data.own import read as reading
from jaxd2l.data.own.listing.folder import list_folder
from jaxd2l.data.own.settings import Settings
from jaxd2l.data.own.streamed import reader, seen
from jaxd2l.data.streaming import Course, OnDisk, Shuffled, on_disk, read_ahead
from jaxd2l.run_folder.settings import digest_of_rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Grey and colour, several sizes, and one picture twice."""
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    root = digit_folder(tmp_path / "set", classes=2, each=5)
    for row in range(5):
        save(CHINA[: 20 + 3 * row, : 30 + row], root / "china" / f"{row}.jpg")
        save(FLOWER[: 40 - 3 * row, : 30 + row], root / "flower" / f"{row}.png")
    save(FLOWER[:40, :30], root / "flower" / "again.png")
    return root


def parts(dataset):
    return [part for part in (dataset.train, dataset.test, dataset.validation) if part is not None]


def test_streamed_pictures_are_the_decoded_ones(folder):
    notes, again = [], []
    decoded = data.open_data(folder, on_note=notes.append)
    streamed = data.open_data(folder, on_note=again.append, stream=True)
    assert again == notes
    assert (streamed.classes, streamed.sha256) == (decoded.classes, decoded.sha256)
    divided = [parts(hold_out(found, 0.3, on_note=print)) for found in (decoded, streamed)]
    for a, b in zip(*divided, strict=True):
        assert isinstance(b.x, OnDisk)
        assert (b.x.shape, b.x.dtype, b.x.ndim, b.x.nbytes, len(b.x)) == (a.x.shape, a.x.dtype, 4, a.x.nbytes, len(a.x))
        np.testing.assert_array_equal(b.x, a.x)
        np.testing.assert_array_equal(b.x[-1], a.x[-1])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(b.x)).take(np.array([2, 0])), a.x[[2, 0]])
        np.testing.assert_array_equal(b.y, a.y)
        assert channel_statistics(b) == channel_statistics(a)


def test_what_was_named_from_one_working_folder_is_read_from_any(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    rows = [
        f"{folder.name}/{kind}/{row}.{end},{kind}"
        for kind, end in (("china", "jpg"), ("flower", "png"))
        for row in (0, 1)
    ]
    (folder.parent / "list.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    named = [data.open_data(name, on_note=print, stream=True) for name in (folder.name, "list.csv")]
    monkeypatch.chdir(folder / "china")
    for found in named:
        assert np.asarray(found.train.x).shape == found.train.x.shape


def test_what_was_seen_is_kept_for_the_next_start(folder, monkeypatch):
    first = data.open_data(folder, stream=True)
    monkeypatch.setattr(seen, "_look", None)
    assert data.open_data(folder, stream=True).sha256 == first.sha256
    monkeypatch.undo()
    save(DIGITS[7], folder / "0" / "new.png")
    assert len(data.open_data(folder, stream=True).train.x) > len(first.train.x)


def negative(file, _name):
    return 255 - np.asarray(Image.open(file).convert("RGB").resize((7, 7)))


def test_an_image_made_by_the_caller_is_the_same_from_the_disk_and_never_kept(folder):
    own = {"image_size": 7, "channels": 3, "on_note": print}
    plain = data.open_data(folder, stream=True, **own)  # its cache is not that of the others
    made = [data.open_data(folder, convert=negative, stream=stream, **own) for stream in (False, True)]
    assert made[0].sha256 == made[1].sha256 != plain.sha256
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made[1].train.x)), made[0].train.x)
    assert data.open_data(folder, stream=True, **own).sha256 == plain.sha256


class Failing(io.BytesIO):
    def read(self, *_):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("where", ["open", "read"])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_read_error_that_passes_is_not_remembered(folder, where, skip, stream):
    pictures = list_folder(folder)

    def failing(row):
        if row != 3:
            return pictures.open(row)
        return Failing(b"content") if where == "read" else Failing().read()

    settings = Settings(skip_unreadable=skip, stream=stream, on_note=print, image_size=8, channels=3)
    if skip:
        assert len(opening.read(pictures._replace(open=failing), settings).sha256)
    else:
        with pytest.raises(UnreadableError, match="input/output error"):
            opening.read(pictures._replace(open=failing), settings)
    found = opening.read(pictures, settings)
    assert len(found.train.x) + len(found.test.x) == len(pictures.names)


@pytest.mark.parametrize("stream", [False, True])
def test_a_size_that_was_chosen_without_a_picture_is_not_remembered(tmp_path, monkeypatch, stream):
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    for row in range(12):
        save(CHINA[:8, :8] if row == 3 else CHINA[row : row + 6, :10], tmp_path / "set" / str(row % 2) / f"{row}.png")
    pictures, asked = list_folder(tmp_path / "set"), []

    def failing_once(row):
        if pictures.names[row].endswith("3.png") and not asked:
            asked.append(row)
            raise OSError(errno.EIO, "Input/output error")
        return pictures.open(row)

    settings = Settings(stream=stream, on_note=print)
    assert opening.read(pictures._replace(open=failing_once), settings).train.x.shape[1:] == (6, 10, 3)
    assert opening.read(pictures, settings).train.x.shape[1:] == (6, 6, 3)


@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_that_is_not_there_is_remembered(folder, monkeypatch, stream):
    rows = [f"{path.relative_to(folder).as_posix()},{path.parent.name}" for path in sorted(folder.glob("*/*"))]
    (folder / "list.csv").write_text("\n".join(["file,label", *rows, "0/gone.png,0"]), encoding="utf-8")
    options = {"skip_unreadable": True, "stream": stream, "on_note": print}
    first = data.open_data(folder / "list.csv", **options)
    for module in (reading, seen):
        monkeypatch.setattr(module, "each_picture", None)
    assert data.open_data(folder / "list.csv", **options).sha256 == first.sha256


def test_threads_that_read_silence_pillow_and_nobody_else(folder, monkeypatch):
    palette = Image.fromarray(CHINA[:8, :8]).quantize(4)
    palette.save(folder / "0" / "a.png", transparency=bytes([0, 10, 200, 255]))  # Pillow advises RGBA
    read = data.open_data(folder, stream=True, cache=False).train.x.read
    began, ended, decode = threading.Event(), threading.Event(), reader.decode

    def overlapping(*args):
        if threading.current_thread().name == "first":
            assert began.wait(30)
        else:
            began.set()
            assert ended.wait(30)
        return decode(*args)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(np.arange(len(read._names)))
        monkeypatch.setattr(reader, "decode", overlapping)
        first, second = (
            threading.Thread(target=read, args=(np.array([0]),), name=name) for name in ("first", "second")
        )
        first.start()
        second.start()
        first.join(30)
        ended.set()
        second.join(30)
        with pytest.raises(UserWarning, match="of another"):
            warnings.warn("of another", stacklevel=1)


def test_kept_pictures_beyond_memory_are_not_loaded(folder, monkeypatch):
    data.open_data(folder)
    monkeypatch.setattr(reading, "free_host_bytes", lambda: 1000)
    monkeypatch.setattr(reading.cache, "load", None)
    with pytest.raises(DataError, match="more than half of the memory"):
        data.open_data(folder)
    assert isinstance(data.open_data(folder, stream=None).train.x, OnDisk)


def test_pictures_beyond_memory_are_streamed_where_that_is_allowed(folder, monkeypatch):
    monkeypatch.setattr(reading, "free_host_bytes", lambda: 1000)
    with pytest.raises(DataError, match="more than half of the memory"):
        data.open_data(folder)
    assert isinstance(data.open_data(folder, stream=None).train.x, OnDisk)


def test_a_size_that_no_picture_has_is_refused_before_anything_is_decoded(folder, monkeypatch):
    monkeypatch.setattr(reading, "decode", None)
    for stream in (None, True):
        with pytest.raises(DataError, match=r"10000000 x 10000000 pixels is larger than any that is read \(89 million"):
            data.open_data(folder, image_size=10_000_000, stream=stream)


def test_a_run_folder_tells_the_rows_of_pictures_by_reading_few_at_a_time(folder, monkeypatch):
    decoded, streamed = (data.open_data(folder, on_note=print, stream=stream) for stream in (False, True))
    monkeypatch.setattr(on_disk, "AT_A_TIME", 3 * decoded.train.x[0].nbytes)
    read, most = streamed.train.x.read, []
    for part in parts(streamed):
        part.x.read = lambda rows: most.append(len(rows)) or read(rows)
    assert digest_of_rows(streamed) == digest_of_rows(decoded)
    assert sum(most) == sum(len(part.x) for part in parts(decoded))
    assert max(most) <= 3


@pytest.mark.parametrize("after", ["changed", "damaged", "gone"])
def test_a_picture_that_is_another_one_when_it_is_read_is_refused(folder, after):
    found = data.open_data(folder, stream=True)
    place = folder / "0" / f"{np.flatnonzero(DIGIT_LABELS == 0)[0]}.png"
    if after == "changed":
        save(DIGITS[7], place)
    elif after == "damaged":
        place.write_bytes(place.read_bytes()[:60])
    else:
        place.unlink()
    with pytest.raises(DataError, match="put it back"):
        [np.asarray(part.x) for part in parts(found)]


def test_unreadable_pictures_are_refused_or_skipped_as_decoded_ones_are(folder):
    (folder / "0" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableError, match=r"bad\.png"):
        data.open_data(folder, stream=True)
    skipped = [data.open_data(folder, skip_unreadable=True, stream=stream, on_note=print) for stream in (False, True)]
    assert skipped[0].sha256 == skipped[1].sha256


@pytest.mark.slow
def test_worker_processes_read_the_same_batches_and_pass_their_errors_on(folder):
    found = data.open_data(folder, stream=True)
    order = Shuffled(jax.random.key(3, impl="threefry2x32"), np.arange(4), n=len(found.train.x), keep_last=True)
    course = Course(*found.train, order, steps=-(-len(found.train.x) // 4), passes=2)
    here, there = (read_ahead(course, 3, workers) for workers in (0, 1))
    place = folder / found.train.x.read._names[found.train.x.rows[0]]
    for _ in range(len(course) - 3):
        a, b = next(here), next(there)
        assert all(np.array_equal(a[name], b[name]) for name in ("rows", "x", "y"))
    here.close()
    there.close()
    place.unlink()
    broken = read_ahead(course, 0, 1)
    with pytest.raises(DataError, match="cannot be read any more"):
        list(broken)
    broken.close()
