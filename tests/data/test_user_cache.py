"""Where data sets and compiled programs are kept between runs, on every system."""

import sys
from pathlib import Path

import platformdirs
import pytest

from jaxd2l.data import download


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("JAXD2L_DATA_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_an_absolute_xdg_cache_home_wins_and_another_one_does_not_count(home, monkeypatch):
    own = download.user_cache()
    for name in ("", "relative", "./cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", name)
        assert download.user_cache() == own
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
    assert download.user_cache() == home / "elsewhere" / "jaxd2l"
    assert download.data_dir("mnist") == home / "elsewhere" / "jaxd2l" / "mnist"


def test_the_data_folder_wins_over_every_cache(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
    monkeypatch.setenv("JAXD2L_DATA_DIR", str(home / "data"))
    assert download.data_dir("mnist") == home / "data" / "mnist"


@pytest.mark.posix
def test_the_cache_is_where_it_was_before_platformdirs(home):
    place = "Library/Caches" if sys.platform == "darwin" else ".cache"
    assert download.user_cache() == home / place / "jaxd2l"


def test_asking_for_the_cache_makes_no_folder(home):
    assert download.user_cache() is not None
    assert not list(home.iterdir())


@pytest.mark.parametrize("answer", [RuntimeError("no home"), KeyError("no user"), Path("~/.cache/jaxd2l")], ids=str)
def test_without_a_home_there_is_no_cache_and_data_goes_to_the_temporary_files(answer, home, monkeypatch):
    def asked(name, appauthor):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(platformdirs, "user_cache_path", asked)
    monkeypatch.setattr("tempfile.tempdir", str(home / "temporary"))
    assert download.user_cache() is None
    assert download.data_dir("mnist").parent.parent == home / "temporary"
    assert download.data_dir("mnist").parent.name.startswith("jaxd2l")
