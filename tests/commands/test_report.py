import json
import shutil

import look_at_report
import pytest
from page_law import Page, broken

from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.data import DataError
from jaxd2l.recipes import find, load_data
from jaxd2l.report.write import (
    SWEEP,
    attempt,
    write_comparison,
    write_houses_report,
    write_results_report,
    write_run_report,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]

LIMITS = ("--limit-train", "40", "--limit-test", "24", "--batch-size", "8", "--quiet", "--no-report")


@pytest.fixture(scope="module")
def runs(unoptimised, tmp_path_factory):
    """A small run of a regression, a vector classifier, a convolution net and clips; made once, not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, epochs in (("linear", 2), ("mlp", 2), ("lenet_conv_relu", 1), ("conv3d", 2)):
        assert main(["train", name, "--epochs", str(epochs), *LIMITS, "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def copy(runs, tmp_path):
    """A run's folder that a test may change."""

    def copied(name):
        shutil.copytree(runs / name, tmp_path / name)
        return tmp_path / name

    return copied


def page_of(folder):
    text = write_run_report(folder).read_text(encoding="utf-8")
    assert broken(text) == []
    return Page(text)


WHOLE = ("could not be", "cannot be", "is missing", "is damaged")


def test_a_convolution_net_shows_everything(copy):
    folder = copy("lenet_conv_relu")
    page = page_of(folder)
    assert not [words for words in WHOLE if words in page.text]
    for words in (
        *("Curves", "published (notes)", "Learning rate in force: 0.9 in every epoch.", "One epoch is a point"),
        *("true \\ predicted", "right when named (precision)", "Expected calibration error", "ankle boot"),
        *("6 of 6 kernels of 5x5", "After Conv_0: 6 of 6 maps of 28x28", "After Conv_1: 16 of 16 maps of 10x10"),
        *("Units that never answer", "416,520 multiply-adds", "fashion_mnist", "SHA-256 of the data", "t10k-labels"),
        *("On all 24 test examples, with the weights after epoch 1.", "the published ones saw all"),
    ):
        assert words in page.text, words
    assert len([a for a in page.named("img") if "taken for" in a["alt"]]) <= 24
    rows = [row for row in page.text.split("\n") if row]
    assert rows
    assert (folder / "curves.svg").read_text(encoding="utf-8").startswith("<svg")
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_vector_network_has_no_maps_and_a_regression_has_residuals(copy):
    mlp = page_of(copy("mlp"))
    assert "Feature maps" not in mlp.text
    assert "Dense_0" in mlp.text
    linear = page_of(copy("linear"))
    assert "true - predicted" in linear.text
    assert "true \\ predicted" not in linear.text
    assert "there is nothing inside to show" in linear.text
    assert not [words for words in WHOLE for page in (mlp, linear) if words in page.text]


def test_clips_are_shown_as_strips_of_frames(copy):
    page = page_of(copy("conv3d"))
    wrong = [a for a in page.named("img") if "taken for" in a["alt"]]
    assert wrong
    assert {(a["width"], a["height"]) for a in wrong} == {(str(8 * 29 - 1), "28")}
    assert not [words for words in WHOLE if words in page.text]


def test_figures_of_the_page_are_those_of_the_run(copy):
    folder = copy("mlp")
    last = run_folder.read_metrics(folder)[-1]
    page = page_of(folder)
    assert f"{last['test_accuracy']:.3f}" in page.text
    wrong = round(24 * (1 - last["test_accuracy"]))
    assert f"{wrong} of 24 examples are named wrongly" in page.text


JUDGED = {"epoch": 2, "test_loss": "low", "test_accuracy": 10**400}


def spoil(folder, name, data):
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("metrics.jsonl", None, "metrics.jsonl is missing"),
        ("metrics.jsonl", b"", "No epoch is finished yet"),
        ("metrics.jsonl", b"\x00\xff{", "metrics.jsonl is whole up to line 0"),
        ("metrics.jsonl", b'{"epoch": 1}\n[1, 2]\n', "metrics.jsonl is whole up to line 1"),
        ("metrics.jsonl", b'{"epoch": 1, "train_loss": "<b>", "test_accuracy": 7, "seconds": 1e999}\n', "Curves"),
        ("metrics.jsonl", b'{"epoch": 1, "train_loss": 1, "learning_rate": "fast"}\n', "Learning rate in force: 0."),
        ("metrics.jsonl", b'{"epoch": 1, "learning_rate": 1%s}\n' % (b"0" * 400), "Learning rate in force: 0."),
        ("test.json", json.dumps(dict.fromkeys(("last", "best"), JUDGED)).encode(), "once, best weights (epoch 2)"),
        ("environment.json", None, "environment.json is missing"),
        ("environment.json", b"[]", "Configuration"),
        ("environment.json", b"{", "environment.json is damaged"),
        ("environment.json", b'{"sha256": 3, "started": {}, "device": "<script>"}', "<script>"),
        ("weights.safetensors", None, "no weights yet"),
        ("weights.safetensors", b"hello", "the weights cannot be used"),
    ],
)
def test_what_is_damaged_or_missing_is_a_sentence(copy, name, data, words):
    folder = copy("mlp")
    spoil(folder, name, data)
    assert words in page_of(folder).text


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "of_another_version"},
        {"recipe": None},
        {"dataset": "<script>alert(1)</script>"},
        {"epochs": "many", "seed": [1, {"a": "<b>"}], "limit_test": -3},
        {"learning_rate": "fast", "model": 7},
        {"limit_test": 10**9},
    ],
)
def test_a_configuration_of_another_version_still_gives_curves(copy, changes):
    folder = copy("mlp")
    config = run_folder.read_config(folder)
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    page = page_of(folder)
    assert "Mean loss of each epoch" in page.text
    assert "cannot be had" in page.text or "learning_rate" in page.text


def test_a_class_called_like_markup_shows_itself(copy):
    names = tuple(f"<script>alert({i})</script>" for i in range(10))
    folder = copy("lenet_conv_relu")
    data = load_data(find("lenet"))._replace(classes=names)
    text = write_run_report(folder, data=data).read_text(encoding="utf-8")
    assert broken(text) == []
    assert "<script>alert(3)</script>" in Page(text).text


def test_several_runs_are_compared(runs, tmp_path, capsys):
    out = tmp_path / "new" / "both.html"
    assert main(["report", str(runs / "mlp"), str(runs / "lenet_conv_relu"), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"report": str(out), "bytes": out.stat().st_size}
    text = out.read_text(encoding="utf-8")
    assert broken(text) == []
    for words in ("mlp (mlp)", "lenet_conv_relu (lenet_conv_relu)", "Test accuracy of every run", "learning_rate"):
        assert words in Page(text).text
    assert (tmp_path / "new" / "both.svg").exists()


def test_runs_whose_folders_are_called_alike_are_told_apart(copy, tmp_path):
    first = copy("mlp")
    shutil.copytree(first, tmp_path / "other" / "mlp")
    text = write_comparison([first, tmp_path / "other" / "mlp"], tmp_path / "c.html").read_text(encoding="utf-8")
    assert f"mlp ({tmp_path / 'other' / 'mlp'})" in Page(text).text


def test_settings_within_others_are_compared_one_by_one_and_shown_from_where_they_differ(copy, tmp_path):
    folders = [copy("mlp"), tmp_path / "other"]
    shutil.copytree(*folders)
    for folder, end in zip(folders, "ab", strict=True):
        config = json.loads((folder / "config.json").read_bytes())
        config["own_data"] = {"data": f"/{'long/' * 60}{end}", "channels": None, "target": "price"}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    text = write_comparison(folders, tmp_path / "c.html").read_text(encoding="utf-8")
    assert broken(text) == []
    assert "own_data.data" in text
    assert "own_data.target" not in text
    assert all(f"long/{end}</td>" in text for end in "ab")


def test_weights_that_a_run_does_not_keep_are_refused_before_its_page_is_replaced(copy, capsys):
    folder = copy("mlp")
    before = write_run_report(folder).read_bytes()
    assert main(["report", str(folder), "--weights", "ema"]) == 2
    assert "keeps no averaged weights" in capsys.readouterr().err
    assert (folder / "report.html").read_bytes() == before
    (folder / "best.safetensors").write_bytes(b"x")  # damage is told in the page
    assert main(["report", str(folder), "--weights", "best"]) == 0


def test_a_run_compared_with_itself_is_refused(runs, tmp_path, capsys):
    assert main(["report", str(runs / "mlp"), str(runs / "mlp"), "--out", str(tmp_path / "c.html")]) == 2
    assert "two different runs" in capsys.readouterr().err
    several = [str(runs / "mlp"), str(runs / "lenet_conv_relu")]
    assert main(["report", *several, "--weights", "best", "--out", str(tmp_path / "c.html")]) == 2
    assert "--weights best is about the page of one run" in capsys.readouterr().err


def test_a_sweep_shows_means_the_map_and_every_member(tmp_path, capsys):
    out = str(tmp_path / "sweep")
    line = ["sweep", "linear", "--epochs", "3", "--limit-train", "40", "--limit-test", "11", "--method", "vmap"]
    assert main([*line, "--seeds", "2", "--learning-rates", "0.03", "1e10", "--out", out, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["report", out, "--weights", "best"]) == 2
    assert "--weights best is about the page of one run" in capsys.readouterr().err
    assert main(["report", out]) == 0
    text = (tmp_path / "sweep" / "report.html").read_text(encoding="utf-8")
    assert broken(text) == []
    page = Page(text)
    assert "2/2 diverged" in page.text
    assert "rate 1e+10" in page.text
    label = page.named("svg")[0]["aria-label"]
    assert "rate 0.03, decay 0" in label


def test_a_reproduction_stands_beside_the_published_figures(tmp_path, capsys):
    out = tmp_path / "again"
    options = ["--epochs", "2", "--limit-train", "40", "--limit-test", "11", "--batch-size", "8", "--quiet"]
    assert main(["reproduce", "softmax", "linear", "--seeds", "2", *options, "--out", str(out)]) == 0
    assert main(["report", str(out)]) == 0
    text = (out / "report.html").read_text(encoding="utf-8")
    assert broken(text) == []
    for words in ("0.828 (zh)", "7,850", "softmax: test accuracy", "linear: test loss"):
        assert words in text, words


@pytest.mark.parametrize("name", ["sweep.json", "results.json"])
@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"a": [3]}', '{"points": [], "members": 3}'])
def test_damaged_results_are_one_line(tmp_path, capsys, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 65
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_wrong_use_is_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none")]) == 65
    assert "no such folder" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 65
    assert "no run folder" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_houses_shows_folds_ranking_and_residuals_and_its_page_is_written_again(tmp_path, capsys):
    import numpy as np

    from jaxd2l.experiments.houses import Outcome
    from jaxd2l.selection.grid import Point

    rng = np.random.default_rng(0)
    points = (Point(0.1), Point(0.2, 0.01), Point(0.3))
    scores = rng.uniform(0.1, 0.2, (3, 2, 5))
    scores[2] = np.nan
    price = rng.uniform(1e5, 4e5, 31)
    predicted = price * np.exp(rng.normal(0, 0.1, 31))
    chosen = Outcome("<mlp>", points[1], scores, 1, predicted, 0.1, 1.0, 2.0)
    peer = Outcome("ridge", None, scores[:1], 0, predicted, None, 0.0, 2.0)
    path = write_houses_report(
        tmp_path / "r.html", [chosen, peer], chosen, ["a & b"], points={"<mlp>": points}, test_price=price
    )
    text = path.read_text(encoding="utf-8")
    assert broken(text) == []
    page = Page(text)
    for words in (
        "<mlp> (chosen)",
        "fold 5",
        "weight decay 0.01",
        "diverged",
        "a & b",
        "31 points",
        "a price 10% above",
    ):
        assert words in text or words in page.text, words
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes(), "by houses.json alone"
    (tmp_path / "houses.json").write_text('{"chosen": 3, "outcomes": []}', encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 65
    assert "not what jaxd2l houses writes" in capsys.readouterr().err
    unknown = write_houses_report(tmp_path / "r.html", [chosen], chosen).read_text(encoding="utf-8")
    assert "are not known" in unknown
    assert broken(unknown) == []


def test_a_report_never_costs_a_run(tmp_path):
    path, warning = attempt(lambda: write_run_report(tmp_path))
    assert path is None
    assert "the run is kept" in warning
    with pytest.raises(DataError):
        write_run_report(tmp_path)
    with pytest.raises(OSError, match="sweep"):
        write_results_report(tmp_path, SWEEP)


def test_a_part_that_fails_takes_no_other_along(copy, monkeypatch):
    from jaxd2l.report import inspection
    from jaxd2l.report.page import answers

    def fail(*_, **__):
        raise RuntimeError("on <purpose>")

    monkeypatch.setattr(answers, "confidence", fail)
    monkeypatch.setattr(inspection, "units", fail)
    page = page_of(copy("lenet_conv_relu"))
    assert "this part could not be made (RuntimeError: on <purpose>)" in page.text
    assert "The units could not be computed: on <purpose>" in page.text
    assert "true \\ predicted" in page.text


def test_a_folder_with_a_report_is_still_a_run_folder(copy):
    folder = copy("mlp")
    write_run_report(folder)
    assert main(["train", "mlp", "--epochs", "3", *LIMITS, "--out", str(folder), "--resume"]) == 0
    assert main(["train", "mlp", "--epochs", "1", *LIMITS, "--out", str(folder), "--overwrite"]) == 0
    assert not (folder / "report.html").exists()  # of the run that is no more


def test_a_run_with_a_validation_part_shows_both_parts_and_what_the_average_did(tmp_path):
    train = ["train", "mlp", "--epochs", "2", *LIMITS, "--validation-fraction", "0.25", "--ema", "0.5"]
    assert main([*train, "--out", str(tmp_path / "run")]) == 0
    page = page_of(tmp_path / "run")
    assert not [words for words in WHOLE if words in page.text]
    for words in (
        *("validation accuracy", "best on validation", "once, best weights", "ema validation loss"),
        *("this run, average after it (2)", "best epoch of the average on validation", "chosen on the validation part"),
    ):
        assert words in page.text, words
    assert "flatters" not in page.text
    assert main(["train", "mlp", "--epochs", "1", *LIMITS, "--out", str(tmp_path / "other")]) == 0
    path = write_comparison([tmp_path / "run", tmp_path / "other"], tmp_path / "comparison.html")
    text = path.read_text(encoding="utf-8")
    assert broken(text) == []
    assert "on validation" in Page(text).text
    assert "Of averaged weights it is the average's." in Page(text).text


@pytest.mark.parametrize("name", ["lenet_conv_relu", "linear"])
def test_a_browser_finds_nothing_wrong_with_the_page_at_any_width_in_any_light(name, copy, browser, tmp_path):
    page = write_run_report(copy(name))
    assert look_at_report.look(browser, page, tmp_path) == []
    pictures = {path.suffix: path for path in tmp_path.glob(f"{name}-report*")}
    assert len(list(tmp_path.glob("*.png"))) == 4
    assert all(path.stat().st_size > 10_000 for path in pictures.values())
