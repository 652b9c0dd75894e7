"""Who is in the validation part and in which fold; equal pictures are never parted."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picture_files import DIGIT_LABELS, DIGITS

import jaxd2l
from jaxd2l import run_folder
from jaxd2l.data import DataError, Dataset, DataWarning, Examples, deal_out, fold_of, hold_out
from jaxd2l.nn.models import Linear
from jaxd2l.train import Recipe


def pictures(numbers, labels, classes=3):
    """A data set in which picture `number` has the pixels of that digit of scikit-learn."""
    x = DIGITS[np.asarray(numbers)][..., np.newaxis]
    y = np.asarray(labels, np.int32)
    return Dataset("digits", Examples(x, y), Examples(x[:2], y[:2]), tuple("abcdefghij"[:classes]))


def numbers_of(part):
    """Which picture each row is."""
    return [int(np.flatnonzero((image[..., 0] == DIGITS).all((1, 2)))[0]) for image in part.x]


rows = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), min_size=2, max_size=40)


def _can_be_held_out(drawn):
    """Whether there is a picture without which each of its classes still has another one."""
    of = {label: {n for n, other in drawn if other == label} for _, label in drawn}
    return any(all(of[label] > {n} for other, label in drawn if other == n) for n, _ in drawn)


@pytest.mark.slow
@settings(max_examples=50)
@given(rows, st.floats(0.01, 0.99), st.integers(0, 99))
@example([(0, 0), (0, 1), (1, 0), (1, 2)], 0.5, 0)  # each picture has a class of its own
def test_equal_pictures_are_on_one_side_and_no_class_loses_its_training_rows(drawn, fraction, seed):
    numbers, labels = map(list, zip(*drawn, strict=True))
    data, notes = pictures(numbers, labels), []
    try:
        parts = hold_out(data, fraction, seed, on_note=notes.append)
    except ValueError:
        assert not _can_be_held_out(drawn)
        return
    assert _can_be_held_out(drawn)
    train, held = numbers_of(parts.train), numbers_of(parts.validation)
    assert not set(train) & set(held)
    assert sorted(train + held) == sorted(numbers)
    assert set(parts.train.y.tolist()) == set(labels)
    plain = hold_out(data, fraction, seed, together=False)
    parted = set(numbers_of(plain.train)) & set(numbers_of(plain.validation))
    assert parts.pictures_together == bool(parted) == bool(notes)
    if not parted:
        for one, other in zip((*parts.train, *parts.validation), (*plain.train, *plain.validation), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_is_held_out_is_near_the_share_and_said_in_one_line():
    numbers, labels = list(range(40)) * 2, [number % 2 for number in range(40)] * 2
    with pytest.warns(DataWarning) as told:
        parts = hold_out(pictures(numbers, labels, 2), 0.2)
    assert np.bincount(parts.validation.y).tolist() == [8, 8]
    (line,) = [str(one.message) for one in told]
    assert line == "digits: 80 training pictures are equal to another one; equal ones stay in one part"


def test_a_class_of_large_groups_has_its_smallest_held_out():
    numbers, labels = [0] * 5 + [1] * 3 + [2] * 4 + [3] * 4, [0] * 8 + [1] * 8
    parts = hold_out(pictures(numbers, labels, 2), 0.1, on_note=lambda note: None)
    assert numbers_of(parts.validation)[:3] == [1] * 3
    assert len(parts.validation.x) == 7


@pytest.mark.slow
@settings(max_examples=50)
@given(rows, st.integers(2, 5), st.integers(0, 99))
def test_every_row_is_in_one_fold_and_equal_pictures_in_the_same(drawn, k, seed):
    numbers, labels = map(list, zip(*drawn, strict=True))
    data = pictures(numbers, labels)
    try:
        fold = deal_out(data, k, seed, on_note=lambda note: None)
    except (DataError, ValueError):
        return
    assert fold.shape == (len(numbers),)
    assert set(fold.tolist()) == set(range(k))
    assert all(len({fold[i] for i, other in enumerate(numbers) if other == one}) == 1 for one in numbers)
    for number in range(k):
        parts = fold_of(data, fold, number)
        assert len(parts.train.x) + len(parts.validation.x) == len(numbers)
        assert not set(numbers_of(parts.train)) & set(numbers_of(parts.validation))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.integers(2, 7), st.integers(0, 99))
def test_folds_are_of_each_class_alike(y, k, seed):
    y = np.array([*y, 0, 0, 1, 1, 2, 2, 3, 3], np.int32)
    values = np.arange(len(y), dtype=np.float32)[:, None]
    data = Dataset("rows", Examples(values, y), Examples(values, y), tuple("abcd"))
    fold = deal_out(data, k, seed)
    for sizes in (np.bincount(fold, minlength=k), *(np.bincount(fold[y == label], minlength=k) for label in range(4))):
        assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(fold, deal_out(data, k, seed))


@pytest.mark.parametrize(
    ("k", "seed", "words"),
    [(1, 0, "between 2 and the 6"), (7, 0, "between 2 and the 6"), (True, 0, "between 2"), (2, -1, "4294967295")],
)
def test_numbers_of_folds_and_seeds_out_of_range_are_refused(k, seed, words):
    with pytest.raises(ValueError, match=words):
        deal_out(pictures(range(6), [0, 0, 0, 1, 1, 1], 2), k, seed)


@pytest.mark.parametrize(("fold", "number"), [([0, 1, 0, 1], 2), ([0, 1, 0, 1], -1), ([0, 1, 0], 1), ([1, 1, 1, 1], 1)])
def test_a_fold_that_holds_no_row_or_all_is_refused(fold, number):
    with pytest.raises(ValueError, match="expected some but not all of the 4 training rows of digits"):
        fold_of(pictures(range(4), [0, 0, 1, 1], 2), np.array(fold), number)


def test_a_share_is_any_number_of_numpy():
    data = pictures(range(8), DIGIT_LABELS[:8] % 2, 2)
    assert len(hold_out(data, np.float32(0.5)).validation.x) == len(hold_out(data, 0.5).validation.x)


def test_more_folds_than_different_pictures_are_refused():
    data = pictures([0, 0, 1, 2], [0, 0, 0, 0], 2)
    with pytest.raises(DataError, match="digits: 3 different examples for 4 folds; give as many folds at most"):
        deal_out(data, 4, on_note=lambda note: None)
    assert set(deal_out(data, 3, on_note=lambda note: None).tolist()) == {0, 1, 2}


def test_a_class_of_one_picture_and_a_validation_part_cannot_be_dealt_out():
    with pytest.raises(DataError, match="fewer than two different examples of class b"):
        deal_out(pictures([0, 1, 2, 3, 3, 3], [0, 0, 0, 1, 1, 1], 2), 2, on_note=lambda note: None)
    whole = pictures(range(8), DIGIT_LABELS[:8] % 2, 2)
    with pytest.raises(ValueError, match="validation part of its own"):
        deal_out(whole._replace(validation=whole.test), 2)


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, False])
def test_a_run_goes_on_and_is_judged_by_the_rows_it_was_divided_by_also_of_an_earlier_version(
    together, tmp_path, capsys, monkeypatch
):
    """An earlier version parted equal pictures, and its configuration has no word of them."""
    from jaxd2l.cli import main

    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    numbers = [*range(20), *range(20)]
    parts = pictures(numbers, np.array(numbers) % 2, 2)
    x, y = parts.train
    np.savez(tmp_path / "twice.npz", x_train=x, y_train=y, x_test=DIGITS[50:60][..., None], y_test=np.arange(10) % 2)
    command = ["train", "softmax", "--data", str(tmp_path / "twice.npz"), "--validation-fraction", ".2", "--no-report"]
    run, quiet = tmp_path / "run", ["--quiet", "--out", str(tmp_path / "run")]
    if not together:
        plain = lambda data, fraction, seed=0, **_: hold_out(data, fraction, seed, together=False)  # noqa: E731
        monkeypatch.setattr("jaxd2l.commands.asked.settings.hold_out", plain)
    assert main([*command, "--epochs", "1", *quiet]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "equal to another one" in line]
    assert len(notes) == together
    monkeypatch.undo()
    monkeypatch.setenv("JAXD2L_CACHE_DIR", str(tmp_path / "cache"))
    config = json.loads((run / run_folder.CONFIG).read_bytes())
    assert config.get("pictures_together", False) == together
    assert main([*command, "--epochs", "2", "--resume", *quiet]) == 0
    kept = jaxd2l.load_run(run)
    assert len(kept.epochs) == 2
    data = kept.data()
    parted = set(numbers_of(data.train)) & set(numbers_of(data.validation))
    assert bool(parted) != together
    assert config["data"]["validation"] == len(data.validation.x)


def test_the_configuration_of_a_run_without_equal_pictures_is_as_ever():
    data = hold_out(pictures(range(30), DIGIT_LABELS[:30] % 3), 0.2)
    recipe = Recipe("small", Linear(3), "", image_size=8)
    assert "pictures_together" not in run_folder.configuration(recipe, 0, data)
