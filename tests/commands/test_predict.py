import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

import jaxd2l
from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.commands.predict import picture_files
from jaxd2l.data import load
from jaxd2l.data.own.listing.folder import EXTENSIONS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A softmax regression that knows a little of Fashion-MNIST."""
    folder = tmp_path_factory.mktemp("predict") / "run"
    limits = ("--epochs", "1", "--limit-train", "2000", "--limit-test", "100", "--quiet")
    assert main(["train", "softmax", "--no-report", *limits, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Test images 0 to 2 as they are, and enlarged on white in a folder below."""
    test = load("fashion_mnist").test.x
    (tmp_path / "pictures" / "below").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(test[i, ..., 0]).save(tmp_path / "pictures" / f"{i}.png")
        big = Image.fromarray(255 - test[i, ..., 0]).resize((280, 280))
        big.convert("RGB").save(tmp_path / "pictures" / "below" / f"{i}.JPG", quality=95)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture", encoding="utf-8")
    for name in (".0.png", "__MACOSX/0.png", "below/Thumbs.db"):
        (tmp_path / "pictures" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "pictures" / name).write_text("no picture", encoding="utf-8")
    return tmp_path / "pictures"


def answers(capsys, *arguments, code=0):
    assert main(["predict", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_test_image_gets_the_answer_it_got_in_evaluation(run, pictures, capsys):
    from jaxd2l.prediction import load_predictor

    predictor, frame = load_predictor(run)
    expected = predictor.predict_proba(load("fashion_mnist").test.x[:3])
    found = answers(capsys, run, *(pictures / f"{i}.png" for i in range(3)), "--top", "10")
    assert frame.dark
    assert found["dark_ground"]
    for one, row in zip(found["pictures"], expected, strict=True):
        named = {p["label"]: p["probability"] for p in one["predictions"]}
        np.testing.assert_allclose([named[i] for i in range(10)], row, atol=1e-6)
        assert one["predictions"][0]["probability"] == max(named.values())


def test_a_run_opened_again_answers_as_it_was_evaluated_by_one_executable(run, tmp_path):
    kept, test = jaxd2l.load_run(run), load("fashion_mnist").test
    labels = kept.predict(test.x[:100])
    assert (labels == test.y[:100]).mean() == pytest.approx(kept.epochs[-1].test_accuracy, abs=1e-6)
    np.testing.assert_array_equal(kept.predict_proba(test.x[:3], "best").argmax(-1), labels[:3])
    assert kept.predict(test.x[:0]).shape == (0,)
    assert len(kept.classes) == 10
    assert kept.predictor() is kept.predictor("last")
    with pytest.raises(ValueError, match="ema"):
        kept.predict(test.x[:1], "ema")
    with pytest.raises(ValueError, match="one image is a batch of one"):
        kept.predict(test.x[0])
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    with pytest.raises(jaxd2l.DataError, match="no weights yet"):
        jaxd2l.load_run(tmp_path).predict(test.x[:1])


def test_a_folder_is_searched_and_a_light_ground_inverted(run, pictures, capsys):
    found = answers(capsys, run, pictures)
    paths = [one["path"] for one in found["pictures"]]
    assert len(paths) == 6
    assert paths == sorted(paths)
    assert [one["inverted"] for one in found["pictures"]] == [".JPG" in path for path in paths]
    assert all(len(one["predictions"]) == 3 for one in found["pictures"])
    plain = answers(capsys, run, pictures / "below", "--invert", "no")
    assert not any(one["inverted"] for one in plain["pictures"])


def test_a_folder_gives_every_kind_of_picture_that_a_training_reads_and_nothing_hidden(tmp_path):
    names = {f"a/{number}{suffix.upper()}" for number, suffix in enumerate((*EXTENSIONS, ".tiff"))}
    for name in (*names, ".b.png", ".b/b.png", "@eaDir/b.png", "a/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert {path.relative_to(tmp_path).as_posix() for path in picture_files([tmp_path])} == names


def test_the_table_names_classes_and_says_what_was_done(run, pictures, capsys):
    assert main(["predict", str(run), str(pictures / "below" / "0.JPG"), "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert "inverted, because its border is light" in out
    assert any(name in out for name in load("fashion_mnist").classes)


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_answered(run, pictures, capsys):
    (pictures / "bad.png").write_bytes(b"hello")
    found = answers(capsys, run, pictures, code=65)
    assert len(found["pictures"]) == 6
    assert [one["path"] for one in found["failed"]] == [str(pictures / "bad.png")]
    assert main(["predict", str(run), str(pictures / "bad.png")]) == 65
    assert "0 of 1 picture can be read" in capsys.readouterr().err


def test_a_folder_of_pictures_is_evaluated_as_each_of_them_is_predicted(run, tmp_path, capsys):
    test, names = load("fashion_mnist").test, load("fashion_mnist").classes
    truth = []
    for i in range(12):
        image = Image.fromarray(test.x[i, ..., 0] if i % 3 else 255 - test.x[i, ..., 0])
        name = names[test.y[i]].replace("/", "-")
        (tmp_path / name).mkdir(exist_ok=True)
        if name in names:
            truth.append(int(test.y[i]))
            (image if i % 2 else image.resize((200, 300))).save(tmp_path / name / f"{i:02}.png")
    for folder in tmp_path.iterdir():
        if folder.name not in names:
            folder.rmdir()
    found = answers(capsys, run, tmp_path, "--top", "10")
    rows = [
        (one["path"].split("/")[-2], {p["class"]: p["probability"] for p in one["predictions"]})
        for one in found["pictures"]
    ]
    assert main(["evaluate", str(run), "--data", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    assert summary["examples"] == len(rows) == len(truth)
    assert summary["test_loss"] == pytest.approx(-np.mean([np.log(p[name]) for name, p in rows]), rel=1e-4)
    inverted = sum(one["inverted"] for one in found["pictures"])
    assert 0 < inverted < len(rows)
    assert f"note: {len(rows)} pictures are read as `jaxd2l predict` reads them: {inverted} inverted" in err
    (tmp_path / rows[0][0] / "bad.png").write_bytes(b"hello")
    assert main(["evaluate", str(run), "--data", str(tmp_path)]) == 65
    assert "bad.png (no picture that can be read" in capsys.readouterr().err


def test_wrong_use_is_one_line(run, pictures, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    image = pictures / "0.png"
    for arguments, code, words in (
        ((run, tmp_path / "none.png"), 74, "no such file"),
        ((run, tmp_path / "empty"), 65, "no picture in this folder"),
        ((run, image, "--top", "0"), 2, "--top"),
        ((tmp_path / "none", image), 65, "no such run folder"),
        ((pictures, image), 65, "no run folder"),
    ):
        assert main(["predict", *map(str, arguments)]) == code
        error = capsys.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1


def test_a_run_that_takes_no_pictures_says_so(run, pictures, tmp_path, capsys):
    said_of = ("model", "data", "loss", "hits")  # what a run says of its own network
    config = {name: value for name, value in run_folder.read_config(run).items() if name not in said_of}
    for recipe in ("linear", "conv3d"):
        (tmp_path / recipe).mkdir()
        changed = {**config, "recipe": recipe, "image_size": None, "dataset": None}
        (tmp_path / recipe / "config.json").write_text(json.dumps(changed), encoding="utf-8")
        assert main(["predict", str(tmp_path / recipe), str(pictures / "0.png")]) == 2
        assert "classifies no pictures" in capsys.readouterr().err


def test_predictions_of_pictures_are_written_as_a_table(run, pictures, tmp_path, capsys):
    out = tmp_path / "out.csv"
    found = answers(capsys, run, pictures, "--top", "10", "--out", out)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == [one["path"] for one in found["pictures"]]
    for row, one in zip(rows, found["pictures"], strict=True):
        named = {p["class"]: np.float32(p["probability"]) for p in one["predictions"]}
        assert {name: np.float32(row[f"probability_{name}"]) for name in named} == named
        assert (row["class"], np.float32(row["probability"])) == next(iter(named.items()))
    assert main(["predict", str(run), str(pictures), "--id", "picture"]) == 2
    assert "--id is about rows of a table" in capsys.readouterr().err


def test_a_picture_whose_name_is_no_utf8_has_its_line(run, pictures, tmp_path, capsys):
    folder, out = tmp_path / "named", tmp_path / "out.csv"
    folder.mkdir()
    try:
        (folder / os.fsdecode(b"caf\xe9.png")).write_bytes((pictures / "0.png").read_bytes())
    except OSError:  # a disk that takes UTF-8 alone has no such names
        return
    answers(capsys, run, folder, "--out", out)
    assert b"caf\xe9.png" in out.read_bytes()
