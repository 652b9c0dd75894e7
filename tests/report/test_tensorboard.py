import importlib.util
import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

from jaxd2l import run_folder
from jaxd2l.cli import main

SMALL = ["train", "linear", "--epochs", "2", "--limit-train", "40", "--limit-test", "11", "--no-report"]


def events_in(folder):
    """The values of all events by tag and step; a record is its length, a checksum, itself, a checksum."""
    found = {}
    for file in folder.iterdir():
        data = file.read_bytes()
        while data:
            length = struct.unpack("<Q", data[:8])[0]
            event = Event.FromString(data[12 : 12 + length])
            found |= {(value.tag.split("/text_summary")[0], event.step): value for value in event.summary.value}
            data = data[16 + length :]
    return found


@pytest.mark.slow
def test_every_figure_of_every_epoch_the_configuration_and_the_curves_are_written(tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "run"), "--tensorboard"]) == 0
    assert f"tensorboard: {tmp_path / 'tensorboard' / 'run'}" in capsys.readouterr().out
    found = events_in(tmp_path / "tensorboard" / "run")
    for row in run_folder.read_metrics(tmp_path / "run"):
        for tag, name in (("train/loss", "train_loss"), ("test/loss", "test_loss"), ("learning_rate",) * 2):
            assert found[tag, row["epoch"]].simple_value == pytest.approx(row[name], rel=1e-6)
    assert found["curves", 2].image.encoded_image_string.startswith(b"\x89PNG")
    assert b"learning_rate" in found["configuration", 0].tensor.string_val[0]
    assert main([*SMALL, "--out", str(tmp_path / "run"), "--resume"]) == 0, "the run's folder is its own"


def test_what_cannot_be_written_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    (tmp_path / "file").touch()
    for folder, code, words in ((run / "events", 2, "its own files alone"), (tmp_path / "file", 74, "is a file")):
        assert main([*SMALL, "--out", str(run), "--tensorboard", str(folder)]) == code
        assert words in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([*SMALL, "--out", str(run), "--tensorboard"]) == 2
    assert "pip install 'jaxd2l[tensorboard]'" in capsys.readouterr().err
    assert not run.exists()
