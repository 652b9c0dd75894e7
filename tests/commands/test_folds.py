"""`jaxd2l sweep --folds K`, on pictures and on a table of one's own."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from picture_files import digit_folder

from jaxd2l import recipes
from jaxd2l.cli import main
from jaxd2l.commands.asked.data import fitted
from jaxd2l.data import balanced_class_weights, channel_statistics, deal_out, fold_of, from_table, open_data
from jaxd2l.data.division.folds import fold_rows_out
from jaxd2l.data.own import OwnData
from jaxd2l.train import fit

pytestmark = pytest.mark.usefixtures("unoptimised")

SWEEP = ("--folds", "2", "--seeds", "1", "--epochs", "2", "--batch-size", "5", "--method", "loop")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.slow
def test_pictures_of_ones_own_are_cross_validated_as_fit_trains_on_the_rows_of_each_fold(tmp_path, capsys):
    where, out = digit_folder(tmp_path / "digits", classes=3, each=10), tmp_path / "out"
    options = ["--data", str(where), "--class-weights", "balanced", "--mixup", ".3", "--learning-rates", ".05", ".1"]
    command = ["sweep", "softmax", *SWEEP, *options, "--out", str(out), "--json"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "| seeds x folds |" in printed
    assert printed.count("a loop over one executable") == 1, "the first fold's way is every fold's"
    assert "is chosen on 2 folds; its test accuracy, judged once" in printed
    result = json.loads((out / "sweep.json").read_bytes())
    assert [(point["seeds"], point["folds"], point["last"]["n"]) for point in result["points"]] == [(2, 2, 2)] * 2
    members = [member for member in result["members"] if member["learning_rate"] == 0.1]
    assert [(member["fold"], member["seed"]) for member in members] == [(1, 0), (2, 0)]
    data = open_data(where)
    fold = deal_out(data, 2)
    for number, member in enumerate(members):
        part = fold_of(data, fold, number)
        base = recipes.fitted_to(recipes.find("softmax"), part, channel_statistics(part.train))
        weights = balanced_class_weights(part.train.y, 3)
        settings = {"epochs": 2, "batch_size": 5, "learning_rate": 0.1, "mixup": 0.3, "class_weights": weights}
        run = fit(dataclasses.replace(base, **settings), part, 0)
        assert [epoch.train_loss for epoch in run.epochs] == member["train_loss"]
        assert [epoch.validation_accuracy for epoch in run.epochs] == member["validation_accuracy"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "is chosen on 2 folds" in page
    assert main(command) == 0
    assert "fold 2 of 2: 2 members, 2 of them are there" in capsys.readouterr().out
    assert main([*command, "--split-seed", "1"]) == 65
    assert "split seed 0', asked is '1 of 2, split seed 1'" in capsys.readouterr().err


def test_a_batch_that_is_smaller_where_data_are_few_fits_into_every_fold(tmp_path):
    """Equal pictures stay in one fold, so that the first one may leave more to train on than another."""
    x, y = np.random.default_rng(0).integers(0, 256, (24, 4, 4), np.uint8), np.arange(24) % 2
    x[2:14:2] = x[2]
    np.savez(tmp_path / "few.npz", x_train=x, y_train=y, x_test=255 - x[:4], y_test=y[:4])
    own, base = OwnData(str(tmp_path / "few.npz")), recipes.find("softmax")
    found = [fitted(base, own, {"fold": (3, number), "split_seed": 0}, None, None) for number in range(3)]
    trained = [len(data.train.x) for _, data, _ in found]
    assert trained[0] > min(trained)
    assert {recipe.batch_size for recipe, _, _ in found} == {min(trained)}


@pytest.mark.slow
def test_the_transform_of_a_table_is_of_each_folds_own_training_rows(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=40).round(3), "b": rng.normal(50, 9, 40).round(2)})
    frame = frame.assign(kind=np.where(frame["a"] > 0, "up", "down"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    where, out = ["--data", str(tmp_path / "t.csv"), "--target", "kind"], tmp_path / "out"
    assert main(["sweep", "softmax", *SWEEP, *where, "--out", str(out), "--no-report", "--quiet"]) == 0
    members = json.loads((out / "sweep.json").read_bytes())["members"]
    for number, member in enumerate(members):
        table = from_table(
            tmp_path / "t.csv", "kind", learned_from=lambda y, number=number: fold_rows_out(y, 2, 0) != number
        )
        data = table.dataset
        fold = deal_out(data, 2)
        part = fold_of(data, fold, number)
        assert part.train.x.mean(0) == pytest.approx(0, abs=1e-6)
        base = recipes.fitted_to(recipes.find("softmax"), part)
        run = fit(dataclasses.replace(base, epochs=2, batch_size=5), part, 0)
        assert [epoch.train_loss for epoch in run.epochs] == member["train_loss"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--folds", "1"), "--folds must be at least 2"),
        (("--folds", "3", "--validation-fraction", ".2"), "give one"),
        (("--folds", "30", "--limit-train", "20"), "between 2 and the 20 training rows"),
    ],
)
def test_wrong_use_is_one_line(arguments, words, tmp_path, capsys):
    assert main(["sweep", "linear", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
