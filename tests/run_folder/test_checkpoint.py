"""Checkpoints: what is saved comes back bit for bit, and nothing else ever does."""

import json
import shutil

import numpy as np
import pytest

from jaxd2l.data import DataError
from jaxd2l.run_folder.checkpoint import Checkpoints


def _arrays(scale=1.0):
    rng = np.random.default_rng(0)
    return {
        "state.step": np.array(7, np.int32),
        "state.params.Dense_0.kernel": (scale * rng.normal(size=(5, 3))).astype(np.float32),
        "state.params.Dense_0.bias": (scale * rng.normal(size=3)).astype(np.float32),
        "state.opt_state.count": np.array(2**31 - 1, np.int32),
        "state.wide": scale * rng.normal(size=(2, 3, 5)),
    }


FACTS = {"epoch": 2, "seconds": 0.1 + 0.2, "results": [{"test_loss": 1 / 3, "test_accuracy": None}]}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def _saved(folder, *numbers, **options):
    """A folder with one checkpoint a number, whose arrays are scaled by it."""
    checkpoints = Checkpoints(folder, **options)
    for number in numbers:
        checkpoints.save(number, _arrays(number), {**FACTS, "number": number})
    checkpoints.close()
    return Checkpoints(folder, **options)


def _assert_is(checkpoint, number):
    expected = _arrays(number)
    assert checkpoint.number == number
    assert checkpoint.facts == {**FACTS, "number": number}
    assert checkpoint.arrays.keys() == expected.keys()
    for name, array in expected.items():
        found = checkpoint.arrays[name]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()


@pytest.mark.slow
def test_what_is_read_is_what_was_saved_bit_for_bit(folder):
    _assert_is(_saved(folder, 3, 5).newest(pytest.fail), 5)


def test_a_folder_without_checkpoints_has_no_newest(folder):
    assert Checkpoints(folder).newest(pytest.fail) is None
    assert not folder.exists(), "looking writes nothing"


@pytest.mark.slow
def test_the_newest_and_the_best_stay(folder):
    checkpoints = Checkpoints(folder, keep=2)
    for number, score in ((1, 0.2), (2, 0.7), (3, None), (4, 0.5), (5, None)):
        checkpoints.save(number, _arrays(), {"score": score}, score)
    checkpoints.close()
    assert checkpoints.numbers() == [2, 4, 5]
    again = Checkpoints(folder, keep=2)  # a new process learns the scores from the files
    again.save(6, _arrays(), {"score": 0.6}, 0.6)
    again.close()
    assert again.numbers() == [2, 5, 6]


def test_among_equal_scores_the_earliest_is_the_best(folder):
    checkpoints = Checkpoints(folder, keep=1)
    for number in range(1, 5):
        checkpoints.save(number, _arrays(), {"score": 0.7}, 0.7)
    checkpoints.close()
    assert checkpoints.numbers() == [1, 4]


def test_without_scores_only_the_newest_stay(folder):
    checkpoints = Checkpoints(folder, keep=2)
    for number in range(1, 5):
        checkpoints.save(number, _arrays(), {})
    checkpoints.close()
    assert checkpoints.numbers() == [3, 4]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_non_finite_state_is_never_saved(folder, value):
    checkpoints = _saved(folder, 1)
    arrays = _arrays()
    arrays["state.params.Dense_0.bias"][1] = value
    checkpoints.save(2, arrays, FACTS)
    checkpoints.close()
    assert checkpoints.numbers() == [1]


def test_a_number_that_is_there_is_not_saved_again(folder):
    checkpoints = _saved(folder, 4)
    checkpoints.save(4, _arrays(9), FACTS)
    checkpoints.close()
    _assert_is(checkpoints.read(4), 4)


def test_a_save_that_fails_is_an_os_error_and_the_older_ones_stay(folder, monkeypatch):
    checkpoints = _saved(folder, 1)
    import orbax.checkpoint as ocp

    def full(*args, **kwargs):
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device")

    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    checkpoints.save(2, _arrays(2), FACTS)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.close()
    _assert_is(Checkpoints(folder).newest(pytest.fail), 1)


def _files(folder, number):
    return sorted(p.relative_to(folder) for p in (folder / str(number)).rglob("*") if p.is_file())


def _damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "emptied":
        path.write_bytes(b"")
    else:
        content[int(how * len(content))] ^= 0x10
        path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("how", [0.0, 0.37, 0.62, 0.99, "truncated", "emptied", "deleted"])
def test_damage_in_any_file_is_found_or_changes_nothing(folder, how):
    _saved(folder, 5).close()
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    for name in _files(folder, 5):
        _damage(folder / name, how)
        checkpoints = Checkpoints(folder)
        if name.name == "SHA256SUMS" and how in ("emptied", "deleted"):
            _assert_is(checkpoints.read(5), 5)  # the digests of the leaves do without
        else:
            with pytest.raises(DataError, match="damaged"):
                checkpoints.read(5)
        checkpoints.close()
        shutil.copyfile(whole / name, folder / name)
    _assert_is(Checkpoints(folder).read(5), 5)


def test_sound_files_of_other_weights_do_not_pass(folder):
    checkpoints = _saved(folder, 5, 6)
    for number in (5, 6):
        (folder / str(number) / "SHA256SUMS").unlink()  # as after a kill between commit and list
    _assert_is(checkpoints.read(6), 6)
    shutil.rmtree(folder / "6" / "arrays")
    shutil.copytree(folder / "5" / "arrays", folder / "6" / "arrays")
    with pytest.raises(DataError, match="does not agree with its SHA-256"):
        checkpoints.read(6)


def test_an_altered_fact_does_not_pass(folder):
    checkpoints = _saved(folder, 5)
    (folder / "5" / "SHA256SUMS").unlink()
    file = folder / "5" / "facts" / "metadata"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["facts"]["epoch"] = 3
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DataError, match="does not agree"):
        checkpoints.read(5)


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(folder):
    checkpoints = _saved(folder, 3, 5)
    _damage(folder / "5" / "arrays" / "_METADATA", "truncated")
    warnings = []
    _assert_is(checkpoints.newest(warnings.append), 3)
    assert len(warnings) == 1
    assert "5: damaged" in warnings[0]
    assert (folder.with_name("damaged") / "5").is_dir()
    assert checkpoints.numbers() == [3]
    checkpoints.save(5, _arrays(5), {**FACTS, "number": 5})  # its number is free again
    checkpoints.close()
    _assert_is(Checkpoints(folder).newest(pytest.fail), 5)


def test_where_all_are_damaged_nothing_is_restored_then_and_later(folder):
    _saved(folder, 3, 5).close()
    for number in (3, 5):
        _damage(folder / str(number) / "facts" / "metadata", "emptied")
    for _ in range(2):
        with pytest.raises(DataError, match="every checkpoint"):
            Checkpoints(folder).newest(lambda text: None)


def test_reading_only_leaves_half_written_checkpoints_of_others_alone(folder):
    _saved(folder, 3).close()
    half = folder / "9.orbax-checkpoint-tmp"
    half.mkdir()
    assert Checkpoints(folder, read_only=True).numbers() == [3]
    assert half.exists()


@pytest.mark.slow
def test_a_kill_while_an_old_checkpoint_is_deleted_leaves_no_half_one(folder, monkeypatch):
    checkpoints = _saved(folder, 1, 2, keep=2)

    def killed(path):
        next(p for p in path.rglob("*") if p.is_file()).unlink()
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        checkpoints.save(3, _arrays(3), {**FACTS, "number": 3})
        with pytest.raises(OSError, match="killed"):
            checkpoints.close()
    again = Checkpoints(folder)
    assert again.numbers() == [2, 3]
    assert sorted(p.name for p in folder.iterdir()) == ["2", "3"]
    _assert_is(again.newest(pytest.fail), 3)


def test_a_disk_without_room_is_told_before_anything_is_written(folder, monkeypatch):
    checkpoints = _saved(folder, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 9000, 9000))
    checkpoints.save(2, _arrays(2), FACTS)
    with pytest.raises(OSError, match=r"MB are needed, 0\.009 MB are free"):
        checkpoints.close()
    assert sorted(p.name for p in folder.iterdir()) == ["1"]
