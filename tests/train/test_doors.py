"""At every door, numbers of any type and layout train as the same float32 numbers would, or are refused."""

import dataclasses
import functools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jaxd2l
from jaxd2l.data import ChannelStatistics, DataError, Dataset, Examples
from jaxd2l.nn import Dense, cross_entropy
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.selection import sweep as sweep_module
from jaxd2l.selection.folds import assign_folds, fold_rows, same_in_every_fold
from jaxd2l.selection.grid import Point, grid
from jaxd2l.selection.kfold import kfold
from jaxd2l.selection.sweep import Method, sweep
from jaxd2l.train import Recipe, compile_program, evaluate, evaluation, fit
from jaxd2l.train.program import COMPILED, identity, require_same_program

pytestmark = pytest.mark.usefixtures("unoptimised")

N = 11
REGRESSION = Recipe(
    name="regression",
    model=Linear(),
    dataset="own",
    learning_rate=0.01,
    epochs=2,
    batch_size=4,
    loss=squared_error,
    hits=None,
)
CLASSES = dataclasses.replace(REGRESSION, name="classes", model=MLP(hidden=(3,), num_outputs=3), loss=cross_entropy)
CLASSES = dataclasses.replace(CLASSES, hits=Recipe.hits)
IMAGES = dataclasses.replace(CLASSES, name="images", image_size=5)
RECIPES = {recipe.name: recipe for recipe in (REGRESSION, CLASSES, IMAGES)}
TYPES = {
    **{f"int{bits}": [f"{order}i{bits // 8}" for order in "<>"] for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": [f"{order}u{bits // 8}" for order in "<>"] for bits in (8, 16, 32, 64)},
    "half": ["<f2", ">f2"],
    "single": ["<f4", ">f4"],
    "bfloat16": [ml_dtypes.bfloat16],
    "float8": [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2],
    "bool": [bool],
}


def values(recipe):
    rng = np.random.default_rng(2)
    shape = (N, 6, 6, 1) if recipe.image_size else (N, 4)
    return rng.integers(0, 2, shape), rng.integers(0, 2, N if recipe.takes_labels else (N, 1))


def layouts(a):
    locked = a.copy()
    locked.flags.writeable = False
    apart = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)[..., ::2]
    apart[...] = a
    packed = np.zeros(len(a), np.dtype([("gap", "i1"), ("a", a.dtype, a.shape[1:])]))  # aligned to nothing
    packed["a"] = a
    return {
        "as it is": a,
        "locked": locked,
        "Fortran": np.asfortranarray(a),
        "apart": apart,
        "backwards": a[::-1].copy()[::-1],
        "in a record": packed["a"],
        "not masked": np.ma.array(a),
    }


@functools.cache
def program_of(recipe, x, y):
    x, y = (np.zeros(shape, dtype) for shape, dtype in (x, y))
    return compile_program(recipe, Dataset("own", Examples(x, y), Examples(x, y)))


def compiled_once(recipe, data):
    from jaxd2l.train.program import stored

    return program_of(recipe, *((a.shape, np.dtype(a.dtype)) for a in stored(recipe, data.train)))


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


@functools.cache
def expected(name, inputs):
    recipe = RECIPES[name]
    x, y = values(recipe)
    part = Examples(x.astype(inputs), y.astype(np.float32))
    part = part._replace(y=y.astype(np.int32)) if recipe.takes_labels else part
    data = Dataset("own", part, part)
    run = fit(recipe, data, program=compiled_once(recipe, data))
    return bits(run.state), evaluate(recipe, run.state.params, {}, part), run.state.params


def in_every_form(kind, *arrays):
    """The arrays in each type of a kind, every layout in one of them."""
    for i, dtype in enumerate(TYPES[kind]):
        for layout in list(layouts(np.zeros((1, 1))))[i :: len(TYPES[kind])]:
            yield dtype, [layouts(a.astype(dtype))[layout] for a in arrays]


def plain_inputs(dtype):
    """The plain form of inputs of a type, in NumPy's numbers: bytes are read as shares of 255, all else as it is."""
    return np.uint8 if np.dtype(dtype) == np.uint8 else np.float32


@pytest.fixture(scope="module", autouse=True)
def judged_by_one_program():
    """Examples of equal shapes and types are judged by a program that is compiled once for each network."""
    programs, compiled = {}, evaluation.compiled

    def once(function, arguments, **options):
        shapes = str(jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), arguments))
        if shapes not in programs:
            programs[shapes] = compiled(function, arguments, **options)
        return programs[shapes]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "compiled", once)
        yield


def train_and_judge(name, x, y):
    recipe, (state, judged, params) = RECIPES[name], expected(name, plain_inputs(x.dtype))
    part = Examples(x, y)
    data = Dataset("own", part, part)
    assert bits(fit(recipe, data, program=compiled_once(recipe, data)).state) == state
    assert evaluate(recipe, params, {}, part) == judged


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [*(("regression", kind) for kind in TYPES), *(("classes", kind) for kind in ("uint8", "half"))]
)
def test_inputs_of_every_type_and_layout_train_as_float32(name, kind):
    recipe = RECIPES[name]
    x, y = values(recipe)
    for _, (form,) in in_every_form(kind, x):
        train_and_judge(name, form, y.astype(np.int32 if recipe.takes_labels else np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", RECIPES)
def test_targets_of_every_type_and_layout_train_as_float32_or_as_labels(name, kind):
    recipe = RECIPES[name]
    x, y = values(recipe)
    x = x.astype(np.uint8 if recipe.image_size else np.float32)
    for dtype, (form,) in in_every_form(kind, y):
        if not recipe.takes_labels or np.issubdtype(dtype, np.integer):
            train_and_judge(name, x, form)
            continue
        part = Examples(x, form)
        for call in (fit, lambda recipe, data: evaluate(recipe, {}, {}, data.test)):
            with pytest.raises(DataError, match=r"labels must be integers of shape \(11,\), got"):
                call(recipe, Dataset("own", part, part))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
def test_a_sweep_takes_what_fit_takes(kind, monkeypatch):
    monkeypatch.setattr(sweep_module, "compile_program", compiled_once)
    x, y = values(REGRESSION)

    def losses(x, y):
        part, rates = Examples(x, y), Point(0.01)
        return sweep(REGRESSION, Dataset("own", part, part), (rates,), (0,), method=Method.LOOP)[rates, 0].train_loss

    for dtype, (inputs, targets) in in_every_form(kind, x, y):
        np.testing.assert_array_equal(
            losses(inputs, targets), losses(x.astype(plain_inputs(dtype)), y.astype(np.float32))
        )


@pytest.mark.parametrize("kind", TYPES)
def test_folds_of_every_type_and_layout_hold_the_same_numbers(kind):
    x, y = values(REGRESSION)
    fold = assign_folds(N, 3, 0)
    plain = fold_rows(same_in_every_fold(Examples(x, y), fold))
    for dtype, (*rows, form) in in_every_form(kind, x, y, fold[:, None]):
        integers = np.issubdtype(dtype, np.integer)
        found = fold_rows(same_in_every_fold(Examples(*rows), form[:, 0] if integers else fold))
        for array, wanted in ((found.x, x), (found.y, y)):
            assert array.dtype.itemsize <= 4
            np.testing.assert_array_equal(np.asarray(array, np.float32), np.broadcast_to(wanted, array.shape))
        np.testing.assert_array_equal(found.train.indices, plain.train.indices)


@pytest.mark.slow
def test_k_fold_trains_them_as_float32():
    x, y = values(REGRESSION)

    def params(dtype):
        folds = same_in_every_fold(Examples(x.astype(dtype), y.astype(dtype)), assign_folds(N, 3, 0))
        settings = {"epochs": 2, "batch_size": 4, "optimizer": "sgd"}
        return bits(kfold(lambda _: Linear(), folds, grid((0.01,)), **settings).params)

    plain = params(np.float32)
    assert [dtype for dtype in (">i8", bool, ml_dtypes.bfloat16) if params(dtype) != plain] == []


BAD = {
    "64-bit floats": (np.zeros((N, 4)), "float64"),
    "long doubles": (np.zeros((N, 4), np.longdouble), "real numbers"),
    "a NaN": (np.where(np.eye(N, 4) > 0, np.nan, 0).astype(np.float32), "not finite at row 0"),
    "a NaN of 8 bits": (np.full((N, 4), np.nan, ml_dtypes.float8_e4m3fn), "not finite at row 0"),
    "an infinity": (np.full((N, 4), -np.inf, np.float16), "not finite at row 0"),
    "large": (np.full((N, 4), 2**31, np.uint32), "hold 2147483648 at row 0"),
    "odd": (np.full((N, 4), 2**24 + 1), "hold 16777217 at row 0"),
    "text": (np.full((N, 4), "1"), "real numbers"),
    "objects": (np.full((N, 4), None), "real numbers"),
    "complex": (np.zeros((N, 4), complex), "real numbers"),
    "spans": (np.zeros((N, 4), "m8[s]"), "real numbers"),
    "masked": (np.ma.array(np.zeros((N, 4)), mask=np.eye(N, 4)), "masked at row 0"),
    "one masked number": (np.ma.array(1.0, mask=True), "are masked;"),
    "rows without a number": (np.zeros((N, 0), np.float32), r"shape \(11, 0\), rows without a number"),
    "one number": (np.float32(1), "an array|without an axis"),
    "lists": ([[1.0] * 4] * N, "expected an array of NumPy or JAX"),
    "nothing": (None, "expected an array of NumPy or JAX"),
}


def doors(part, target):
    """Each door as a call on these inputs and targets."""
    data = Dataset("own", Examples(part, target), Examples(part, target))
    return {
        "fit": lambda: fit(REGRESSION, data),
        "evaluate": lambda: evaluate(REGRESSION, {}, {}, data.test),
        "sweep": lambda: sweep(REGRESSION, data, (Point(0.1),), (0,)),
        "k-fold": lambda: kfold(
            lambda _: Linear(),
            same_in_every_fold(data.train, assign_folds(N, 3, 0)),
            grid((0.1,)),
            epochs=1,
            batch_size=2,
        ),
    }


@pytest.mark.parametrize("side", ["inputs", "targets"])
@pytest.mark.parametrize("name", BAD)
def test_every_door_refuses_the_same_before_tracing(name, side, monkeypatch):
    def traced(*args, **kwargs):
        raise AssertionError("traced")

    monkeypatch.setattr(jax, "jit", traced)
    bad, message = BAD[name]
    good = np.zeros((N, 1 if side == "inputs" else 4), np.float32)
    for door, call in doors(*((bad, good) if side == "inputs" else (good, bad))).items():
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert side in str(caught.value), door


LABELS = np.arange(N, dtype=np.int32) % 3
ROWS = np.zeros((N, 4), np.float32)


class Own(nn.Module):
    """A network whose fields say nothing of its outputs."""

    shape: tuple = (3,)

    @nn.compact
    def __call__(self, x, *, train: bool):
        return Dense(int(np.prod(self.shape)))(x).reshape(len(x), *self.shape)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, ">u2"])
@pytest.mark.parametrize("wrong", [3, 100])
def test_a_label_that_the_network_has_no_output_for_is_refused_at_every_door(dtype, wrong, monkeypatch):
    def compiled(*args, **kwargs):
        raise AssertionError("compiled")

    monkeypatch.setattr(jax, "jit", compiled)
    labels = LABELS.astype(dtype)
    labels[4] = wrong
    recipe = dataclasses.replace(CLASSES, model=Own())
    data = Dataset("own", Examples(ROWS, labels), Examples(ROWS, LABELS))
    folds = same_in_every_fold(data.train, assign_folds(N, 3, 0))
    calls = (
        lambda: fit(recipe, data),
        lambda: fit(recipe, data._replace(train=data.test, test=data.train)),
        lambda: evaluate(recipe, {}, {}, data.train),
        lambda: sweep(recipe, data, (Point(0.1),), (0,)),
        lambda: kfold(lambda _: Own(), folds, grid((0.1,)), epochs=1, batch_size=2, loss=cross_entropy),
    )
    for call in calls:
        with pytest.raises(DataError, match=rf"label {wrong} at row 4 .*expected 0 to 2"):
            call()


@pytest.mark.slow
def test_a_label_without_a_name_is_refused_though_the_network_is_wider():
    wide = dataclasses.replace(CLASSES, model=Own((5,)))
    part = Examples(ROWS, LABELS)
    with pytest.raises(DataError, match=r"label 2 at row 2 .*expected 0 to 1"):
        fit(wide, Dataset("own", part, part, ("a", "b")))
    assert fit(wide, Dataset("own", part, part, ("a", "b", "c"))).epochs
    assert fit(wide, Dataset("own", part, part)).epochs


@pytest.mark.parametrize(
    ("changes", "y", "message"),
    [
        ({"model": Own((2, 3))}, LABELS, r"gives \(n, 2, 3\) .*expected \(n, classes\)"),
        ({"model": Own(())}, LABELS, r"gives \(n,\) .*expected \(n, classes\)"),
        ({"model": Own((2,)), "loss": squared_error, "hits": None}, ROWS[:, :1], r"targets are \(n, 1\)"),
        ({"model": Own(()), "loss": squared_error, "hits": None}, ROWS[:, :1], r"gives \(n,\)"),
        ({"model": Own((1,)), "loss": squared_error, "hits": None}, ROWS[:, 0], r"targets are \(n,\)"),
        ({"loss": lambda o, y: jnp.mean(o), "hits": None}, ROWS, r"makes one number, expected one value an example"),
        ({"loss": lambda o, y: (o - y) ** 2, "hits": None, "model": Own((4,))}, ROWS, r"makes \(n, 4\), expected one"),
        ({"hits": lambda o, y: jnp.mean(o)}, LABELS, r"hits makes one number, expected one value an example"),
    ],
)
def test_outputs_that_do_not_fit_are_refused_with_both_shapes(changes, y, message):
    part = Examples(ROWS, y)
    with pytest.raises(ValueError, match=message):
        fit(dataclasses.replace(CLASSES, **changes), Dataset("own", part, part))


OTHER = {
    "model": Own(),
    "batch_size": 2,
    "image_size": 4,
    "augment": "flip",
    "precision": "bfloat16",
    "remat": True,
    "accumulate": 2,
    "clip_norm": 1.0,
    "optimizer": "adam",
    "loss": squared_error,
    "hits": None,
    "statistics": ChannelStatistics((0.5,), (0.25,)),
    "mixup": 0.2,
    "label_smoothing": 0.1,
    "class_weights": (1.0, 2.0, 3.0),
    "ema": 0.9,
    "freeze": ("Dense_0/*",),
    "momentum": 0.5,
    "nesterov": True,
    "schedule": "cosine",
    "warmup": 0.5,
    "step_epochs": 2,
    "step_factor": 0.5,
}
ALONE_WITHOUT_MEANING = {
    "nesterov": {"momentum": 0.9},
    "step_epochs": {"schedule": "step", "step_epochs": 1},
    "step_factor": {"schedule": "step", "step_epochs": 1},
}
NOT_COMPILED_IN = {
    *("name", "dataset", "source", "parameters", "macs", "published"),  # they name and cite
    *("learning_rate", "weight_decay", "epochs", "early_stop"),  # numbers in the state, or of the loop around
}


@pytest.mark.slow
@pytest.mark.parametrize("field", OTHER)
def test_a_program_is_of_one_recipe_in_every_field(field):
    assert set(OTHER) == set(COMPILED) == {f.name for f in dataclasses.fields(Recipe)} - NOT_COMPILED_IN
    x, y = values(IMAGES)
    part = Examples(x.astype(np.uint8), y.astype(np.int32))
    data = Dataset("own", part, part)
    base = dataclasses.replace(IMAGES, **ALONE_WITHOUT_MEANING.get(field, {}))
    program = dataclasses.replace(compiled_once(IMAGES, data), recipe=base)
    other = dataclasses.replace(base, **{field: OTHER[field]})
    assert identity(other) != identity(base), "functions of one are not those of the other"
    with pytest.raises(ValueError, match=f"compiled with {field} .*compile one for this recipe, or leave program out"):
        require_same_program(program, other, data)


def test_a_recipe_takes_numbers_of_numpy_and_jax_as_pythons():
    asked = {"learning_rate": 0.5, "weight_decay": 0.25, "batch_size": 8, "epochs": 2, "accumulate": 2}
    asked |= {"clip_norm": 1.0, "ema": 0.75, "momentum": 0.5, "nesterov": True, "warmup": 0.5, "mixup": 0.5}
    asked |= {"label_smoothing": 0.25, "class_weights": [1.0, 2.0, 0.0], "freeze": ["Dense_0/*"], "remat": True}
    plain = dataclasses.replace(CLASSES, **asked).settings()
    kinds = [np.asarray, lambda value: value if isinstance(value, list) else np.asarray(value)[()]]
    kinds += [lambda value: value if isinstance(value, list) else jnp.asarray(value)]
    kinds += [lambda value: tuple(map(np.asarray, value)) if isinstance(value, list) else value]
    for kind in kinds:
        found = dataclasses.replace(CLASSES, **{name: kind(value) for name, value in asked.items()}).settings()
        assert json.dumps(found) == json.dumps(plain)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["regression", "classes"])
def test_weights_that_nothing_can_be_computed_with_are_refused_by_name_not_called_divergence(name, bad, tmp_path):
    recipe, (x, y) = RECIPES[name], values(RECIPES[name])
    part = Examples(x.astype(np.float32), y.astype(np.int32 if recipe.takes_labels else np.float32))
    data = Dataset("own", part, part, tuple("abc") if recipe.takes_labels else ())
    params = jax.tree.map(np.array, fit(recipe, data).state.params)
    layer = sorted(params)[-1]
    params[layer]["kernel"][1, 0] = bad
    for keep in ({}, {"run_dir": tmp_path / "run"}):
        begin = {"init_from": (params, {})} if keep else {"weights": (params, {})}
        with pytest.raises(ValueError, match=rf"{layer}.kernel has 1 (NaN|infinite) of .* the first at \(1, 0\)"):
            (jaxd2l.fit if keep else fit)(recipe, data, **begin, **keep)
    assert not (tmp_path / "run").exists()


class DrawsNaN(nn.Module):
    """Its initialiser divides by zero."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        scale = self.param("scale", lambda key, shape: jnp.full(shape, jnp.nan), (x.shape[-1],))
        return Linear()(x * scale[None], train=train)


@pytest.mark.slow
def test_a_network_that_draws_no_numbers_is_told_so(tmp_path):
    x, y = values(REGRESSION)
    part = Examples(x.astype(np.float32), y.astype(np.float32))
    recipe = dataclasses.replace(REGRESSION, model=DrawsNaN())
    with pytest.raises(ValueError, match=r"draws weights that nothing .*: 4 of .* params/scale has 4 NaN"):
        fit(recipe, Dataset("own", part, part))
