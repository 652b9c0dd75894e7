"""One run a folder: who holds it is known to whoever asks, whichever version of this library asks or holds."""

import os

import pytest

from jaxd2l.run_folder import FolderInUseError, FolderLock, holder, lock


def test_a_folder_is_held_by_one_and_everybody_is_told_by_which_process(tmp_path):
    assert holder(tmp_path) is None
    with FolderLock(tmp_path):
        for _ in range(2):
            assert holder(tmp_path) == os.getpid()
            with pytest.raises(FolderInUseError, match=rf"in use by another run \(process {os.getpid()}\); wait"):
                FolderLock(tmp_path).acquire()
    assert holder(tmp_path) is None
    with FolderLock(tmp_path):
        assert holder(tmp_path) == os.getpid()


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"9" * 40, b"-1", b"4194305000\n", b"1.5"])
def test_what_is_no_living_process_is_not_named(content, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_PAUSES_SECONDS", ())
    with FolderLock(tmp_path) as held:
        os.ftruncate(held._file, 0)
        os.lseek(held._file, 0, os.SEEK_SET)
        os.write(held._file, b" " + content)
        assert holder(tmp_path) == 0
        with pytest.raises(FolderInUseError, match=r"\(process unknown\)"):
            FolderLock(tmp_path).acquire()


def test_somebody_who_only_looks_keeps_nobody_out(tmp_path, monkeypatch):
    looking = FolderLock(tmp_path)
    looking.acquire()
    os.ftruncate(looking._file, 0)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: looking.release())
    with FolderLock(tmp_path):
        assert holder(tmp_path) == os.getpid()


@pytest.mark.posix
def test_a_holder_with_flock_alone_is_seen_and_sees_us(tmp_path):
    import fcntl

    with open(tmp_path / lock.LOCK, "w+b", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.write(f"{os.getpid()}\n".encode())
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(FolderInUseError, match=rf"process {os.getpid()}\)"):
            FolderLock(tmp_path).acquire()
        fcntl.flock(other, fcntl.LOCK_UN)
        with FolderLock(tmp_path):
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            assert os.pread(other.fileno(), 32, 0).strip() == str(os.getpid()).encode()
