import os
import random
import shutil
import threading
import warnings

import numpy as np
import pytest
from picture_files import CHINA, FLOWER, digit_folder, save, touch_back

from jaxd2l import data
from jaxd2l.data.own import cache
from jaxd2l.data.own.listing.folder import list_folder
from jaxd2l.data.own.open import read
from jaxd2l.data.own.read import Room
from jaxd2l.data.own.settings import Settings
from jaxd2l.machine import memory


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Grey and colour, four formats, several sizes."""
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    root = digit_folder(tmp_path / "set", classes=3, each=4)
    for row, suffix in enumerate(("jpg", "webp", "bmp", "gif", "png")):
        save(CHINA[: 20 + 3 * row, : 30 + row], root / "china" / f"{row}.{suffix}")
        save(FLOWER[: 40 - 3 * row, : 30 + row], root / "flower" / "inside" / f"{row}.{suffix}")
    return root


def assert_same(a: data.Dataset, b: data.Dataset):
    for part in ("train", "test"):
        for x, y in zip(getattr(a, part), getattr(b, part), strict=True):
            np.testing.assert_array_equal(x, y)
    assert (a.name, a.classes, a.sha256) == (b.name, b.classes, b.sha256)


def kept(tmp_path):
    return sorted((tmp_path / "cache" / "pictures").iterdir())


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_file_system_does_not_matter(folder, monkeypatch, seed):
    expected = data.open_data(folder, cache=False)
    listed = os.scandir

    class Shuffled(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def shuffled(path):
        with listed(path) as entries:
            return Shuffled(random.Random(seed).sample(found := list(entries), len(found)))

    monkeypatch.setattr(os, "scandir", shuffled)
    assert_same(data.open_data(folder, cache=False), expected)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_does_not_matter(folder, threads):
    expected = data.open_data(folder, cache=False)
    assert_same(read(list_folder(folder), Settings(cache=False, threads=threads)), expected)


def test_the_cache_does_not_matter_and_spares_decoding(folder, tmp_path, monkeypatch):
    expected = data.open_data(folder, cache=False)
    assert not (tmp_path / "cache").exists()
    assert_same(data.open_data(folder), expected)
    assert len(kept(tmp_path)) == 1
    monkeypatch.setattr("jaxd2l.data.own.read.decode", None)
    monkeypatch.setattr("jaxd2l.data.own.read.read_header", None)
    told = []
    assert_same(data.open_data(folder, on_progress=lambda *now: told.append(now)), expected)
    assert told == [(22, 22)]


def test_another_split_needs_no_decoding(folder, monkeypatch):
    first = data.open_data(folder)
    monkeypatch.setattr("jaxd2l.data.own.read.decode", None)
    second = data.open_data(folder, seed=1, test_fraction=0.5)
    assert first.sha256 != second.sha256
    assert len(second.test.x) == 10  # half of 4, 4, 4, 5 and 5


@pytest.mark.slow
@pytest.mark.parametrize("change", ["content", "more", "fewer", "renamed", "moved", "same size and time"])
def test_data_that_changed_are_read_anew(folder, tmp_path, change):
    path = save(CHINA[:8, :8, 0], folder / "0" / "new.bmp")
    touch_back(path)
    before = data.open_data(folder)
    if change == "content":
        save(FLOWER[:8, :8, 0], path)
    elif change == "more":
        save(FLOWER[:8, :8, 0], folder / "0" / "newer.bmp")
    elif change == "fewer":
        path.unlink()
    elif change == "renamed":
        (folder / "1").rename(folder / "one")
    elif change == "moved":
        path.rename(folder / "1" / "new.bmp")
    else:
        save(255 - CHINA[:8, :8, 0], path)
        touch_back(path)
    after = data.open_data(folder)
    assert before.sha256 != after.sha256
    assert_same(after, data.open_data(folder, cache=False))
    assert len(kept(tmp_path)) == 1  # of a folder that changes, one file stays


def test_settings_have_files_of_their_own(folder, tmp_path):
    for options in ({}, {"image_size": 8}, {"image_size": 8, "channels": 1}, {"channels": 3}):
        found = data.open_data(folder, **options)
        assert_same(data.open_data(folder, **options), found)
    assert len(kept(tmp_path)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("place", [0.0, 0.002, 0.1, 0.5, 0.99])
def test_a_damaged_cache_is_not_believed(folder, tmp_path, place):
    expected = data.open_data(folder)
    (file,) = kept(tmp_path)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    assert_same(data.open_data(folder), expected)
    file.write_bytes(content[: int(place * len(content))])
    assert_same(data.open_data(folder), expected)


@pytest.mark.slow
def test_damage_anywhere_in_the_cache_is_not_believed(folder, tmp_path):
    expected = data.open_data(folder)
    (file,) = kept(tmp_path)
    content = np.frombuffer(file.read_bytes(), np.uint8)
    head = content.tobytes().index(b"NUMPY") + 1000  # where the sizes and types stand
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = content.copy()
        damaged[rng.integers(0, head, 2)] ^= rng.integers(1, 256, 2, dtype=np.uint8)
        file.write_bytes(damaged.tobytes())
        assert data.open_data(folder).sha256 == expected.sha256


def test_a_cache_that_cannot_be_written_is_no_error(folder, tmp_path, monkeypatch):
    expected = data.open_data(folder, cache=False)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "file"))
    assert_same(data.open_data(folder), expected)
    monkeypatch.delenv("JAXD2L_CACHE_DIR")
    monkeypatch.setattr(cache, "user_cache", lambda: None)  # a user without a home
    assert cache.cache_dir() is None
    assert_same(data.open_data(folder), expected)


def test_a_cache_that_fails_half_way_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    data.open_data(folder)
    assert kept(tmp_path) == []


def test_unreadable_pictures_are_remembered(folder, monkeypatch):
    (folder / "0" / "bad.png").write_bytes(b"")
    notes = []
    first = data.open_data(folder, skip_unreadable=True, on_note=notes.append)
    monkeypatch.setattr("jaxd2l.data.own.read.decode", None)
    assert_same(data.open_data(folder, skip_unreadable=True, on_note=notes.append), first)
    assert len(notes) == 2
    assert notes[0] == notes[1]
    with pytest.raises(data.UnreadableError, match=r"0/bad\.png"):
        data.open_data(folder)


def test_digests_change_with_a_picture_a_label_or_the_classes(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy" / "set")
    first, copy = data.open_data(folder), data.open_data(tmp_path / "copy" / "set")
    assert first.sha256 == copy.sha256  # the place does not count
    assert len(dict(first.sha256)) == 5
    (folder / "0").rename(folder / "zero")
    assert dict(data.open_data(folder).sha256)["classes"] != dict(copy.sha256)["classes"]


def test_progress_counts_to_the_end(folder):
    told = []
    data.open_data(folder, cache=False, on_progress=lambda *now: told.append(now))
    assert told == [(done, 22) for done in range(1, 23)]


def test_an_interrupt_ends_the_reading(folder):
    def interrupt(done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.open_data(folder, on_progress=interrupt)
    assert len(data.open_data(folder).classes) == 5


def test_warnings_of_pillow_do_not_escape(folder):
    from PIL import Image

    palette = Image.fromarray(CHINA[:8, :8]).quantize(4)
    palette.save(folder / "0" / "a.png", transparency=bytes([0, 10, 200, 255]))  # Pillow advises RGBA
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\0\x01"  # Pillow warns of corrupt EXIF
    Image.fromarray(CHINA[:8, :8]).save(folder / "0" / "b.jpg", exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.open_data(folder, cache=False)


@pytest.mark.slow
def test_a_run_trains_on_what_was_read(tmp_path):
    import dataclasses

    from jaxd2l.recipes import find
    from jaxd2l.train import fit

    found = data.open_data(digit_folder(tmp_path / "set", classes=10, each=20), cache=False, channels=1, image_size=28)
    recipe = dataclasses.replace(find("softmax"), epochs=12, batch_size=20)
    run = fit(recipe, found, seed=0)
    assert run.epochs[-1].train_accuracy > 0.8
    assert run.epochs[-1].test_accuracy > 0.6


def test_what_a_control_group_allows_bounds_what_is_read(folder, tmp_path, monkeypatch):
    """Pictures and arrays alike: at most half of what is left."""
    n, side = 22, 50
    np.savez(
        tmp_path / "a.npz",
        x=np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8),
        y=np.arange(n) % 2,
    )
    monkeypatch.setattr(memory, "_control_groups", lambda: iter([2 * n * side * side * 3 + 2000]))
    data.open_data(folder, image_size=side, channels=3)
    data.open_data(tmp_path / "a.npz", on_note=print)
    monkeypatch.setattr(memory, "_control_groups", lambda: iter([2 * n * side * side * 3 - 2]))
    with pytest.raises(
        data.DataError, match=r"22 pictures of 50 x 50 x 3 bytes take .* half of the memory that is left"
    ):
        data.open_data(folder, image_size=side, channels=3, cache=False)
    with pytest.raises(data.DataError, match=r"a.npz: the arrays take .* half of the memory that is left"):
        data.open_data(tmp_path / "a.npz")


def test_threads_never_hold_more_than_there_is_and_a_giant_is_alone():
    room, lock, held, most = Room(10), threading.Lock(), [], []

    def work(size):
        with room.taken(size):
            with lock:
                held.append(size)
                most.append(sum(held) if len(held) > 1 else min(sum(held), 10))
            with lock:
                held.remove(size)

    threads = [threading.Thread(target=work, args=(size,)) for size in (3, 4, 100, 5, 2, 10, 7) * 9]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(most), held) == (63, [])
    assert max(most) <= 10


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_share_that_a_test_part_leaves_without_effect_is_said(kind, folder, tmp_path):
    notes = []
    if kind == "npz":
        x, y = np.zeros((4, 5, 5), np.uint8), np.arange(4) % 2
        x[range(4), range(4)] = 9
        np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x + 1, y_test=y)
    else:
        names = sorted(f"{path.parent.name}/{path.name}" for path in folder.glob("[01]/*"))
        lines = [f"{name},{name[0]},{('train', 'test')[row % 2]}" for row, name in enumerate(names)]
        (folder / "a.csv").write_text("\n".join(["file,label,split", *lines]), encoding="utf-8")
    where = {"csv": folder, "npz": tmp_path}[kind] / f"a.{kind}"
    data.open_data(where, on_note=notes.append, cache=False)
    assert not [line for line in notes if "test_fraction" in line]
    data.open_data(where, test_fraction=0.5, on_note=notes.append, cache=False)
    assert [line for line in notes if "test_fraction" in line] == [
        "a: the data have a test part, so test_fraction 0.5 holds nothing out"
    ]
