"""A kept run that validates, stops early and averages: whatever breaks it off, it ends as the unbroken one."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxd2l
from jaxd2l import run_folder
from jaxd2l.commands.check import check
from jaxd2l.data import DataError, Dataset, Examples, as_stored, hold_out
from jaxd2l.nn.models import Linear
from jaxd2l.run_folder.settings import configuration
from jaxd2l.train import Recipe, compile_program
from jaxd2l.train.results import stopped_early

pytestmark = pytest.mark.usefixtures("unoptimised")


def falling(rate, decay):
    """A rate that is right for two epochs and far too large from then on: the third and fourth are no better."""
    return optax.sgd(lambda step: jnp.where(step < 14, 0.05, 30.0))


def clouds(n=60):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n).astype(np.int32)
    x = (rng.normal(size=(n, 5)) + y[:, None]).astype(np.float32)
    return Dataset("clouds", Examples(x, y), Examples(x[:19], y[:19]), ("a", "b", "c"))


DATA = hold_out(clouds(), 0.2, 1)
RECIPE = Recipe(
    name="small",
    model=Linear(3),
    dataset="clouds",
    learning_rate=0.1,
    epochs=9,
    batch_size=7,
    optimizer=falling,
    early_stop=2,
    ema=0.25,
)
FILES = (run_folder.WEIGHTS, run_folder.BEST, run_folder.EMA, run_folder.TEST)


class Killed(BaseException):
    """What stands for SIGKILL."""


@pytest.fixture(scope="module")
def program():
    return compile_program(RECIPE, DATA)


@pytest.fixture(scope="module")
def unbroken(program, tmp_path_factory):
    """A run, its folder, and how often it asks whether it is to stop."""
    folder, asked = tmp_path_factory.mktemp("runs") / "unbroken", []
    run = jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, program=program, chunk_seconds=0.0, stop=lambda: asked.append(1))
    return folder, run, len(asked)


def content(folder):
    """What has to be equal: every file of weights, what the test part said, and each epoch without its times."""
    rows = [{k: v for k, v in row.items() if "second" not in k} for row in run_folder.read_metrics(folder)]
    return {name: (folder / name).read_bytes() for name in FILES}, rows


def wrong(folder):
    return [str(finding) for finding in check(folder, run_folder.read_config(folder)) if finding.wrong]


@pytest.mark.slow
def test_a_run_that_stopped_early_is_finished_and_trains_no_further(unbroken, program):
    folder, run, _ = unbroken
    assert run.stopped_early
    assert len(run.epochs) < RECIPE.epochs
    assert stopped_early(run.epochs, 2)
    before, kept = content(folder), jaxd2l.load_run(folder, RECIPE)
    assert kept.finished
    assert kept.stopped_early
    assert kept.tested == run.tested
    again = jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, resume=True, on_epoch=pytest.fail)
    longer = jaxd2l.fit(
        dataclasses.replace(RECIPE, epochs=20), DATA, 3, run_dir=folder, resume=True, on_epoch=pytest.fail
    )
    assert again.epochs == longer.epochs == run.epochs
    assert again.tested == run.tested
    assert content(folder) == before
    assert wrong(folder) == []
    assert run_folder.finished_epochs(folder) == (len(run.epochs), len(run.epochs))
    with pytest.raises(ValueError, match="already holds a run"):
        run_folder.check_free(folder, overwrite=False)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["last", "best", "ema"])
def test_kept_weights_are_those_that_were_judged(which, unbroken):
    folder, run, _ = unbroken
    kept = jaxd2l.load_run(folder, RECIPE)
    found = run.tested[which]
    assert kept.evaluate(DATA, which) == pytest.approx((found.test_loss, found.test_accuracy), rel=1e-6)
    assert run_folder.choose_weights(folder, which).epoch == found.epoch
    result = run.epochs[found.epoch - 1]
    expected = (result.validation_loss, result.validation_accuracy) if which == "last" else result.deciding
    judged = DATA._replace(test=DATA.validation)
    assert kept.evaluate(judged, which) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["stopped", "killed"])
@pytest.mark.parametrize("share", [0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1])
def test_a_run_that_is_broken_off_anywhere_ends_in_the_bits_of_the_unbroken_one(
    share, ending, unbroken, program, tmp_path
):
    """In the middle of an epoch, between two, while the validation part is judged, and while the test part is."""
    expected, run, asked = unbroken
    folder, left = tmp_path / "run", [round(share * (asked - 1))]

    def stop():
        left[0] -= 1
        return Killed if left[0] < 0 and ending == "stopped" else None

    def on_progress(what, done, total):
        if left[0] <= 0 and ending == "killed":
            raise Killed

    options = {"checkpoint_every": 0.0, "chunk_seconds": 0.0, "program": program, "stop": stop}
    with pytest.raises(Killed):
        jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, on_progress=on_progress, **options)
    assert wrong(folder) == []
    assert not jaxd2l.load_run(folder, RECIPE).finished
    left[0] = 10**6
    again = jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, resume=True, **options)
    assert content(folder) == content(expected)
    assert wrong(folder) == []
    assert [leaf.tobytes() for leaf in map(np.asarray, jax.tree.leaves(again.state))] == [
        leaf.tobytes() for leaf in map(np.asarray, jax.tree.leaves(run.state))
    ]


@pytest.mark.slow
def test_a_run_inside_an_epoch_is_not_ended_before_that(program, tmp_path):
    """Its weights are those of no epoch, so the test part would be judged by others than are kept."""
    folder, asked = tmp_path / "run", []

    def stop():
        asked.extend([1] if len(run_folder.whole_rows(folder)) == 2 else [])
        return Killed if len(asked) == 2 else None

    with pytest.raises(Killed, match="epoch 3, step 1"):
        jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, program=program, stop=stop, chunk_seconds=0.0)
    config = (folder / run_folder.CONFIG).read_bytes()
    with pytest.raises(ValueError, match="stands in epoch 3 already; epochs must be at least that"):
        jaxd2l.fit(dataclasses.replace(RECIPE, epochs=2), DATA, 3, run_dir=folder, resume=True, program=program)
    assert (folder / run_folder.CONFIG).read_bytes() == config


@pytest.mark.slow
def test_a_run_whose_test_part_was_not_judged_yet_judges_it_when_it_goes_on(unbroken, program, tmp_path):
    """It is stopped once its last epoch is there: then a checkpoint of the end is there too, however fast it went."""
    expected, run, _ = unbroken
    folder = tmp_path / "run"

    def stop():
        return Killed if len(run_folder.whole_rows(folder)) == len(run.epochs) else None

    with pytest.raises(Killed, match="before the test part was judged"):
        jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, program=program, stop=stop)
    assert not (folder / run_folder.TEST).exists()
    assert not jaxd2l.load_run(folder, RECIPE).finished
    jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, resume=True, program=program, on_epoch=pytest.fail)
    assert content(folder) == content(expected)


@pytest.mark.slow
def test_a_run_is_not_gone_on_with_under_another_split(unbroken):
    folder, _, _ = unbroken
    with pytest.raises(ValueError, match=r"split_seed 1 \(asked: 2\)"):
        jaxd2l.fit(RECIPE, hold_out(clouds(), 0.2, 2), 3, run_dir=folder, resume=True)
    with pytest.raises(ValueError, match=r"early_stop 2 \(asked: 3\)"):
        jaxd2l.fit(dataclasses.replace(RECIPE, early_stop=3), DATA, 3, run_dir=folder, resume=True)


def test_stopping_early_without_a_validation_part_is_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(ValueError, match="takes a validation part"):
        jaxd2l.fit(RECIPE, clouds(), 0, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


OLD = Recipe(name="old", model=Linear(3), dataset="clouds", learning_rate=0.1, epochs=2, batch_size=7)
NEW_SETTINGS = {"early_stop", "ema", "validation_fraction", "split_seed"}


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_is_opened_judged_and_gone_on_with(tmp_path):
    """Its configuration, lines and checkpoints know nothing of what has been added since."""
    folder, data = tmp_path / "old", clouds()
    run = jaxd2l.fit(OLD, data, 0, run_dir=folder, checkpoint_every=0.0)
    config = run_folder.read_config(folder)
    assert not (config.keys() & NEW_SETTINGS) - {"early_stop", "ema"}
    assert config["early_stop"] is config["ema"] is None
    old = {name: value for name, value in config.items() if name not in NEW_SETTINGS}
    (folder / run_folder.CONFIG).write_text(json.dumps(old), encoding="utf-8")
    for row in run_folder.read_metrics(folder):
        assert not [name for name in row if name.startswith(("validation", "ema"))]
    assert {path.name for path in folder.iterdir()} & {run_folder.EMA, run_folder.TEST} == set()
    kept = jaxd2l.load_run(folder, OLD)
    assert kept.finished
    assert kept.tested == {}
    assert kept.evaluate(data) == pytest.approx((run.epochs[-1].test_loss, run.epochs[-1].test_accuracy), rel=1e-6)
    assert wrong(folder) == []
    longer = jaxd2l.fit(dataclasses.replace(OLD, epochs=3), data, 0, run_dir=folder, resume=True)
    whole = jaxd2l.fit(dataclasses.replace(OLD, epochs=3), data, 0)
    assert [e[:5] for e in longer.epochs] == [e[:5] for e in whole.epochs]
    assert [e[:5] for e in longer.epochs[:2]] == [e[:5] for e in run.epochs]


def test_the_configuration_says_how_the_validation_part_came_about():
    drawn, given = DATA, clouds()._replace(validation=clouds().test)
    described = configuration(RECIPE, 0, drawn)
    assert (described["validation_fraction"], described["split_seed"]) == drawn.held_out == (0.2, 1)
    assert described["data"]["validation"] == len(drawn.validation.x)
    own = configuration(RECIPE, 0, given)
    assert "validation_fraction" not in own
    assert own["data"]["sha256"] != configuration(RECIPE, 0, clouds())["data"]["sha256"]


@pytest.mark.slow
def test_a_damaged_test_file_is_found_and_made_again(unbroken, program, tmp_path):
    expected, _, _ = unbroken
    folder = tmp_path / "run"
    jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, program=program, checkpoint_every=0.0)
    (folder / run_folder.TEST).write_text("{", encoding="utf-8")
    assert len(wrong(folder)) == 1
    jaxd2l.fit(RECIPE, DATA, 3, run_dir=folder, resume=True, program=program)
    assert content(folder) == content(expected)


@pytest.mark.parametrize(("fraction", "rows"), [(None, 40), (0.25, 30)])
def test_the_data_of_a_run_are_the_rows_that_it_was_trained_on(fraction, rows, tmp_path):
    recipe = jaxd2l.find("linear")
    config = configuration(recipe, 0, limit_train=40, validation_fraction=fraction, split_seed=0)
    (tmp_path / run_folder.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    data, whole = jaxd2l.load_run(tmp_path).data(), jaxd2l.load_data(recipe)
    assert len(data.train.x) == rows
    assert (0 if data.validation is None else len(data.validation.x)) == 40 - rows
    assert np.isin(data.train.x, whole.train.x[:40]).all()
    np.testing.assert_array_equal(data.test.x, whole.test.x)


@pytest.mark.slow
def test_other_data_are_judged_by_the_names_of_their_classes(tmp_path):
    """The labels of data with fewer classes, or in another order, are other numbers."""
    recipe = dataclasses.replace(RECIPE, epochs=1, early_stop=None)
    jaxd2l.fit(recipe, clouds(), run_dir=tmp_path / "run")
    kept = jaxd2l.load_run(tmp_path / "run", recipe)
    x, y = clouds().test
    order = np.array([2, 0, 1])
    other = clouds()._replace(test=Examples(x, np.argsort(order)[y].astype(np.int32)), classes=("c", "a", "b"))
    assert kept.evaluate(other) == kept.evaluate(clouds())
    few = clouds()._replace(train=Examples(x[y > 0], y[y > 0] - 1), test=Examples(x[y > 0], y[y > 0] - 1))
    assert kept.evaluate(few._replace(classes=("b", "c"))) == kept.evaluate(
        clouds()._replace(test=Examples(x[y > 0], y[y > 0]))
    )
    with pytest.raises(DataError, match="class d is none of the 3"):
        kept.evaluate(few._replace(classes=("b", "d")))
    with pytest.raises(DataError, match="label -1"):
        kept.evaluate(other._replace(test=Examples(x, y - 1)))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["", "clouds", "fashion_mnist"])
def test_data_that_were_given_from_python_are_never_taken_for_those_of_a_name(dataset, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1, early_stop=None, dataset=dataset)
    jaxd2l.fit(recipe, clouds(), run_dir=tmp_path / "run")
    kept = jaxd2l.load_run(tmp_path / "run", recipe)
    for ask in (kept.data, kept.evaluate):
        with pytest.raises(ValueError, match="was trained on data given from Python, which only the caller has"):
            ask()


@pytest.mark.slow
def test_other_rows_of_a_data_set_that_ships_are_told(tmp_path, monkeypatch):
    whole = clouds()._replace(name="fashion_mnist")
    monkeypatch.setattr("jaxd2l.recipes.named.load", lambda name: whole)
    recipe = dataclasses.replace(RECIPE, epochs=1, early_stop=None, dataset="fashion_mnist", image_size=5)
    monkeypatch.setattr(Recipe, "prepare", lambda self: as_stored)
    monkeypatch.setattr("jaxd2l.train.check_data._check_images", lambda x, what: None)
    monkeypatch.setattr("jaxd2l.train.check_data.require_fitting_outputs", lambda *a: SimpleNamespace(shape=(2, 3)))
    part = whole._replace(train=Examples(*(a[:40] for a in whole.train)))
    for data, told in ((whole, []), (hold_out(whole, 0.2, 1), []), (part, ["was trained on rows given from Python"])):
        jaxd2l.fit(recipe, data, run_dir=tmp_path / "run", overwrite=True)
        notes = []
        assert len(jaxd2l.load_run(tmp_path / "run", recipe).data(on_note=notes.append).test.x) == 19
        assert [words in note for words, note in zip(told, notes, strict=True)] == [True] * len(told)
