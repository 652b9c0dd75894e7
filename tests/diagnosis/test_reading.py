"""Curves as people paste them: the same figures come out of every way of printing, or one line that says why not."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import jaxd2l.train.results as results
from jaxd2l.diagnosis import Curve, CurveError, read_curve

TWO = [[0.51, 0.81, 0.79], [0.42, 0.85, 0.8]]
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
PASTED = {
    **dict(
        block.split("\n", 1)
        for block in Path(__file__).with_name("pasted.txt").read_text(encoding="utf-8").split("== ")[1:]
    ),
    "in colours": f"Epoch 1/10\n{BOLD}1875/1875{PLAIN} {BOLD}4s{PLAIN} 2ms/step - accuracy: 0.81 - loss: 0.51 - "
    f"val_accuracy: 0.79 - val_loss: 0.4\nEpoch 2/10\n{BOLD}1875/1875{PLAIN} 4s 2ms/step - accuracy: 0.85 - "
    "loss: 0.42 - val_accuracy: 0.80 - val_loss: 0.4",
    "tabs": "loss\ttrain accuracy\ttest accuracy\n0.51\t0.81\t0.79\n0.42\t0.85\t0.80",
    "steps within an epoch": "Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.30\n"
    "Train Epoch: 1 [640/60000 (1%)]\tLoss: 0.51\tAcc: 0.81\n"
    "Test set: Average loss: 0.4, Accuracy: 7900/10000 (79%)\n"
    "Train Epoch: 2 [640/60000 (1%)]\tLoss: 0.42\tAcc: 0.85\n"
    "Test set: Average loss: 0.4, Accuracy: 8000/10000 (80%)",
    "lines that end otherwise": "0.51, 0.81, 0.79\r\n0.42, 0.85, 0.80\r\n",
    "bars over each other": "Epoch 1/2\n 1/9 - loss: 2.3 - accuracy: 0.1\x08\x089/9 - loss: 0.51 - accuracy: 0.81 - "
    "val_accuracy: 0.79\nEpoch 2/2\n9/9 - loss: 0.42 - accuracy: 0.85 - val_accuracy: 0.80",
    "backspaces and returns": "loss 0.51, train acc 0.81, test acc 0.79\x08\x08\r"
    "loss 0.42, train acc 0.85, test acc 0.80\r\n\r\n",
}


def test_the_same_figures_come_out_of_every_way_of_printing():
    wrong = []
    for name, text in PASTED.items():
        found = read_curve(text)
        if found.diverged or found.figures.shape != (2, 3) or not np.allclose(found.figures, TWO, atol=1e-12):
            wrong.append((name, found))
    assert not wrong
    assert len(PASTED) > 30


LINES = "epoch 1, loss 0.51, train acc 0.81, test acc 0.79; epoch 2, loss 0.42, train acc 0.85, test acc 0.80"


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES.replace("epoch 1, ", "").replace("epoch 2, ", ""),
        json.dumps([dict(zip(("loss", "acc", "val_acc"), row, strict=True)) for row in TWO]),
        json.dumps([{"train": {"loss": a, "acc": b}, "test": {"loss": 9, "acc": c}} for a, b, c in TWO]),
        " ".join(str({"loss": a, "acc": b, "val_acc": c, "epoch": i}) for i, (a, b, c) in enumerate(TWO, 1)),
        "Train: loss .51 acc .81 Test: loss 9 acc .79 Train: loss .42 acc .85 Test: loss 9 acc .8",
    ],
)
def test_epochs_that_stand_in_one_line_are_all_read(text):
    np.testing.assert_allclose(read_curve(text).figures, TWO)


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES.replace("; ", "\n"),
        "0.51 0.81 0.79\n0.42 0.85 0.80",
        "0.51;81%;79%\n0.42;85%;80%",
        "epoch  loss  train_acc  test_acc\n1  0.51  0.81  0.79\n2  0.42  0.85  0.80",
        "| loss | train acc | test acc |\n|---|---|---|\n| 0.51 | 0.81 | 0.79 |\n| 0.42 | 0.85 | 0.80 |",
        'loss,train acc,test acc\n"0.51","0.81","0.79"\n"0.42","0.85","0.80"',
        '{"loss": "5.1e-1", "acc": "81.0%", "val_acc": "0.79"}\n{"loss": "0.42", "acc": "85%", "val_acc": "0.80"}',
    ],
)
def test_a_decimal_comma_is_a_point(text):
    np.testing.assert_allclose(read_curve(text).figures, TWO)
    np.testing.assert_allclose(read_curve(re.sub(r"(\d)\.(\d)", r"\1,\2", text)).figures, TWO)


def test_a_comma_between_integers_is_no_point():
    assert read_curve("epoch,loss\n1,2\n2,1").figures[:, 0].tolist() == [2, 1]
    assert read_curve("1, 2, 3", columns=["epoch", "loss", "test"]).figures[0].tolist()[0] == 2
    assert read_curve("loss 1, train acc 48,600/60,000").figures[0, 1] == 0.81


@pytest.mark.parametrize(
    "text",
    [
        "Loss after epoch 1: 0.51\nAccuracy after epoch 1: 0.81\nTest accuracy after epoch 1: 0.79\n"
        "Loss after epoch 2: 0.42\nAccuracy after epoch 2: 0.85\nTest accuracy after epoch 2: 0.80",
        "loss (epoch 1/2): 0.51, acc 0.81, test acc 0.79\nloss (epoch 2/2): 0.42, acc 0.85, test acc 0.80",
        "loss 0.51\nAccuracy of the network on the 60000 training images: 81 %\n"
        "Accuracy of the network on the 10000 test images: 79 %\nloss 0.42\n"
        "Accuracy on 60,000 training images: 85 %\nAccuracy on all 10000 test images: 80 %",
        "loss .51 acc .81 test acc .79, acc per class [.9, .7]\nloss .42 acc .85 test acc .80, acc per class [.9, .7]",
        "train_loss [0.51, 0.42]\ntrain_acc [0.81, 0.85]\ntest_acc [0.79 0.80]",
        "{'loss': array([0.51, 0.42]), 'accuracy': np.array([0.81, 0.85]), 'val_accuracy': tensor([0.79, 0.80])}",
        '{"val_accuracy": 0.79, "val_loss": 9, "accuracy": 0.81, "loss": 0.51}\n'
        '{"val_accuracy": 0.80, "val_loss": 9, "accuracy": 0.85, "loss": 0.42}',
    ],
)
def test_a_number_beside_a_figure_is_not_taken_for_it(text):
    np.testing.assert_allclose(read_curve(text).figures, TWO)


def test_an_accuracy_without_a_part_is_of_the_part_before_it_where_no_accuracy_has_one():
    names, rows = ("epoch", "train_loss", "valid_loss", "accuracy"), [(i, a, 9, c) for i, (a, _, c) in enumerate(TWO)]
    table = "\n".join(" ".join(map(str, row)) for row in (names, *rows))
    dicts = [dict(zip(names, row, strict=True)) for row in rows]
    lists = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    lines = "\n".join(" ".join(f"{name} {value}" for name, value in row.items()) for row in dicts)
    for curve in (table, dicts, lists, str(lists), lines):
        np.testing.assert_allclose(read_curve(curve).figures, [[a, math.nan, c] for a, _, c in TWO], err_msg=str(curve))


def test_epochs_that_are_told_again_after_others_are_counted():
    told = LINES.replace("; ", "\n")
    assert read_curve(told).again == 0
    assert read_curve("\n".join(reversed(told.split("\n")))).again == 0
    again = read_curve(f"{told.replace('0.51', '0.9')}\n{told}")
    assert again.again == 2
    np.testing.assert_allclose(again.figures, TWO)


class _Array:
    """As JAX and PyTorch have them."""

    def __array__(self, dtype=None, copy=None):
        return np.array(TWO)


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("loss: 0.41 - accuracy: 0.85", [[0.41, 0.85, math.nan]]),
        ("loss 0.41\nloss 0.31", [[0.41, math.nan, math.nan], [0.31, math.nan, math.nan]]),
        ("val_acc: 0.8", [[math.nan, math.nan, 0.8]]),
        ("epoch 3: loss 0.5", [[math.nan] * 3, [math.nan] * 3, [0.5, math.nan, math.nan]]),
        ("epoch,loss,train acc\n1,0.5,\n2,0.4,.8", [[0.5, math.nan, math.nan], [0.4, 0.8, math.nan]]),
        ("loss 1 train acc 1 test acc 0", [[1, 1, 0]]),
        ("loss 0.5 acc none lr 0.1", [[0.5, math.nan, math.nan]]),
        (
            "{'loss': [None, 0.4], 'acc': [0.7, NULL], 'lr': [1, 1]}",
            [[math.nan, 0.7, math.nan], [0.4, math.nan, math.nan]],
        ),
        ("loss,acc\n.5,.7\n-,\n.4,.8", [[0.5, 0.7, math.nan], [math.nan] * 3, [0.4, 0.8, math.nan]]),
        ("epoch nan: loss 0.4", [[0.4, math.nan, math.nan]]),
        (
            [[0.5, None, 0.7], [None] * 3, [None, 0.8, math.nan]],
            [[0.5, math.nan, 0.7], [math.nan] * 3, [math.nan, 0.8, math.nan]],
        ),
        ({"loss": [0.5, None, 0.3]}, [[0.5, math.nan, math.nan], [math.nan] * 3, [0.3, math.nan, math.nan]]),
        ({"test acc": [math.nan], "val acc": [0.8]}, [[math.nan, math.nan, 0.8]]),
    ],
)
def test_what_is_not_told_is_not_known(text, figures):
    found = read_curve(text)
    np.testing.assert_array_equal(found.figures, figures)
    assert found.diverged is None


def test_a_validated_runs_own_rows_are_read_with_their_validation_accuracy():
    loss, rate = (0.51, 0.42), 60_000
    rows = [results.EpochResult(i + 1, loss[i], 0.8, None, None, 1.7, rate, 0.9, 0.4, 0.7 + i / 10) for i in (0, 1)]
    wanted = [[0.51, 0.8, 0.7], [0.42, 0.8, 0.8]]
    for rows_of in (rows, [row.row() for row in rows], "\n".join(json.dumps(row.row()) for row in rows)):
        np.testing.assert_allclose(read_curve(rows_of).figures, wanted)


def test_all_that_train_prints_may_be_pasted():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    found = read_curve(next(block for block in readme.split("```") if "epoch 10/10" in block))
    assert found.figures.shape == (10, 3)
    assert found.figures[9].tolist() == [0.458, 0.828, 0.822]


def test_a_test_part_is_taken_before_a_validation_part():
    assert read_curve("loss 1, val acc .7, test acc .8").figures[0, 2] == 0.8


def test_columns_and_the_first_epoch_are_as_they_are_said():
    assert read_curve("0.9 7 0.5 0.8", columns=["-", "epoch", "loss", "test"]).figures[6, [0, 2]].tolist() == [0.5, 0.8]
    assert read_curve("0.5 .7 .8", first_epoch=10).figures.shape == (10, 3)


def test_a_row_of_nan_for_what_another_row_of_the_epoch_tells_takes_nothing_back():
    """As pandas prints the metrics that Lightning logs, with a column for the steps and one for the epochs."""
    names, rows = "epoch train_loss_step train_loss_epoch train_acc val_acc", []
    for epoch, (loss, train, test) in enumerate(TWO):
        rows += [(epoch, loss, "NaN", "NaN", "NaN"), (epoch, "NaN", "NaN", "NaN", test)]
        rows += [(epoch, "NaN", loss, train, "NaN"), (epoch, "NaN", "NaN", "NaN", "NaN")]
    found = read_curve("\n".join([names, *(" ".join(map(str, row)) for row in rows)]))
    np.testing.assert_allclose(found.figures, TWO)
    assert found.diverged is None
    columns = {name: [float(row[i]) for row in rows] for i, name in enumerate(names.split())}
    np.testing.assert_allclose(read_curve(columns).figures, TWO)


@pytest.mark.parametrize(
    "names",
    [
        ("loss", "top_1", "top_5", "val_top_1", "val_top_5"),
        ("loss", "acc@1", "acc@5", "val_acc@1", "val_acc@5"),
        ("train_loss", "accuracy", "top_k_accuracy", "val_accuracy", "val_top_k_accuracy"),
        ("\u635f\u5931", "\u8bad\u7ec3\u51c6\u786e\u7387", "acc5", "\u6d4b\u8bd5\u51c6\u786e\u7387", "ema test acc"),
    ],
)
def test_the_same_names_tell_the_same_in_dictionaries_lists_tables_and_lines(names):
    rows = [dict(zip(names, (loss, train, 0.99, test, 0.98), strict=True)) for loss, train, test in TWO]
    history = {name: [row[name] for row in rows] for name in names}
    lines = [" ".join(f"{name} {value}" for name, value in row.items()) for row in rows]
    table = "\n".join([",".join(names), *(",".join(map(str, row.values())) for row in rows)])
    for curve in (history, rows, str(history), table, "\n".join(lines)):
        np.testing.assert_allclose(read_curve(curve).figures, TWO, err_msg=str(curve))


def test_a_loss_that_is_not_finite_is_where_the_curve_ends():
    found = read_curve("loss 1.2, train acc .5\nloss nan, train acc .1\nloss inf, train acc .1")
    assert found.diverged == 2
    assert np.isnan(found.figures[1:]).all()
    assert read_curve("nan 0.1 0.1").diverged == 1
    assert read_curve("loss nan, train acc .5\nloss .9, train acc .6").diverged is None, "it was not printed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no lines to read"),
        (" \n----\n", "no lines to read"),
        ("hello", "no line tells a loss or an accuracy, the first is 'hello'"),
        ("time 3 s\nrate 4", "no line tells"),
        ("test loss .5", "the lines tell no loss and no accuracy of training"),
        ("loss: abc, train acc .6", "line 1: loss is 'abc', no number"),
        ("1 2\n3 4", "line 1 has 2 numbers, expected 3"),
        ("\n\nloss .5\r\n\r\nloss: abc, acc .6", "line 5: loss is 'abc', no number"),
        ("2.3 .1 .1\n\n2.3 .1", "line 3 has 2 numbers, expected 3"),
        ("loss,train_acc\n\n0.5,x", "line 3: train accuracy is 'x', no number"),
        ("2.3 .1 .1\nabc .1 .1", "line 2: 'abc' is no number"),
        ("2.3 .1 .1\n2.3 .1", "line 2 has 2 numbers, expected 3"),
        ("epoch,loss,train acc\n1,2\n", "line 2 has 2 cells, the header 3"),
        ("loss,train_acc\n0.5,x", "line 2: train accuracy is 'x', no number"),
        ("loss = [1, 2]\nacc = [.5]", "lists of unequal length"),
        ("loss -1, train acc .5", "line 1: loss -1 is below 0"),
        ("loss 1, train acc 170", "line 1: train accuracy 170 is neither a share"),
        ("epoch 99999 loss 1", "epochs are numbered"),
        ("loss .5\nepoch inf: loss .4", "line 2: epoch inf is no number of an epoch"),
        ({"epoch": [math.inf], "loss": [1]}, "line 1: epoch inf is no number of an epoch"),
        ({"loss": [10**400]}, "row 1 holds what is no number"),
        ([[10**400, 1, 1]], "rows of three numbers"),
        ([[1, 2]], "rows of three numbers"),
        ([[1, 2, "x"]], "rows of three numbers"),
        ({"loss": [1, 2], "accuracy": [0.5]}, "columns of one length"),
        ({}, "columns of one length"),
        ([{"loss": "x"}], "row 1 holds what is no number"),
        (None, "got NoneType"),
        (5, "got int"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(text, message):
    with pytest.raises(CurveError, match=message) as told:
        read_curve(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("1 2 3", {"columns": ["loss", "tests"]}, "columns are some of epoch, loss"),
        ("1 2 3", {"columns": ["epoch", "-", "-"]}, "columns are some of epoch, loss"),
        ("1 2 3", {"columns": ["loss", "loss", "test"]}, "column loss is named twice"),
        ("1 2 3", {"columns": ["loss", "test"]}, "line 1 has 3 numbers, expected 2"),
        ("epoch 1 loss 2", {"first_epoch": 3}, "leave first_epoch out"),
        ("loss 2", {"first_epoch": 0}, "a number from 1 on"),
        ([[1, 0.5, 0.5]], {"columns": ["loss"]}, "columns name those of a text"),
    ],
)
def test_settings_that_do_not_fit_are_refused(text, settings, message):
    with pytest.raises(CurveError, match=message):
        read_curve(text, **settings)


def test_pythons_values_are_read_like_lines(tmp_path: Path):
    run = [results.EpochResult(i, *row[:2], None, row[2], 1.0, 1.0, 0.1) for i, row in enumerate(TWO, 1)]
    history = {name: [row[i] for row in TWO] for i, name in enumerate(("loss", "accuracy", "val_accuracy"))}
    files = {"utf8.txt": "utf-8", "mark.txt": "utf-8-sig", "windows.txt": "utf-16"}
    for name, encoding in files.items():
        (tmp_path / name).write_text(PASTED["CSV"], encoding=encoding)
    values = [TWO, np.array(TWO), _Array(), history, run, SimpleNamespace(epochs=tuple(run)), Curve(np.array(TWO))]
    values += [[dict(zip(history, row, strict=True)) for row in TWO], *(tmp_path / name for name in files)]
    for value in values:
        np.testing.assert_allclose(read_curve(value).figures, TWO)
    assert read_curve([[math.nan, 0.1, 0.1]]).diverged == 1
    (tmp_path / "bytes").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(CurveError, match="no text in UTF-8"):
        read_curve(tmp_path / "bytes")
