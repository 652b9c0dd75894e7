import json
import os
import shutil

import numpy as np
import pytest
from picture_files import CHINA, DIGIT_LABELS, DIGITS, digit_folder, save

import jaxd2l
from jaxd2l.cli import main
from jaxd2l.data import channel_statistics, open_data
from jaxd2l.data.own import OwnData

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]
TRAIN = ("train", "softmax", "--no-report", "--epochs", "2", "--batch-size", "8", "--quiet")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXD2L_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`digits`, a folder of 3 classes, and `run`, trained on it."""
    folder = tmp_path_factory.mktemp("place")
    digit_folder(folder / "digits", classes=3, each=10)
    assert main([*TRAIN, "--data", str(folder / "digits"), "--out", str(folder / "run")]) == 0
    return folder


def answer(capsys, *arguments, code=0):
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def said(capsys, *arguments):
    """The exit code, and the one line on stderr but for notes."""
    code = main([*map(str, arguments)])
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("note:", "warning:"))]
    assert len(lines) == 1, lines
    return code, lines[0]


def test_a_run_on_a_folder_is_evaluated_from_any_working_folder(place, capsys, monkeypatch):
    last = jaxd2l.load_run(place / "run").epochs[-1]
    monkeypatch.chdir("/")
    found = answer(capsys, "evaluate", place / "run")
    assert (found["dataset"], found["examples"]) == ("digits", 6)
    assert found["test_loss"] == pytest.approx(last.test_loss, rel=1e-6)
    assert found["test_accuracy"] == last.test_accuracy


def test_streamed_pictures_train_the_same_run_and_go_on_with_it(place, capsys):
    folder = place / "streamed"
    command = [*TRAIN, "--data", place / "digits", "--out", folder, "--stream", "--workers", "0"]
    assert main([*map(str, command)]) == 0
    names = ("weights.safetensors", "config.json")
    assert all((place / "run" / name).read_bytes() == (folder / name).read_bytes() for name in names)
    assert main([*map(str, command), "--resume", "--epochs", "3"]) == 0
    assert main([*map(str, [*TRAIN, "--out", place / "run3", "--data", place / "digits", "--epochs", "3"])]) == 0
    assert (place / "run3" / names[0]).read_bytes() == (folder / names[0]).read_bytes()


def test_streaming_that_cannot_be_is_refused_in_a_line(place, capsys, monkeypatch):
    command = [*TRAIN, "--data", place / "digits", "--out", place / "none", "--stream"]
    assert said(capsys, *command, "--workers", "-1")[0] == 2
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, line = said(capsys, *command)
    assert code == 2
    assert "pip install 'jaxd2l[stream]'" in line
    assert not (place / "none").exists()


def test_the_network_and_its_preparation_follow_the_data(place):
    run, data = jaxd2l.load_run(place / "run"), open_data(place / "digits")
    assert run.classes == ("0", "1", "2")
    assert run.recipe.statistics == channel_statistics(data.train)
    assert run.recipe.image_size == 8
    assert run.params["Dense_0"]["kernel"].shape == (64, 3)
    assert not run.recipe.published
    prepared = np.asarray(run.recipe.prepare()(data.train.x))
    assert prepared.mean() == pytest.approx(0, abs=1e-5)
    assert prepared.std() == pytest.approx(1, abs=1e-5)
    assert run.evaluate()[1] == run.epochs[-1].test_accuracy


def test_a_run_that_goes_on_ends_bit_for_bit_as_an_unbroken_one(place, tmp_path):
    data = ("--data", str(place / "digits"))
    assert main([*TRAIN, *data, "--out", str(tmp_path / "whole"), "--epochs", "3", "--seed", "1"]) == 0
    assert main([*TRAIN, *data, "--out", str(tmp_path / "part"), "--epochs", "1", "--seed", "1"]) == 0
    assert (
        main(
            ["train", "softmax", "--no-report", "--epochs", "3", "--quiet", "--out", str(tmp_path / "part"), "--resume"]
        )
        == 0
    )
    assert (tmp_path / "part/weights.safetensors").read_bytes() == (tmp_path / "whole/weights.safetensors").read_bytes()


def test_data_that_moved_are_the_same_and_data_that_changed_are_named(place, tmp_path, capsys):
    digits, run = tmp_path / "under another name", tmp_path / "run"
    shutil.copytree(place / "digits", digits)
    shutil.copytree(place / "run", run)
    same = answer(capsys, "evaluate", run, "--data", digits)
    assert same["examples"] == 6
    more = ("train", "softmax", "--quiet", "--no-report", "--out", run, "--resume", "--epochs", "3")
    assert main([*map(str, more), "--data", str(digits)]) == 0
    assert json.loads((run / "config.json").read_text(encoding="utf-8"))["own_data"]["data"] == str(digits)
    save(DIGITS[np.flatnonzero(DIGIT_LABELS == 1)[30]], digits / "1" / "one_more.png")
    code, line = said(capsys, "evaluate", run)
    assert code == 65
    assert "25 training examples (were 24)" in line
    assert "training inputs" in line
    code, line = said(capsys, *more[:-1], "4")
    assert code == 65
    assert "25 training examples (were 24)" in line
    shutil.rmtree(digits)
    code, line = said(capsys, "evaluate", run)
    assert (code, "gone" in line, "--data" in line) == (65, True, True)
    assert said(capsys, *more) == (65, line.replace("evaluate", "train"))


def test_other_data_are_judged_whole_by_the_names_of_their_classes(place, tmp_path, capsys):
    other = digit_folder(tmp_path / "other", classes=3, each=7, first=40)
    shutil.rmtree(other / "0")
    found = answer(capsys, "evaluate", place / "run", "--data", other)
    run, data = jaxd2l.load_run(place / "run"), open_data(place / "digits")
    assert found["examples"] == 14
    x = np.concatenate([DIGITS[np.flatnonzero(k == DIGIT_LABELS)[40:47]] for k in (1, 2)])[..., None]
    examples = jaxd2l.Examples(x, np.repeat([1, 2], 7).astype(np.int32))
    loss, accuracy = run.evaluate(data._replace(test=examples))
    assert found["test_loss"] == pytest.approx(loss, rel=1e-6)
    assert found["test_accuracy"] == accuracy
    digit_folder(other, classes=4, each=2)
    code, line = said(capsys, "evaluate", place / "run", "--data", other)
    assert (code, "class 3 is none of" in line) == (65, True)


def test_a_picture_of_the_training_is_predicted_as_it_was_evaluated(place, capsys):
    run = jaxd2l.load_run(place / "run")
    files = sorted((place / "digits").rglob("*.png"))
    found = answer(capsys, "predict", place / "run", *files, "--top", 3)
    x = np.stack([DIGITS[int(file.stem)] for file in files])[..., None]
    logits = run.recipe.model.apply({"params": run.params}, run.recipe.prepare()(x), train=False)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for one, row in zip(found["pictures"], expected, strict=True):
        np.testing.assert_allclose([p["probability"] for p in one["predictions"]], np.sort(row)[::-1], rtol=1e-5)
        assert one["predictions"][0]["class"] == str(row.argmax())


def test_colour_and_oblong_pictures_train_and_are_predicted(tmp_path, capsys):
    for row in range(8):
        save(CHINA[row * 20 : row * 20 + 12, :18], tmp_path / "c/sky" / f"{row}.jpg")
        save(CHINA[row * 20 : row * 20 + 12, 300:318], tmp_path / "c/roof" / f"{row}.jpg")
    assert main([*TRAIN, "--data", str(tmp_path / "c"), "--out", str(tmp_path / "run"), "--augment", "flip"]) == 0
    run = jaxd2l.load_run(tmp_path / "run")
    assert run.recipe.image_size == (12, 18)
    assert run.params["Dense_0"]["kernel"].shape == (12 * 18 * 3, 2)
    assert answer(capsys, "evaluate", tmp_path / "run")["examples"] == 4
    found = answer(capsys, "predict", tmp_path / "run", tmp_path / "c/sky/0.jpg")
    assert found["input_shape"] == [12, 18, 3]
    grey = (*TRAIN, "--channels", "1", "--image-size", "10", "--data", str(tmp_path / "c"))
    assert main([*grey, "--out", str(tmp_path / "grey")]) == 0
    assert jaxd2l.load_run(tmp_path / "grey").params["Dense_0"]["kernel"].shape == (100, 2)


def test_many_runs_take_own_data(place, tmp_path, capsys):
    data = ("--data", place / "digits", "--epochs", 1, "--batch-size", 8, "--seeds", 2, "--quiet")
    sweep = ("sweep", "softmax", *data, "--no-report", "--method", "loop", "--out", tmp_path / "sweep")
    assert len(answer(capsys, *sweep)["points"]) == 1
    assert main(["report", str(tmp_path / "sweep")]) == 0
    rows = answer(capsys, "reproduce", "softmax", *data, "--no-report", "--out", tmp_path / "again")["rows"]
    assert rows[0]["seeds"] == 2
    other = digit_folder(tmp_path / "digits", classes=3, each=10, first=30)
    code, line = said(capsys, *sweep[:2], "--data", other, *sweep[4:])
    assert code == 65
    assert "was made with other data: training inputs, " in line, line


def test_cost_counts_the_network_for_the_data(place, capsys):
    found = answer(capsys, "cost", "softmax", "--data", place / "digits")
    assert found["parameters"] == 64 * 3 + 3
    assert found["macs"] == 64 * 3


def test_the_report_of_a_run_shows_its_class_names(place):
    assert main(["report", str(place / "run")]) == 0
    page = (place / "run/report.html").read_text(encoding="utf-8")
    assert "data cannot be had" not in page
    assert "confusion" in page


def test_what_is_read_from_stays_out_of_the_way_of_built_in_data(tmp_path, capsys):
    limits = ("--limit-train", "64", "--limit-test", "16", "--epochs", "1", "--batch-size", "32", "--quiet")
    assert main(["train", "softmax", "--no-report", *limits, "--out", str(tmp_path / "run")]) == 0
    config = json.loads((tmp_path / "run/config.json").read_text(encoding="utf-8"))
    assert not {"own_data", "statistics", "code"} & set(config)
    digits = digit_folder(tmp_path / "digits", classes=3, each=4)
    code, line = said(capsys, "evaluate", tmp_path / "run", "--data", digits)
    assert (code, "class 0, 1, 2 is none of" in line) == (65, True)
    code, line = said(
        capsys, "train", "softmax", "--no-report", *limits, "--out", tmp_path / "run", "--resume", "--data", digits
    )
    assert (code, "fashion_mnist" in line) == (2, True)


def test_a_table_is_judged_by_the_transform_of_its_training_rows(tmp_path, capsys):
    rng = np.random.default_rng(0)
    a, b = rng.normal(100, 20, 40), rng.choice(["x", "y"], 40)
    kind, price = np.where(a > 100, "high", "low"), 0.05 * a + (b == "x")
    rows = [f"{p:.3f},{q},{k},{v:.4f}" for p, q, k, v in zip(a, b, kind, price, strict=True)]

    def write(name, rows, columns):
        table = [line.split(",") for line in ("a,b,kind,price", *rows)]
        lines = [",".join(row[table[0].index(c)] for c in columns) for row in table]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    classes, numbers = write("c.csv", rows, ("a", "b", "kind")), write("n.csv", rows, ("a", "b", "price"))
    train = ("--epochs", "2", "--batch-size", "8", "--quiet", "--out")
    assert main(["train", "softmax", "--data", str(classes), "--target", "kind", *train, str(tmp_path / "c")]) == 0
    assert main(["train", "linear", "--data", str(numbers), "--target", "price", *train, str(tmp_path / "n")]) == 0
    same = answer(capsys, "evaluate", tmp_path / "c")
    assert (same["examples"], jaxd2l.load_run(tmp_path / "c").classes) == (8, ("high", "low"))
    assert answer(capsys, "evaluate", tmp_path / "c", "--data", classes)["examples"] == 8
    run, few = jaxd2l.load_run(tmp_path / "n"), write("few.csv", rows[:5], ("a", "b", "price"))
    assert (run.recipe.hits, run.params["Dense_0"]["kernel"].shape) == (None, (3, 1))
    table = run.config["own_data"]["table"]["numeric"][0]
    x = np.stack([(a[:5] - table["mean"]) / table["scale"], b[:5] == "x", b[:5] == "y"], 1)
    kernel, bias = run.params["Dense_0"]["kernel"], run.params["Dense_0"]["bias"]
    found = answer(capsys, "evaluate", tmp_path / "n", "--data", few)
    assert found["examples"] == 5
    assert found["test_loss"] == pytest.approx(
        float(((x @ kernel + bias)[:, 0] - price[:5]) ** 2 @ np.ones(5) / 10), rel=1e-3
    )
    for recipe, data, target, words in (
        ("softmax", numbers, "price", "use linear or mlp"),
        ("linear", classes, "kind", "use softmax or mlp"),
        ("mlp", classes, "colour", "no column 'colour'"),
        ("lenet", classes, "kind", "LeNet takes"),
    ):
        code, line = said(capsys, "train", recipe, "--data", data, "--target", target, *train, tmp_path / "no")
        assert (code in (2, 65), words in line) == (True, True), line
    code, line = said(capsys, "train", "mlp", "--data", classes, *train, tmp_path / "no")
    assert (code, "target" in line) == (65, True), line
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--data", "nowhere"), 74, "no such folder or file"),
        (("--data", "one"), 65, "the only class"),
        (("--data", "broken"), 65, "text.png"),
        (("--data", "digits", "--image-size", "0"), 2, "image_size"),
        (("--data", "digits", "--test-fraction", "1"), 2, "test_fraction"),
        (("--data", "digits", "--split-seed", "-1"), 2, "seed"),
        (("--data", "digits", "--dataset", "mnist"), 2, "--dataset"),
        (("--data", "digits", "--target", "price"), 65, "no table"),
        (("--data", "digits", "--task", "regression"), 2, "target"),
        (("--data", "digits", "--ignore", "id"), 2, "target"),
        (("--ignore", "id"), 2, "--data"),
        (("--data", "digits", "--batch-size", "1000"), 2, "batch size"),
        (("--data", "digits", "--epochs", "0"), 2, "epochs"),
        (("--split-seed", "3"), 2, "--data"),
        (("--test-fraction", "0.5"), 2, "--data"),
        (("--channels", "3"), 2, "--data"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_is_one_line_and_leaves_no_folder(place, tmp_path, capsys, monkeypatch, arguments, code, words):
    monkeypatch.chdir(place)
    if not os.path.exists("one"):
        digit_folder(place / "one", classes=1)
        (digit_folder(place / "broken", classes=2) / "1" / "text.png").write_text("no picture", encoding="utf-8")
    found = said(capsys, "train", "softmax", "--quiet", *arguments, "--out", tmp_path / "run")
    assert found[0] == code, found
    assert words in found[1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "words"), [("alexnet", "--image-size"), ("conv3d", "no pictures"), ("linear", "no pictures")]
)
def test_a_network_that_cannot_take_the_pictures_says_so_before_compiling(place, tmp_path, capsys, recipe, words):
    code, line = said(capsys, "train", recipe, "--data", place / "digits", "--out", tmp_path / "run")
    assert (code, words in line) == (2, True), line
    assert not (tmp_path / "run").exists()


def test_a_network_is_judged_by_one_class_and_by_fewer_pictures_than_its_run_took(place, tmp_path, capsys):
    """Neither what learning needs nor the run's own limit is about other data."""
    run = tmp_path / "run"
    assert main([*TRAIN, "--data", str(place / "digits"), "--limit-test", "5", "--out", str(run)]) == 0
    other = digit_folder(tmp_path / "other", classes=2, each=4, first=40)
    shutil.rmtree(other / "1")
    assert answer(capsys, "evaluate", run, "--data", other)["examples"] == 4
    assert answer(capsys, "evaluate", run, "--data", other, "--limit-test", "3")["examples"] == 3
    assert answer(capsys, "evaluate", run)["examples"] == 5
    digit_folder(other, classes=3, each=2, first=40)
    assert answer(capsys, "evaluate", run, "--data", other)["examples"] == 8


def test_a_table_is_transformed_by_the_rows_that_train_and_a_run_goes_on_by_its_own_transform(tmp_path, capsys):
    rows = [f"{i}.5,{'rare' if i == 30 else 'common' if i % 3 else 'other'},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["n,c,y", *rows]) + "\n", encoding="utf-8")
    own = ("--data", str(tmp_path / "t.csv"), "--target", "y", "--limit-train", "25", "--out", str(tmp_path / "run"))
    assert main([*TRAIN, *own, "--validation-fraction", "0.4"]) == 0
    run = jaxd2l.load_run(tmp_path / "run")
    kept = run.data()
    (number,) = run.config["own_data"]["table"]["numeric"]
    trained = number["mean"] + kept.train.x[:, 0] * number["scale"]
    assert (len(kept.train.x), number["mean"]) == (15, pytest.approx(trained.mean()))
    np.testing.assert_allclose(kept.train.x[:, 0].std(), 1, rtol=1e-5)
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    earlier = data_of_an_earlier_version(tmp_path / "t.csv")
    config["own_data"] |= {"table": earlier["table"], "sha256": earlier["sha256"]}
    del config["data"]["sha256"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert len(jaxd2l.load_run(tmp_path / "run").data().train.x) == 15
    assert answer(capsys, "evaluate", tmp_path / "run")["examples"] == 8


def data_of_an_earlier_version(table):
    """Its transform was fitted on all training rows."""
    own = OwnData(str(table), target="y")
    return own.record(own.read())
