"""Runs that are killed, stopped, starved of disk or given damaged files: what they leave, and how they go on."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.data import Dataset, Examples
from jaxd2l.report.closing import at_chance
from jaxd2l.report.console import Console
from jaxd2l.train import EpochResult

REPOSITORY = Path(__file__).parent.parent
# 300 updates, then 30 of a network with dropout; with 0 s between checkpoints, one is begun whenever none is under way
LINEAR = ["train", "linear", "--no-report", "--checkpoint-every", "0", "--keep", "3"]
SIZE = ["--limit-train", "640", "--limit-test", "100", "--batch-size", "64", "--epochs", "3"]
DROPOUT = ["train", "dropout_mlp", "--no-report", *SIZE, "--checkpoint-every", "0"]


@pytest.fixture(scope="module", params=["linear", "dropout_mlp"])
def unbroken(request, tmp_path_factory):
    """The command of a run, its folder, and nothing happened to it."""
    command = {"linear": LINEAR, "dropout_mlp": DROPOUT}[request.param]
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert main([*command, "--quiet", "--out", str(folder)]) == 0
    return command, folder


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear") / "run"
    assert main([*LINEAR, "--quiet", "--out", str(folder)]) == 0
    return folder


@contextmanager
def something_at(epoch, step, action):
    """Call `action` once, when training has come to this step of this epoch."""
    with pytest.MonkeyPatch.context() as patch:
        left = [action]

        def progress(self, what, done, total):
            if left and (what, self._epoch) == ("train", epoch) and done >= step:
                left.pop()()

        patch.setattr(Console, "progress", progress)
        yield


def _stopped(command, folder, epoch, step, number=signal.SIGTERM):
    with something_at(epoch, step, lambda: signal.raise_signal(number)):
        return main([*command, "--quiet", "--out", str(folder)])


def _resume(command, folder, *more):
    return main([*command, "--quiet", "--out", str(folder), "--resume", *more])


def _line(capsys):
    """The one line on stderr."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def _assert_equal_ends(folder, expected):
    for name in ("weights.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    names = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")
    found, wanted = ([[row[n] for n in names] for row in run_folder.read_metrics(f)] for f in (folder, expected))
    assert found == wanted
    assert not [p for p in folder.rglob("*") if "tmp" in p.name or p.name.startswith(".w")], "nothing half written"
    assert main(["check", str(folder)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 75, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_stopped_run_is_saved_and_ends_as_the_unbroken_one(unbroken, number, code, word, tmp_path, capsys):
    command, expected = unbroken
    folder = tmp_path / "run"
    assert _stopped(command, folder, 2, 4, number) == code
    line = _line(capsys)
    assert word in line
    assert "1 of 3 epochs are kept" in line
    assert "--resume" in line
    assert main(["check", str(folder), "--json"]) == 0
    assert "unfinished (1 of 3 epochs)" in json.loads(capsys.readouterr().out.splitlines()[-1])["state"]
    assert main([*command, "--out", str(folder)]) == 2
    assert "unfinished run (1 of 3 epochs); go on with --resume" in _line(capsys)
    assert _resume(command, folder) == 0
    _assert_equal_ends(folder, expected)


@pytest.mark.slow
def test_a_resumed_run_needs_only_its_folder_and_refuses_other_settings(linear, tmp_path, capsys):
    folder = tmp_path / "run"
    assert _stopped([*LINEAR, "--seed", "5", "--learning-rate", "0.02"], folder, 1, 7) == 75
    capsys.readouterr()
    for other in (["--seed", "6"], ["--learning-rate", "0.03"], ["--batch-size", "20"], ["--limit-train", "900"]):
        assert _resume(["train", "linear", "--no-report"], folder, *other) == 2
        message = _line(capsys)
        assert other[0].strip("-").replace("-", "_") in message
        assert f"asked: {other[1]}" in message
    assert _resume(["train", "linear", "--no-report"], folder) == 0
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["seed"] == 5
    assert main(["train", "linear", "--no-report", "--out", str(folder), "--resume"]) == 0
    assert "is finished: 3 of 3 epochs" in capsys.readouterr().out
    assert _resume(["train", "linear", "--no-report"], folder, "--epochs", "2") == 2
    assert "has finished 3 epochs" in _line(capsys)


@pytest.mark.slow
def test_a_finished_run_can_be_made_longer(linear, tmp_path):
    folder, expected = tmp_path / "run", tmp_path / "expected"
    shutil.copytree(linear, folder)
    assert _resume(LINEAR, folder, "--epochs", "5") == 0
    assert main([*LINEAR, "--quiet", "--epochs", "5", "--out", str(expected)]) == 0
    _assert_equal_ends(folder, expected)


@pytest.mark.slow
def test_a_configuration_edited_afterwards_does_not_fit_its_checkpoints(tmp_path, capsys):
    folder = tmp_path / "run"
    assert _stopped(LINEAR, folder, 2, 7) == 75
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "learning_rate": 0.04}), encoding="utf-8")
    capsys.readouterr()
    assert _resume(["train", "linear", "--no-report"], folder) == 2
    assert "learning_rate 0.03 (asked: 0.04)" in _line(capsys)
    assert main(["check", str(folder)]) == 65


def test_a_configuration_that_does_not_say_what_was_trained_is_wrong(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"seed": 0}', encoding="utf-8")
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    assert main(["check", str(tmp_path)]) == 65
    said = capsys.readouterr().out
    assert "WRONG  config.json: does not say which recipe was trained" in said
    assert "go on with" not in said


def _newest(folder):
    return max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["flipped", "truncated", "deleted"])
def test_a_run_goes_back_over_a_damaged_checkpoint(damage, linear, tmp_path, capsys):
    folder = tmp_path / "run"
    assert _stopped(LINEAR, folder, 3, 50) == 75
    step = _newest(folder)
    file = max((p for p in step.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(file.read_bytes())
    if damage == "deleted":
        file.unlink()
    else:
        content[len(content) // 3] ^= 4
        file.write_bytes(content if damage == "flipped" else content[:-9])
    capsys.readouterr()
    assert main(["check", str(folder)]) == 65
    assert f"WRONG  checkpoints/{step.name}" in capsys.readouterr().out
    assert _resume(LINEAR, folder) == 0
    assert f"{step.name}: damaged" in _line(capsys)
    assert (folder / "damaged" / step.name).is_dir()
    _assert_equal_ends(folder, linear)


@pytest.mark.slow
def test_without_a_sound_checkpoint_nothing_is_restored(tmp_path, capsys):
    folder = tmp_path / "run"
    assert _stopped(LINEAR, folder, 2, 50) == 75
    for step in (folder / "checkpoints").iterdir():
        (step / "_CHECKPOINT_METADATA").write_bytes(b"\x80\x04pickle")
    for _ in range(2):
        assert _resume(LINEAR, folder) == 65
    assert "all are damaged" in capsys.readouterr().err
    assert main([*LINEAR, "--quiet", "--out", str(folder), "--overwrite"]) == 0


@pytest.mark.slow
def test_damaged_weights_and_torn_metrics_are_found_and_mended(linear, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(linear, folder)
    weights = bytearray((linear / "weights.safetensors").read_bytes())
    weights[-2] ^= 1  # the last number, which safetensors itself would read
    (folder / "weights.safetensors").write_bytes(weights)
    assert main(["evaluate", str(folder)]) == 65
    assert "do not agree with their SHA-256" in _line(capsys)
    assert main(["check", str(folder)]) == 65
    with open(folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"epoch": 4, "tra')
    assert _resume(LINEAR, folder) == 0
    _assert_equal_ends(folder, linear)


@pytest.mark.slow
def test_an_epoch_that_comes_out_differently_is_told_and_replaced(linear, tmp_path, capsys):
    folder = tmp_path / "run"
    assert _stopped(LINEAR, folder, 2, 50) == 75
    rows = run_folder.read_metrics(folder)
    shutil.rmtree(folder / "checkpoints")  # so it begins again, and finds epoch 1 there
    run_folder.write_metrics(folder, [{**rows[0], "train_loss": rows[0]["train_loss"] * 1.0000001}])
    capsys.readouterr()
    assert _resume(LINEAR, folder) == 0
    assert "epoch 1 came out differently" in _line(capsys)
    _assert_equal_ends(folder, linear)


@pytest.mark.slow
def test_a_second_run_in_the_folder_is_refused_with_the_process_of_the_first(linear, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(linear, folder)
    held = "import sys, pathlib; from jaxd2l.run_folder.lock import FolderLock\n"
    held += "with FolderLock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", held, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as other:
        assert other.stdout.readline() == b"held\n"
        for more in (["--resume"], ["--overwrite"], []):
            assert main([*LINEAR, "--out", str(folder), *more]) == 74
            assert f"in use by another run (process {other.pid})" in _line(capsys)
        assert main(["check", str(folder)]) == 0
        assert f"process {other.pid} is writing" in capsys.readouterr().out
        other.kill()
    assert _resume(LINEAR, folder) == 0, "the kernel frees the lock of a killed process"


@contextmanager
def files_no_larger_than(size):
    """What a full disk does to whoever writes: the write fails."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# The lists of a checkpoint's files take 2 KB, its arrays some 2 KB more, the weights 300 bytes.
@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("size", [100, 400, 1500])
def test_a_full_disk_ends_a_run_that_goes_on_when_there_is_room(size, linear, compiled_anew, tmp_path, capsys):
    folder = tmp_path / "run"
    assert _stopped(LINEAR, folder, 1, 50) == 75
    capsys.readouterr()
    with files_no_larger_than(size):
        assert _resume(LINEAR, folder) == 74
    assert str(folder) in _line(capsys)
    assert main(["check", str(folder)]) == 0
    assert _resume(LINEAR, folder) == 0
    _assert_equal_ends(folder, linear)


@contextmanager
def permissions_that_bind():
    """Permissions bind root too, once it gives up the capability to override them; CI runs as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~0b110  # effective: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@pytest.mark.slow
@pytest.mark.posix
def test_a_read_only_folder_is_one_line_and_stays_as_it_is(linear, tmp_path, capsys):
    folder = tmp_path / "below" / "run"
    shutil.copytree(linear, folder)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    folder.chmod(0o555)
    (folder / ".lock").chmod(0o444)
    folder.parent.chmod(0o555)
    try:
        with permissions_that_bind():
            for out, more in ((folder, ["--resume"]), (folder, ["--overwrite"]), (folder.parent / "new", [])):
                assert main([*LINEAR, "--quiet", "--out", str(out), *more]) == 74
                assert str(out) in _line(capsys)
            assert main(["check", str(folder)]) == 0, "reading needs no right to write"
    finally:
        folder.parent.chmod(0o755)
        folder.chmod(0o755)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.slow
def test_divergence_keeps_the_last_finite_weights(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main([*LINEAR, "--quiet", "--out", str(folder), "--learning-rate", "1e4"]) == 3
    line = _line(capsys)
    for word in ("epoch 1, step ", "gradient norm", "learning rate 10000", "--clip-norm 1", str(folder)):
        assert word in line
    tensors, epoch = run_folder.parse_weights((folder / "weights.safetensors").read_bytes(), "weights")
    assert epoch == 0
    assert all(np.isfinite(a).all() for a in tensors.values())
    assert main(["check", str(folder)]) == 0, "no checkpoint holds a non-finite number"


@pytest.mark.slow
def test_a_network_that_guesses_is_warned_about(tmp_path, capsys):
    command = ["train", "softmax", "--no-report", *SIZE, "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main([*command, "--learning-rate", "1e-9", "--deterministic"]) == 0
    assert "is that of a guess" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["deterministic"] is True


@pytest.mark.parametrize(("accuracy", "guessed"), [(1.0, False), (0.76, False), (0.75, True), (0.5, True)])
def test_few_examples_that_are_nearly_all_right_are_no_guess(accuracy, guessed):
    """Of four examples 3 standard errors are .75: all of them right would be called a guess."""
    part = Examples(np.zeros((4, 2), np.float32), np.array([0, 0, 1, 1], np.int32))
    last = EpochResult(1, 0.1, 1.0, 0.1, accuracy, 1.0, 4.0)
    assert bool(at_chance(Dataset("four", part, part, ("a", "b")), last)) == guessed


@pytest.mark.slow
def test_a_batch_that_memory_cannot_hold_is_foreseen(tmp_path, monkeypatch, capsys):
    free = iter([2**40, 3 * 2**20])  # before and after compiling
    monkeypatch.setattr("jaxd2l.commands.asked.devices.free_bytes", lambda: next(free))
    assert main([*DROPOUT, "--out", str(tmp_path / "run")]) == 2
    line = _line(capsys)
    assert "batch size 64 needs about" in line
    assert "--batch-size" in line or "no batch fits" in line
    assert not (tmp_path / "run").exists()


STOP = """
import hashlib, signal, sys, time
from jaxd2l.cli.signals import StopSignals
with StopSignals() as signals:
    signals.deferred = sys.argv[1] == "training"
    print("ready", flush=True)
    while signals.received is None and sys.argv[1] == "training":
        time.sleep(0.01)
    print(signals.received, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes of compiled code in which no Python handler can run
"""


@pytest.mark.slow
@pytest.mark.posix
def test_a_second_signal_ends_the_process_at_once_even_inside_compiled_code():
    command = [sys.executable, "-c", STOP, "training"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert "15" in process.stdout.readline(), "the first signal is recorded, and the process goes on"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_while_compiling_does_not_wait_for_the_compiler(number, code):
    command = [sys.executable, "-c", STOP, "compiling"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, cwd=REPOSITORY) as process:
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "None\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        assert "before the first update" in process.stderr.read()


@pytest.mark.slow
@pytest.mark.posix
def test_kills_at_random_moments_change_nothing(tmp_path):
    # 300 updates, and no data set that each start would unpack
    small = ["--epochs", "3", "--limit-train", "1000", "--batch-size", "10", "--folder", str(tmp_path)]
    command = [sys.executable, "scripts/kill_test.py", "--recipe", "linear", "--kills", "4", *small]
    # its programs are compiled here, for all the processes that are killed
    size = ["--limit-train", "1000", "--limit-test", "500", "--batch-size", "10", "--checkpoint-every", "0"]
    options = ["--epochs", "1", *size, "--quiet", "--no-report"]
    assert main(["train", "linear", *options, "--out", str(tmp_path / "first")]) == 0
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "summary.json")],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["kills"] == 4
    assert summary["ended_bit_identical"] == summary["runs"]


KILLED = """
import os, pathlib, signal, sys, time
from jaxd2l.cli import main
from jaxd2l.report.console import Console
def progress(self, what, done, total):
    while self._epoch == 2 and not any(p.name.isdigit() for p in pathlib.Path(sys.argv[-1], "checkpoints").glob("*")):
        time.sleep(0.01)
    if self._epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
Console.progress = progress
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.posix
def test_a_run_killed_when_a_checkpoint_is_there_goes_on_from_it(linear, tmp_path, capsys):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, *LINEAR, "--quiet", "--out", str(folder)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert main([*LINEAR, "--out", str(folder), "--resume"]) == 0
    assert "going on at epoch" in capsys.readouterr().out
    _assert_equal_ends(folder, linear)
