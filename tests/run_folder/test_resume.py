"""Going on from any moment of a run ends in the bits of the unbroken run; what cannot train is refused."""

import dataclasses
import functools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxd2l
from jaxd2l.data import ChannelStatistics, DataError, Dataset, Examples
from jaxd2l.nn import BatchNorm, Dense, Dropout, relu
from jaxd2l.recipes import find
from jaxd2l.run_folder import configuration, recipe_of
from jaxd2l.run_folder.checkpoint import Checkpoint, Checkpoints, pack, unpack
from jaxd2l.train import DivergenceError, Recipe, adam, check_dataset, compile_program, empty_tally, evaluate, fit, sgd
from jaxd2l.train.optimizer import clipped
from jaxd2l.train.program import initial_state
from jaxd2l.train.results import Progress

pytestmark = pytest.mark.usefixtures("unoptimised")


class EverythingThatHasState(nn.Module):
    """Batch statistics and dropout in one small network."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = relu(BatchNorm()(Dense(7)(x), train=train))
        return Dense(self.num_classes)(Dropout(0.4)(x, train=train))


def _data(n=53, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n).astype(np.int32)
    x = (rng.normal(size=(n, 5)) + y[:, None]).astype(np.float32)
    return Dataset("clouds", Examples(x, y), Examples(x[:19], y[:19]), ("a", "b", "c"))


RECIPE = Recipe(
    name="small", model=EverythingThatHasState(), dataset="clouds", learning_rate=0.1, epochs=3, batch_size=7
)
OPTIMIZERS = {"momentum": functools.partial(sgd, momentum=0.9), "adam": adam, "decay": sgd}


def _bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def _results(run):
    return [result[:5] for result in run.epochs]


@pytest.fixture(scope="module", params=OPTIMIZERS)
def unbroken(request):
    """A run, its program, and its progress after every update and every piece of an evaluation."""
    recipe = dataclasses.replace(RECIPE, optimizer=OPTIMIZERS[request.param], weight_decay=0.01)
    data, moments = _data(), []
    program = compile_program(recipe, data)
    # Pieces of 0 s: the progress after each single update.
    run = fit(recipe, data, 2, program=program, on_chunk=lambda now: moments.append(pack(now)), chunk_seconds=0.0)
    like = Progress(initial_state(program, 0, 0.1, 0.01), empty_tally(program.train_steps), 1, 0, 0.0, ())
    return recipe, data, program, run, moments, like


@pytest.mark.slow
def test_a_run_goes_on_from_any_moment_with_equal_bits(unbroken):
    recipe, data, program, run, moments, like = unbroken
    places = {(facts["epoch"], facts["step"]) for _, facts in moments}
    assert {(1, 1), (1, 7), (2, 0), (2, 3), (3, 7), (4, 0)} <= places
    for arrays, facts in moments[::2]:
        start = unpack(Checkpoint(0, arrays, facts), like)
        again = fit(recipe, data, 2, program=program, start=start)
        assert _bits(again.state) == _bits(run.state), facts
        assert _results(again) == _results(run), facts


@pytest.mark.slow
def test_pieces_of_any_length_give_equal_bits(unbroken):
    recipe, data, program, run, _, _ = unbroken
    whole = fit(recipe, data, 2, program=program, chunk_seconds=1e9)
    assert _bits(whole.state) == _bits(run.state)
    assert _results(whole) == _results(run)


@pytest.mark.slow
def test_a_longer_run_begins_as_the_shorter_one(unbroken):
    recipe, data, program, run, moments, like = unbroken
    longer = dataclasses.replace(recipe, epochs=5)
    extended = fit(longer, data, 2, program=program, start=unpack(Checkpoint(0, *moments[-1]), like))
    assert _bits(extended.state) == _bits(fit(longer, data, 2, program=program).state)
    assert _results(extended)[:3] == _results(run)


@pytest.mark.slow
def test_a_start_where_the_run_never_stands_is_refused(unbroken):
    recipe, data, program, _, moments, like = unbroken
    inside = next(moment for moment in moments if (moment[1]["epoch"], moment[1]["step"]) == (2, 3))
    start = unpack(Checkpoint(0, *inside), like)
    with pytest.raises(ValueError, match="epoch 2, step 3, and the recipe ends after 1 epoch"):
        fit(dataclasses.replace(recipe, epochs=1), data, 2, program=program, start=start)
    with pytest.raises(ValueError, match=r"other data: record/loss is float32 \(7,\), expected float32 \(5,\)"):
        fit(dataclasses.replace(recipe, batch_size=9), data, 2, start=start)


@pytest.mark.slow
def test_progress_passes_through_a_checkpoint_on_disk(unbroken, tmp_path):
    recipe, data, program, run, moments, like = unbroken
    arrays, facts = moments[10]
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(10, arrays, facts)
    checkpoints.close()
    start = unpack(checkpoints.newest(pytest.fail), like)
    assert _bits(fit(recipe, data, 2, program=program, start=start).state) == _bits(run.state)


@pytest.mark.slow
def test_a_checkpoint_of_another_network_does_not_fit(unbroken):
    _, _, _, _, moments, like = unbroken
    arrays, facts = moments[3]
    wide = {**arrays, "state.params.Dense_0.kernel": np.zeros((5, 8), np.float32)}
    with pytest.raises(DataError, match=r"state\.params\.Dense_0\.kernel.*\(5, 8\)"):
        unpack(Checkpoint(3, wide, facts), like)
    cast = {**arrays, "state.params.Dense_0.bias": arrays["state.params.Dense_0.bias"].astype(np.float64)}
    with pytest.raises(DataError, match="float64"):
        unpack(Checkpoint(3, cast, facts), like)
    with pytest.raises(DataError, match=r"state\.params\.extra is not expected"):
        unpack(Checkpoint(3, {**arrays, "state.params.extra": np.zeros(2)}, facts), like)


@pytest.mark.slow
def test_divergence_tells_where_and_keeps_the_last_finite_state():
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30)
    data, seen = _data(), []
    with pytest.raises(DivergenceError, match=r"learning rate of 1e\+29, or clip_norm=1") as caught:
        fit(recipe, data, 2, on_chunk=lambda now: seen.append(pack(now)[0]), chunk_seconds=0.0)
    error = caught.value
    assert (error.epoch, error.epochs) == (1, ())
    assert error.step > 1
    assert _bits(error.state) == _bits(initial_state(compile_program(recipe, data), 2, 1e30, 0.0))
    losses = np.concatenate([arrays["record.loss"] for arrays in seen])
    assert np.isfinite(losses).all(), "a progress with a non-finite loss is never shown"


@pytest.mark.slow
def test_parameters_that_overflow_in_the_last_update_are_divergence_too():
    data = _data(n=7)
    recipe = dataclasses.replace(RECIPE, learning_rate=3e38, epochs=1)  # the largest float32 is 3.4e38

    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x, *, train: bool):
            return Dense(3)(x)

    with pytest.raises(DivergenceError) as caught:
        fit(dataclasses.replace(recipe, model=Plain()), data._replace(test=data.train), 0)
    assert (caught.value.epoch, caught.value.step) == (1, 1)
    assert np.isfinite(caught.value.loss)


@pytest.mark.slow
def test_clipping_bounds_the_step_and_leaves_short_gradients_alone():
    params = {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}
    gradient = {"kernel": jnp.full((2, 3), 3.0), "bias": jnp.full(3, -4.0)}
    norm = float(np.sqrt(6 * 9 + 3 * 16))

    def step(optimizer):
        return optimizer.update(gradient, optimizer.init(params), params)[0]

    plain, long, short = step(sgd(0.1)), step(clipped(sgd(0.1), 2.0)), step(clipped(sgd(0.1), norm + 1))
    assert _bits(short) == _bits(plain)
    np.testing.assert_allclose(np.sqrt(sum(float(jnp.sum(u**2)) for u in jax.tree.leaves(long))), 0.1 * 2.0, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(long), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, np.asarray(b) * 2.0 / norm, rtol=1e-6)


@pytest.mark.slow
def test_a_clipped_run_survives_a_rate_at_which_the_plain_one_diverges():
    recipe = dataclasses.replace(RECIPE, learning_rate=50.0, model=EverythingThatHasState())
    clipped_run = fit(dataclasses.replace(recipe, clip_norm=1e-3), _data(), 0)
    assert all(np.isfinite(result.train_loss) for result in clipped_run.epochs)
    with pytest.raises(ValueError, match="clip_norm must be a positive number, got 0"):
        dataclasses.replace(recipe, clip_norm=0)


def _images(x=None, y=None):
    x = np.zeros((11, 28, 28, 1), np.uint8) if x is None else x
    y = np.arange(len(x), dtype=np.int32) % 3 if y is None else y
    part = Examples(x, y)
    return Dataset("images", part, part, ("a", "b", "c"))


IMAGES = dataclasses.replace(RECIPE, image_size=28)
ROWS = np.zeros((11, 5), np.float32)
LABELS = np.arange(11, dtype=np.int32) % 3
REFUSED = {
    "a label out of range": (RECIPE, _images(ROWS, LABELS + 1), "label 3 at row 2 .*expected 0 to 2"),
    "a negative label": (RECIPE, _images(ROWS, LABELS - 1), "label -1 at row 0"),
    "a column of labels": (RECIPE, _images(ROWS, LABELS[:, None]), r"labels must be integers of shape \(11,\)"),
    "labels that are floats": (RECIPE, _images(ROWS, LABELS.astype(np.float32)), "integers"),
    "a NaN": (RECIPE, _images(np.where(np.eye(11, 5) > 0, np.nan, ROWS).astype(np.float32), LABELS), "not finite"),
    "float64": (RECIPE, _images(ROWS.astype(np.float64), LABELS), "float64.*astype"),
    "no example": (RECIPE, _images(ROWS[:0], LABELS[:0]), "no example"),
    "unequal counts": (RECIPE, _images(ROWS, LABELS[:7]), "11 inputs but 7 targets"),
    "a batch larger than the data": (dataclasses.replace(RECIPE, batch_size=13), _images(ROWS, LABELS), "batch size"),
    "float images": (IMAGES, _images(np.zeros((11, 28, 28, 1), np.float32)), "float32.*expected uint8"),
    "images without a channel": (IMAGES, _images(np.zeros((11, 28, 28), np.uint8)), "adds the channel"),
    "channels first": (IMAGES, _images(np.zeros((11, 3, 28, 28), np.uint8)), "channels first"),
    "images without a pixel": (IMAGES, _images(np.zeros((11, 0, 28, 1), np.uint8)), "without a pixel"),
    "a test part of another shape": (
        RECIPE,
        _images(ROWS, LABELS)._replace(test=Examples(np.zeros((11, 7), np.float32), LABELS)),
        "prepare both alike",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_fit_refuses_before_anything_is_traced(what, monkeypatch):
    recipe, data, message = REFUSED[what]

    def traced(*args, **kwargs):
        raise AssertionError("traced")

    monkeypatch.setattr(jax, "jit", traced)
    monkeypatch.setattr(jax, "eval_shape", traced)
    with pytest.raises(ValueError, match=message):
        fit(recipe, data, 0)


def test_evaluate_refuses_the_same():
    with pytest.raises(DataError, match="label 3 at row 2"):
        evaluate(RECIPE, {}, {}, Examples(ROWS, LABELS + 1))
    with pytest.raises(DataError, match="channels first"):
        evaluate(IMAGES, {}, {}, Examples(np.zeros((11, 3, 28, 28), np.uint8), LABELS))
    for size in (0, -1):
        with pytest.raises(ValueError, match="batch_size must be at least 1"):
            evaluate(RECIPE, {}, {}, Examples(ROWS, LABELS), size)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "1", None])
def test_a_seed_that_would_wrap_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0 to 4294967295"):
        fit(RECIPE, _data(), seed)


def test_64_bit_labels_are_small_numbers_and_are_narrowed_knowingly():
    data = _images(ROWS, LABELS.astype(np.int64))
    checked = check_dataset(RECIPE, data)
    assert checked.train.y.dtype == np.int32
    np.testing.assert_array_equal(checked.train.y, LABELS)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run of one epoch in a folder."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    run = jaxd2l.fit(dataclasses.replace(RECIPE, epochs=1), _data(), run_dir=folder)
    assert run.compile_seconds > 0
    return folder


def _files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"worker": 2}, TypeError, "unexpected keyword argument 'worker'"),
        ({"weights": ({}, {})}, ValueError, "init_from"),
        ({"start": None}, ValueError, "resume=True"),
        ({"best_weights": dict}, ValueError, "leave best_weights out"),
        ({"with_test": False}, ValueError, "with_test"),
        ({"keep": 0}, ValueError, "keep 1 or more"),
        ({"checkpoint_every": -1.0}, ValueError, "checkpoint_every"),
        ({"checkpoint_every": float("nan")}, ValueError, "checkpoint_every"),
        ({"keep": 1.5}, ValueError, "keep 1 or more"),
        ({"program": "of another recipe"}, ValueError, "batch_size"),
        ({"init_weights": "best"}, ValueError, "init_from=..."),
        ({"settings": {"epochs": 7}}, ValueError, "'epochs'"),
        ({"settings": {"seed": 7}}, ValueError, "'seed'"),
        ({"settings": {"note": object()}}, ValueError, "note is <object.* cannot hold"),
        ({"settings": {"note": float("nan")}}, ValueError, "note is nan"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_call_that_cannot_be_made_leaves_the_run_it_would_replace(kept, options, error, message):
    if "program" in options:
        options = {"program": compile_program(dataclasses.replace(RECIPE, batch_size=9), _data())}
    before = _files(kept)
    with pytest.raises(error, match=message):
        jaxd2l.fit(RECIPE, _data(), run_dir=kept, overwrite=True, **options)
    assert _files(kept) == before


@pytest.mark.slow
def test_without_a_folder_a_run_is_stopped_and_told_of_alike():
    told = []
    with pytest.raises(InterruptedError, match="epoch 1, step 1; without run_dir"):
        jaxd2l.fit(RECIPE, _data(), stop=lambda: InterruptedError, on_start=told.append, chunk_seconds=0.0)
    assert told == [None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": {"note": 1}}, "settings"),
        ({"init_weights": "best"}, "init_from=..."),
        ({"init_from": ({}, {}), "weights": ({}, {})}, "init_from and weights"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_would_be_left_out_without_a_folder_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jaxd2l.fit(RECIPE, _data(), **options)


@pytest.mark.slow
def test_a_run_that_is_asked_for_fewer_epochs_ends_with_those_it_has(tmp_path):
    def stop():
        return InterruptedError if jaxd2l.run_folder.whole_rows(tmp_path / "run") else None

    with pytest.raises(InterruptedError):
        jaxd2l.fit(RECIPE, _data(), run_dir=tmp_path / "run", stop=stop)
    shorter = dataclasses.replace(RECIPE, epochs=1)
    run = jaxd2l.fit(shorter, _data(), run_dir=tmp_path / "run", resume=True)
    assert (len(run.epochs), run.recipe.epochs) == (1, 1)
    assert jaxd2l.load_run(tmp_path / "run", RECIPE).finished


@pytest.mark.slow
def test_a_run_that_goes_on_still_says_where_data_and_network_come_from(tmp_path):
    recipe, folder = dataclasses.replace(RECIPE, epochs=1), tmp_path / "run"
    jaxd2l.fit(recipe, _data(), run_dir=folder)
    config = json.loads((folder / "config.json").read_bytes())
    where = {"own_data": {"data": "clouds"}, "code": {"name": "clouds.py:Net"}}
    (folder / "config.json").write_text(json.dumps({**config, **where}), encoding="utf-8")
    run = jaxd2l.fit(dataclasses.replace(recipe, epochs=2), _data(), run_dir=folder, resume=True)
    assert len(run.epochs) == 2
    assert where.items() <= json.loads((folder / "config.json").read_bytes()).items()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [{"seed": None}, {"seed": "x"}, {"data": {"classes": 5}}])
def test_a_damaged_seed_or_list_of_classes_is_said_to_be_one(kept, damage):
    text = (kept / "config.json").read_bytes()
    (kept / "config.json").write_text(json.dumps({**json.loads(text), **damage}), encoding="utf-8")
    try:
        with pytest.raises(DataError, match=r"config\.json: expected"):
            jaxd2l.load_run(kept, RECIPE)
    finally:
        (kept / "config.json").write_bytes(text)


def _asked(folder, recipe):
    (folder / "config.json").write_text(json.dumps(configuration(recipe, 0, _data())), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("convnet", {"augment": None}),
        ("lenet_tuned", {"nesterov": False, "momentum": 0.0, "weight_decay": 0.0}),
        ("softmax", {"statistics": ChannelStatistics((0.5,), (0.25,)), "clip_norm": 1.0, "ema": 0.9}),
    ],
)
def test_a_folder_is_opened_as_the_recipe_that_was_varied(tmp_path, name, changes):
    recipe = dataclasses.replace(find(name), **changes)
    assert recipe_of(_asked(tmp_path, recipe))[0] == recipe


def test_another_loss_than_the_one_trained_is_refused(tmp_path):
    recipe = dataclasses.replace(find("softmax"), loss=lambda outputs, labels: 2 * outputs[:, 0])
    with pytest.raises(DataError, match=r"trained the loss .* but recipe softmax has cross_entropy"):
        recipe_of(_asked(tmp_path, recipe))
    assert recipe_of(tmp_path, recipe)[0].loss is recipe.loss


class Activated(nn.Module):
    """A network with functions in a field."""

    activations: tuple = (functools.partial(nn.leaky_relu, negative_slope=0.2), nn.relu)


def test_functions_within_a_network_are_known_by_their_names_not_by_where_they_lie(tmp_path):
    recipe = dataclasses.replace(RECIPE, model=Activated())
    config = configuration(recipe, 0)
    assert "leaky_relu" in config["model"]
    assert "0x" not in config["model"]
    config["model"] = repr(recipe.model).replace(" at 0x", " at 0xf")  # as an earlier version wrote it elsewhere
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert recipe_of(tmp_path, recipe)[0] == recipe
    other = dataclasses.replace(RECIPE, model=Activated((nn.relu, nn.relu)))
    with pytest.raises(DataError, match="trained the network"):
        recipe_of(tmp_path, other)
