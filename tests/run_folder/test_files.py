"""Files whole or not at all, also where Windows refuses what others have open, and names that it takes as they are."""

import os
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxd2l.commands import sweep
from jaxd2l.machine import disk
from jaxd2l.recipes import RECIPES
from jaxd2l.run_folder import default_path, files, write_atomically
from jaxd2l.run_folder.portable_names import require_writable_name, unportable
from jaxd2l.selection.grid import Point


def _refusing(times, winerror):
    """An `os.replace` that Windows refuses so many times; the calls it got."""
    replace, calls = os.replace, []

    def refused(source, target):
        calls.append(target)
        if len(calls) <= times:
            error = PermissionError(13, "Access is denied")
            error.winerror = winerror
            raise error
        replace(source, target)

    return refused, calls


@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_that_is_open_elsewhere_for_a_moment_is_replaced(winerror, tmp_path, monkeypatch):
    monkeypatch.setattr(disk.time, "sleep", lambda seconds: None)
    refused, calls = _refusing(len(disk._PAUSES_SECONDS), winerror)
    monkeypatch.setattr(os, "replace", refused)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(calls) == len(disk._PAUSES_SECONDS) + 1


@pytest.mark.parametrize(("winerror", "tries"), [(None, 1), (3, 1), (32, len(disk._PAUSES_SECONDS) + 1)])
def test_a_refusal_that_stays_is_an_error_with_the_files_name_and_changes_nothing(
    winerror, tries, tmp_path, monkeypatch
):
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(disk.time, "sleep", lambda seconds: None)
    refused, calls = _refusing(1000, winerror)
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="file"):
        write_atomically(tmp_path / "file", b"new")
    assert len(calls) == tries
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("old", [(), ("second",), ("first", "second")])
def test_of_files_that_belong_together_all_are_written_or_none(step, old, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for name in old:
        (tmp_path / name).write_bytes(b"old")
    work, calls = getattr(os, step), []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        work(*arguments)

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="second"):
        disk.write_together({first: b"new", second: b"new"})
    replaced = {"first": b"new"} if step == "replace" and "first" in old else {}  # which a place that is free never is
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {**dict.fromkeys(old, b"old"), **replaced}
    disk.write_together({first: b"both", second: b"of them"})
    assert (first.read_bytes(), second.read_bytes()) == (b"both", b"of them")


@pytest.mark.posix
def test_a_file_that_somebody_names_is_written_where_its_name_leads(tmp_path):
    real, link = tmp_path / "real" / "a.csv", tmp_path / "link.csv"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link.symlink_to(real)
    disk.write_named(link, b"new")
    assert (real.read_bytes(), link.is_symlink()) == (b"new", True)
    os.mkfifo(pipe := tmp_path / "pipe")
    read_end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        disk.write_named(pipe, b"new")
        assert os.read(read_end, 9) == b"new"
    finally:
        os.close(read_end)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "pipe", "real"]
    assert pipe.is_fifo()


@pytest.mark.posix
def test_a_file_that_is_open_already_is_written_where_it_stands(tmp_path):
    with (log := tmp_path / "log").open("ab") as file:
        file.write(b"before, ")
        file.flush()
        disk.write_named(Path(f"/dev/fd/{file.fileno()}"), b"named, ")
        file.write(b"after")
    assert log.read_bytes() == b"before, named, after"


NOT_AS_THEY_ARE = [
    "CON",
    "nul",
    "Com1.txt",
    "LPT9",
    "com¹",
    "AUX .x",
    "conin$",
    "a.",
    "a ",
    "ab:c",
    "a?",
    "a\tb",
    "a\\b",
]
AS_THEY_ARE = ["CONSOLE", "nullo", "com", "com10", "LPT", "a b", ".lock", ".", "..", "étude", "日本", "-run", "x" * 255]


def test_what_windows_makes_something_else_of_is_known():
    assert [name for name in NOT_AS_THEY_ARE if unportable(name) is None] == []
    assert [name for name in AS_THEY_ARE if unportable(name) is not None] == []


@pytest.mark.parametrize("before", ["", "runs/", "C:/users/", "//host/share/"])
def test_only_windows_refuses_a_name_and_says_which_part(before):
    for name in NOT_AS_THEY_ARE:
        path = PureWindowsPath(before + name + "/run")
        if name == "a\\b":
            continue  # there a path of two parts
        require_writable_name(path, windows=False)
        with pytest.raises(ValueError, match="which Windows cannot write"):
            require_writable_name(path, windows=True)
    for name in AS_THEY_ARE:
        require_writable_name(PureWindowsPath(before + name), windows=True)


@given(st.floats(0, 1e30), st.floats(0, 1e30), st.integers(0, 2**32 - 1))
def test_every_name_of_our_own_is_one_that_every_system_takes(learning_rate, weight_decay, seed):
    ours = {*files.FILES, files.CHECKPOINTS, files.DAMAGED, ".lock", *RECIPES}
    ours |= set(default_path("lenet", seed).parts)
    ours |= {sweep._name(Point(learning_rate, weight_decay), seed, part) for part in ("", "-fold3")}
    assert not [name for name in ours if unportable(name)]


def test_no_two_files_of_the_repository_differ_by_case_alone_and_all_names_are_portable():
    root = Path(__file__).parent.parent.parent
    kept = [p for part in ("jaxd2l", "tests", "scripts", "docs", "benchmarks") for p in (root / part).rglob("*")]
    names = [str(path.relative_to(root)) for path in kept if "__pycache__" not in path.parts]
    assert len({name.casefold() for name in names}) == len(names)
    assert not [path for path in kept if unportable(path.name)]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp", "a/", "./a", "../a", "a\0b"])
def test_a_recipe_whose_folder_would_lie_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match="is that of a folder too"):
        default_path(name, 0)
    assert default_path("a b..", 0).parts[:2] == ("runs", "a b..")
