"""The best epoch's weights: whatever kills a run and however often, the folder has those of the best finished epoch."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxd2l import run_folder
from jaxd2l.commands.check import check
from jaxd2l.data import DataError
from jaxd2l.run_folder.checkpoint import Checkpoints
from jaxd2l.run_folder.writer import RunWriter
from jaxd2l.train import EpochResult, TrainState, best_epoch
from jaxd2l.train.state import Average

pytestmark = pytest.mark.usefixtures("unoptimised")

ACCURACIES = st.lists(st.sampled_from((0.1, 0.2, 0.3)), min_size=1, max_size=6)


class Killed(BaseException):
    """What stands for SIGKILL: nothing of ours catches it."""


def state(epoch, machine=0, averaged=False):
    """Weights that tell after which epoch and on which machine they were taken, and whether they are an average."""
    raw, average = ({"Dense_0": {"kernel": np.array([[epoch, machine, a]], np.float32)}} for a in (0.5, 0.25))
    return TrainState(np.int32(epoch), raw, {}, {}, Average(average, {}) if averaged else ())


def result(epoch, accuracy, machine=0, averaged=False):
    """With an average it is the average that is so good; the weights themselves are the better the worse it is."""
    raw = EpochResult(epoch, 1.0 + machine, accuracy, 1.0 / epoch, accuracy, 0.1, 10.0)
    figures = {"test_accuracy": 0.4 - accuracy, "ema_test_loss": 1.0 / epoch, "ema_test_accuracy": accuracy}
    return raw._replace(**figures) if averaged else raw


def writer(folder, epochs):
    return RunWriter(folder, epochs, {}, None, lambda line: None)


def run(folder, accuracies, machine=0, averaged=False):
    """A run from its beginning, in a folder that may hold some of it."""
    with writer(folder, len(accuracies)) as open_writer:
        open_writer.restore(None)
        for epoch, accuracy in enumerate(accuracies, 1):
            open_writer.epoch(result(epoch, accuracy, machine, averaged), state(epoch, machine, averaged))


def killed_run(folder, accuracies, after, machine=0, averaged=False):
    """The same, killed before or after one of the moments in which a file of the folder changes."""
    left = [after]

    def dying(change):
        def changed(*arguments):
            left[0] -= 1
            if left[0] == -1:
                raise Killed
            change(*arguments)
            left[0] -= 1
            if left[0] == -1:
                raise Killed

        return changed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", dying(os.replace))
        patch.setattr(run_folder, "append_metrics", dying(run_folder.append_metrics))
        try:
            run(folder, accuracies, machine, averaged)
        except Killed:
            return True
    return False


def files(folder):
    names = (run_folder.WEIGHTS, run_folder.BEST, run_folder.EMA)
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def wrong(folder):
    return [finding.what for finding in check(folder, {"recipe": "own"}) if finding.wrong]


def assert_sound(folder):
    """`check` finds nothing wrong, and the best weights are there as soon as an epoch is finished."""
    assert wrong(folder) == []
    rows = run_folder.whole_rows(folder)
    if rows:
        best = run_folder.best_of(rows)
        chosen = run_folder.choose_weights(folder, "best")
        assert chosen.epoch == best
        assert chosen.tensors["params.Dense_0.kernel"][0, 0] == best


@settings(deadline=None)
@given(ACCURACIES)
def test_the_best_epoch_is_the_first_of_the_highest_accuracy(accuracies):
    results = [result(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, 1)]
    assert best_epoch(results) == 1 + accuracies.index(max(accuracies))
    losses = [r._replace(test_accuracy=None, test_loss=a) for r, a in zip(results, accuracies, strict=True)]
    assert best_epoch(losses) == 1 + accuracies.index(min(accuracies))


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(ACCURACIES, st.lists(st.integers(0, 60), max_size=5), st.booleans())
def test_kills_at_any_moment_leave_the_best_weights_and_the_end_of_an_unbroken_run(accuracies, kills, averaged):
    with tempfile.TemporaryDirectory() as temporary:
        folder, unbroken = (run_folder.create(Path(temporary) / name) for name in ("killed", "unbroken"))
        run(unbroken, accuracies, averaged=averaged)
        for after in kills:
            killed_run(folder, accuracies, after, averaged=averaged)
            assert_sound(folder)
        run(folder, accuracies, averaged=averaged)
        assert_sound(folder)
        assert files(folder) == files(unbroken)
        best = 1 + accuracies.index(max(accuracies))
        assert run_folder.weights_epoch(folder, run_folder.BEST) == best
        source = run_folder.choose_weights(folder, "best").tensors["params.Dense_0.kernel"][0, 2]
        assert source == (0.25 if averaged else 0.5), "the weights whose figure was the best"


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(ACCURACIES, ACCURACIES, st.lists(st.integers(0, 60), max_size=3), st.booleans())
def test_epochs_that_come_out_differently_never_leave_the_best_weights_of_another_run(first, second, kills, averaged):
    """As on another machine: then `best.safetensors` is of an epoch in `metrics.jsonl`, or it is not there."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = run_folder.create(Path(temporary) / "run")
        run(folder, first, averaged=averaged)
        for after in kills:
            killed_run(folder, second, after, machine=1, averaged=averaged)
        run(folder, second, machine=1, averaged=averaged)
        assert wrong(folder) == []
        rows = run_folder.whole_rows(folder)
        chosen = run_folder.choose_weights(folder, "best")
        kernel = chosen.tensors["params.Dense_0.kernel"]
        assert (kernel[0, 0], kernel[0, 1]) == (run_folder.best_of(rows), rows[chosen.epoch - 1]["train_loss"] - 1)


@pytest.fixture
def finished(tmp_path):
    """A run whose second epoch of three was the best."""
    folder = run_folder.create(tmp_path / "run")
    run(folder, [0.1, 0.3, 0.2])
    return folder


def test_last_and_best_are_chosen_by_name(finished):
    last, best = (run_folder.choose_weights(finished, name) for name in ("last", "best"))
    assert (last.epoch, last.place) == (3, run_folder.WEIGHTS)
    assert (best.epoch, best.place) == (2, run_folder.BEST)
    assert run_folder.choose_weights(finished).epoch == 3
    with pytest.raises(ValueError, match="weights must be one of last, best, ema, got 'newest'"):
        run_folder.choose_weights(finished, "newest")
    with pytest.raises(ValueError, match="keeps no averaged weights; take others, or train with --ema"):
        run_folder.choose_weights(finished, "ema")


def test_the_average_is_kept_beside_the_weights_and_looked_after_like_them(tmp_path):
    folder = run_folder.create(tmp_path / "run")
    run(folder, [0.1, 0.3, 0.2], averaged=True)
    chosen = run_folder.choose_weights(folder, "ema")
    assert (chosen.epoch, chosen.place) == (3, run_folder.EMA)
    assert wrong(folder) == []
    content = bytearray((folder / run_folder.EMA).read_bytes())
    content[-1] ^= 1
    (folder / run_folder.EMA).write_bytes(content)
    assert wrong(folder) == [run_folder.EMA]
    with pytest.raises(DataError, match="damaged"):
        run_folder.choose_weights(folder, "ema")
    assert run_folder.choose_weights(folder).epoch == 3
    assert run_folder.choose_weights(folder, "best").epoch == 2


def test_without_an_epoch_there_is_no_best(tmp_path):
    folder = run_folder.create(tmp_path / "run")
    run_folder.write_weights(folder, {"kernel": np.ones(2, np.float32)}, {})
    with pytest.raises(ValueError, match="has no finished epoch to choose the best of"):
        run_folder.choose_weights(folder, "best")


def _checkpoint(folder, epoch, accuracy):
    """What a run saves after an epoch."""
    checkpoints = Checkpoints(folder / run_folder.CHECKPOINTS)
    arrays = {"state.params.Dense_0.kernel": state(epoch).params["Dense_0"]["kernel"], "record.loss": np.ones(3)}
    facts = {"epoch": epoch + 1, "step": 0, "results": [], "fingerprint": {"recipe": "own", "data": {}}}
    checkpoints.save(7 * epoch, arrays, facts, accuracy)
    checkpoints.close()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["deleted", "emptied", "flipped", "of another epoch"])
def test_lost_best_weights_are_taken_from_a_checkpoint_and_put_back(damage, finished, tmp_path):
    expected = files(finished)
    _checkpoint(finished, 1, 0.1)
    _checkpoint(finished, 2, 0.3)
    file = finished / run_folder.BEST
    content = bytearray(expected[run_folder.BEST])
    content[-1] ^= 1
    if damage == "deleted":
        file.unlink()
    else:
        others = {"emptied": b"", "flipped": content, "of another epoch": expected[run_folder.WEIGHTS]}
        file.write_bytes(others[damage])
        assert wrong(finished) == [run_folder.BEST]
    chosen = run_folder.choose_weights(finished, "best")
    assert (chosen.epoch, chosen.place) == (2, f"{run_folder.CHECKPOINTS}/14")
    assert run_folder.choose_weights(finished).epoch == 3, "the last weights need no best ones"
    run_folder.put_best_in_order(finished, run_folder.whole_rows(finished), pytest.fail)
    assert files(finished) == expected, "byte for byte"


@pytest.mark.slow
def test_best_weights_that_are_nowhere_are_one_line_with_what_is_left(finished):
    (finished / run_folder.BEST).unlink()
    _checkpoint(finished, 1, 0.1)
    with pytest.raises(
        DataError, match=r"weights of epoch 2, the best, were not kept .*those of epoch 3, the last, are"
    ):
        run_folder.choose_weights(finished, "best")
    warnings = []
    run_folder.put_best_in_order(finished, run_folder.whole_rows(finished), warnings.append)
    assert len(warnings) == 1
    assert wrong(finished) == []


def test_a_longer_run_keeps_its_best_until_there_is_a_better_one(finished, tmp_path):
    longer = tmp_path / "longer"
    for more, best in (([0.3], 2), ([0.2, 0.4], 5)):
        shutil.copytree(finished, longer)
        run(longer, [0.1, 0.3, 0.2, *more])
        assert run_folder.weights_epoch(longer, run_folder.BEST) == best
        assert_sound(longer)
        shutil.rmtree(longer)


def test_metrics_that_hold_no_numbers_are_damaged_data(finished):
    rows = run_folder.read_metrics(finished)
    run_folder.write_metrics(finished, [*rows[:2], {**rows[2], "test_accuracy": "high"}])
    with pytest.raises(DataError, match="losses or accuracies are not numbers"):
        run_folder.choose_weights(finished, "best")
