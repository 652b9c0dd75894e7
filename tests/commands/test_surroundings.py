"""Commands where stdout, stderr, home, caches, folders or the platform are not what they usually are."""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxd2l.cli import main
from jaxd2l.cli.arguments import NAMES
from jaxd2l.cli.explain import explain, raised_here
from jaxd2l.cli.output import PatientStream
from jaxd2l.cli.parser import build_parser
from jaxd2l.cli.signals import StopSignals

FILES = {"config.json", "environment.json", "metrics.jsonl", "weights.safetensors"}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _shell(line):
    """Run a line in which `jaxd2l` is this project's."""
    line = line.replace("jaxd2l ", f"'{sys.executable}' -m jaxd2l ", 1)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, errors="surrogateescape")


def _command(arguments, **environment):
    program = [sys.executable, "-m", "jaxd2l", *arguments.split()]
    return subprocess.run(program, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 0, ""),
        ("> /dev/full", 74, "cannot write the output: No space left on device"),
        ("2>&- >&- <&-", 0, ""),
    ],
)
def test_what_cannot_be_shown_is_a_code_and_at_most_a_line(redirection, code, said):
    done = _shell(f"jaxd2l list {redirection}")
    assert (done.returncode, len(done.stderr.splitlines())) == (code, int(bool(said)))
    assert said in done.stderr


def _assert_whole_run(folder):
    assert set(os.listdir(folder)) >= FILES
    with open(f"{folder}/metrics.jsonl", encoding="utf-8") as file:
        assert len(file.readlines()) == 3


@pytest.mark.slow
@pytest.mark.posix
def test_a_process_without_descriptors_loses_no_result():
    assert _shell("jaxd2l train linear --no-report --json --out run 2>&- >&- <&-").returncode == 0
    _assert_whole_run("run")


def _full():
    return os.open("/dev/full", os.O_WRONLY)


def _left():
    """A pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@contextlib.contextmanager
def _shown_on(descriptor, monkeypatch):
    """A stdout that cannot be written."""
    stream = os.fdopen(descriptor, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            stream.close()


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("stdout", [_full, _left])
def test_what_cannot_be_shown_stops_no_run_and_loses_no_result(stdout, monkeypatch):
    with _shown_on(stdout(), monkeypatch):
        assert main(["train", "linear", "--no-report", "--json", "--out", "run"]) == 74
    _assert_whole_run("run")


@pytest.mark.slow
@pytest.mark.posix
def test_a_sweep_and_a_reproduction_are_written_before_they_are_shown(monkeypatch):
    size = ["linear", "--seeds", "2", "--epochs", "1", "--no-report"]
    with _shown_on(_full(), monkeypatch):
        assert main(["sweep", *size, "--method", "loop", "--out", "sweep"]) == 74
        assert {"sweep.md", "sweep.json"} <= set(os.listdir("sweep"))
        assert main(["reproduce", *size, "--out", "table"]) == 74
        assert {"table.md", "results.json"} <= set(os.listdir("table"))


@pytest.mark.slow
def test_ascii_is_enough_to_show_everything(monkeypatch, capsys):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
    assert (
        main(["sweep", "linear", "--seeds", "2", "--epochs", "1", "--method", "loop", "--no-report", "--out", "sweep"])
        == 0
    )
    assert b" +/- " in shown.getvalue()
    assert " ± " in Path("sweep/sweep.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(
    "where",
    [
        {"HOME": None, "XDG_CACHE_HOME": None},
        {"XDG_CACHE_HOME": "/dev/null", "TMPDIR": "/nowhere", "COLUMNS": "1", "TERM": "dumb", "NO_COLOR": "1"},
    ],
    ids=lambda where: " ".join(where),
)
def test_a_cache_is_a_convenience(where):
    nobody = "import pwd, runpy, sys\ndef unknown(number): raise KeyError(number)\npwd.getpwuid = unknown\n"
    nobody += "sys.argv[0] = 'jaxd2l'\nrunpy.run_module('jaxd2l', run_name='__main__')"
    program = [sys.executable, "-c", nobody, "train", "linear", "--no-report", "--quiet", "--out", "run"]
    env = {n: v for n, v in ({**os.environ, **where}).items() if v is not None}
    env["JAX_ENABLE_COMPILATION_CACHE"] = "1"
    done = subprocess.run(program, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(os.listdir("run")) >= FILES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ("train linear --out run", {"JAX_PLATFORMS": "cuda"}),
        ("train linear --out run --device cpu", {"JAX_PLATFORMS": "cuda"}),
        ("list --json", {"JAX_ENABLE_X64": "maybe"}),  # without --json JAX is not asked
    ],
)
def test_a_platform_or_setting_that_is_not_there_is_one_line(arguments, environment):
    done = _command(arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    (name,) = environment
    assert name in done.stderr


@pytest.mark.slow
def test_without_jit_a_run_is_the_same_run_with_a_word():
    done = _command("train linear --quiet --out eager", JAX_DISABLE_JIT="1")
    assert done.returncode == 0
    assert "JAX_DISABLE_JIT has no effect here" in done.stderr
    assert main(["train", "linear", "--no-report", "--quiet", "--out", "usual"]) == 0
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("eager", "usual")]
    assert weights[0] == weights[1]


ANY = ["my run", "étude", "-run", "#1%20", "日本", "$(x)`"]
NOT_ON_WINDOWS = ["a?", "x" * 255, "a:b", "CON", "a.", "a "]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ANY, *(pytest.param(name, marks=pytest.mark.posix) for name in NOT_ON_WINDOWS)])
def test_the_name_of_a_folder_is_the_users(name):
    assert main(["train", "linear", "--epochs", "1", "--no-report", "--quiet", f"--out={name}"]) == 0
    assert main(["check", f"./{name}"]) == 0


@pytest.mark.parametrize(
    ("name", "code"), [("a\nb", 2), ("a\rb", 2), ("a\udcffb", 2), ("x" * 256, 74), ("a\u2028b", 2)]
)
def test_a_name_that_breaks_lines_or_cannot_be_written_is_one_line(name, code, capsys):
    assert main(["train", "linear", "--no-report", "--quiet", f"--out={name}"]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not os.listdir()


def test_every_help_text_is_shown_as_it_is_meant(capsys, monkeypatch):
    parser = build_parser()
    subparsers = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    assert len(subparsers.choices) == len(NAMES)
    for columns in ("1", "80", "10000", "many"):
        monkeypatch.setenv("COLUMNS", columns)
        for one in (parser, *subparsers.choices.values()):
            text = one.format_help()
            assert "%" not in text.replace("95%", "").replace("95\n", ""), "a per cent sign stands alone"
            assert "%(" not in text


def _library():
    json.loads("{")


def _on_our_line():
    from jaxd2l.commands.asked import settings

    settings.limited(None, 1, None)


def _ours():
    from jaxd2l.train import run_keys

    run_keys(-1)


@pytest.mark.parametrize(
    ("action", "code", "ours"), [(_library, 70, False), (_on_our_line, 70, False), (_ours, 2, True)]
)
def test_only_what_this_package_raises_is_wrong_use(action, code, ours, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises((ValueError, AttributeError)) as raised:
        action()
    assert raised_here(raised.value) == ours
    found, message = explain(raised.value)
    assert found == code
    if not ours:
        (details,) = tmp_path.glob("jaxd2l-*.txt")
        assert str(details) in message
        assert "Traceback" in details.read_text(encoding="utf-8")
        assert type(raised.value).__name__ in message


def test_an_unexpected_error_of_a_command_is_one_line_and_70(tmp_path, monkeypatch, capsys):
    def broken(args):
        return {}["key"]

    monkeypatch.setattr("jaxd2l.commands.list.run", broken)
    assert main(["list"]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert "unexpected KeyError: 'key'" in line


def test_a_stream_that_fails_once_is_left_alone_and_says_so():
    class Broken:
        encoding = "utf-8"
        calls = 0

        def write(self, text):
            self.calls += 1
            raise BrokenPipeError(32, "Broken pipe")

        def fileno(self):
            raise OSError

    broken = Broken()
    stream = PatientStream(broken)
    for _ in range(3):
        print("text", file=stream, flush=True)
    assert isinstance(stream.failure, BrokenPipeError)
    assert broken.calls == 1
    closed = PatientStream(None)
    print("text", file=closed, flush=True)
    assert closed.failure is None


SWALLOWED = """
import signal, sys, time
import jaxd2l.commands.list as command
import jaxd2l.cli as cli
def run(args):
    try:
        signal.raise_signal(int(sys.argv[2]))
    except BaseException:
        if sys.argv[1] == "lost":
            time.sleep(600)
        if sys.argv[1] == "turned":
            raise RuntimeError("a callback failed")
    return 0
command.run = run
cli.main = lambda argv, main=cli.main: main(["list"])
cli.process()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(15, 75), (2, 130)])
@pytest.mark.parametrize("how", ["lost", "turned", "done"])
def test_a_stop_that_a_library_swallows_stops_all_the_same(how, number, code):
    done = subprocess.run([sys.executable, "-c", SWALLOWED, how, str(number)], capture_output=True, text=True)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1


BREAK = """
import signal, sys
signal.SIGBREAK = signal.SIGUSR1  # what Windows has, under the number of one that it has not
import jaxd2l.commands.list as command
import jaxd2l.cli as cli
command.run = lambda args: signal.raise_signal(signal.SIGBREAK)
cli.main = lambda argv, main=cli.main: main(["list"])
cli.process()
"""


@pytest.mark.posix
def test_ctrl_break_stops_a_command_as_sigterm_does():
    done = subprocess.run([sys.executable, "-c", BREAK], capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)


def test_the_handlers_are_given_back():
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopSignals() as outer, StopSignals() as inner:
        assert inner is outer
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
