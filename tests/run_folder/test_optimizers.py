"""A run with any optimizer of optax goes on from its folder to the bits of the unbroken one, under the same name."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxd2l
from jaxd2l.data import DataError, Dataset, Examples
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.run_folder.identity import constants, identity
from jaxd2l.run_folder.settings import configuration, refuse_other_settings
from jaxd2l.train import Recipe, adam, sgd

pytestmark = pytest.mark.usefixtures("unoptimised")
Y = (np.arange(23) % 3).astype(np.int32)
X = (np.random.default_rng(0).normal(size=(23, 5)) + Y[:, None]).astype(np.float32)
DATA = Dataset("clouds", Examples(X, Y), Examples(X[:7], Y[:7]))
RECIPE = Recipe(
    name="own",
    model=Linear(3),
    dataset="clouds",
    learning_rate=0.1,
    epochs=3,
    batch_size=6,
)


class Stopped(Exception):
    pass


def keyed(rate):
    """Noise whose key is a typed key of JAX in the state, split at each update."""

    def update(gradient, key, params=None):
        key, spent = jax.random.split(key)
        leaves, tree = jax.tree.flatten(gradient)
        noise = [
            jax.random.normal(k, a.shape) for k, a in zip(jax.random.split(spent, len(leaves)), leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, [-rate * (a + 0.1 * n) for a, n in zip(leaves, noise, strict=True)]), key

    return optax.GradientTransformation(lambda params: jax.random.key(5, impl="rbg"), update)


def with_empty_arrays():
    empty = optax.GradientTransformation(lambda params: {"none": jnp.zeros((0, 3))}, lambda g, s, p=None: (g, s))
    return optax.chain(empty, optax.sgd(0.1))


def averaged():
    return optax.chain(optax.ema(0.9), optax.sgd(0.1))


def masked():
    kernels = functools.partial(jax.tree_util.tree_map_with_path, lambda path, _: path[-1].key == "kernel")
    return optax.chain(optax.masked(optax.trace(0.9), kernels), optax.sgd(0.1))


SCHEDULE = optax.cosine_decay_schedule(0.1, 12)
OPTIMIZERS = {
    "adamw and cosine": {
        "optimizer": lambda r, d: optax.adamw(r, weight_decay=d),
        "learning_rate": SCHEDULE,
        "model": MLP(hidden=(4,), num_outputs=3, dropout=(0.3,)),
    },
    "typed key": {"optimizer": keyed(0.1)},
    "noisy": {"optimizer": optax.noisy_sgd(0.1, key=3)},
    "several steps": {"optimizer": optax.MultiSteps(optax.adam(0.1), 3)},
    "average": {"optimizer": averaged()},
    "masked": {"optimizer": masked()},
    "no state": {"optimizer": optax.sgd(0.1)},
    "empty arrays": {"optimizer": with_empty_arrays()},
    "plateau": {"optimizer": optax.chain(optax.adam(0.1), optax.contrib.reduce_on_plateau(accumulation_size=50))},
    "16 bits": {"optimizer": optax.adam(0.1, mu_dtype=jnp.bfloat16)},
    "sgd and schedule": {"learning_rate": SCHEDULE, "optimizer": functools.partial(sgd, momentum=0.9)},
    "schedule-free": {"optimizer": optax.contrib.schedule_free_sgd(0.1)},
    "clipped": {"optimizer": lambda r, d: optax.adamw(r), "clip_norm": 1.0},
}


def stop_at(pieces):
    """Answer or raise at the asked piece: a run is stopped there, saved where the answer is a class."""
    left = iter(range(pieces))
    return lambda: Stopped if next(left, None) is None else None


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_that_was_stopped_ends_in_the_bits_of_the_unbroken_one(name, tmp_path):
    recipe = dataclasses.replace(RECIPE, **OPTIMIZERS[name])
    program = jaxd2l.train.compile_program(recipe, DATA)
    settings = {"seed": 4, "program": program, "chunk_seconds": 0.0}
    unbroken = jaxd2l.fit(recipe, DATA, run_dir=tmp_path / "unbroken", **settings)
    for pieces in (1, 7):
        with pytest.raises(Stopped):
            jaxd2l.fit(recipe, DATA, run_dir=tmp_path / "own", resume=True, stop=stop_at(pieces), **settings)
    done = jaxd2l.fit(recipe, DATA, run_dir=tmp_path / "own", resume=True, **settings)
    bits = [(tmp_path / run / "weights.safetensors").read_bytes() for run in ("unbroken", "own")]
    assert bits[0] == bits[1]
    assert [e[:5] for e in done.epochs] == [e[:5] for e in unbroken.epochs]
    kept = jaxd2l.load_run(tmp_path / "own", recipe=recipe)
    assert kept.evaluate(DATA) == jaxd2l.evaluate(recipe, done.state.params, {}, DATA.test)


def reduced(logits, labels, how):
    each = cross_entropy(logits, labels)
    return each if how == "mean" else len(labels) * each


def make(b1):
    return lambda r, d: optax.adamw(r, b1=b1, weight_decay=d)


def named(rate, name):
    """An optimizer of optax by its name.

    Raises:
        ValueError: of one's own.
    """
    return getattr(optax, name)(rate)


RATE = 0.3
DIFFERENT = [
    sgd,
    adam,
    functools.partial(sgd, momentum=0.9),
    functools.partial(sgd, momentum=0.8),
    make(0.9),
    make(0.8),
    lambda r, d: optax.adamw(r, weight_decay=d),
    lambda r, d: optax.adam(r),
    lambda r, d: optax.adamw(2 * r, weight_decay=d),
    lambda r, d: optax.adamw(2.5 * r, weight_decay=d),
    lambda r, d: optax.adamw(3 * r, weight_decay=d),
    lambda r, d: named(r, "sgd"),
    lambda r, d: named(r, "adam"),
    lambda r, d: named(r, name="adam"),
    lambda r, d: named(RATE if d else r, "sgd"),
    lambda r, d: optax.sgd(RATE),
    optax.sgd(0.1),
    optax.sgd(0.2),
    optax.adam(0.1),
    optax.adam(0.1, b1=0.8),
    optax.adam(optax.cosine_decay_schedule(0.1, 8)),
    optax.adam(optax.cosine_decay_schedule(0.1, 9)),
    optax.chain(optax.clip(1.0), optax.sgd(0.1)),
    optax.chain(optax.clip(2.0), optax.sgd(0.1)),
    optax.MultiSteps(optax.sgd(0.1), 2),
    optax.MultiSteps(optax.sgd(0.1), 3),
    optax.inject_hyperparams(optax.sgd)(0.1),
    optax.inject_hyperparams(optax.sgd)(0.2),
]


def test_what_trains_differently_is_described_differently():
    texts = [(identity(optimizer), constants(optimizer)) for optimizer in DIFFERENT]
    assert len(set(texts)) == len(texts)
    assert not any(" at 0x" in text or len(text) > 200 for both in texts for text in both)


def test_the_words_in_a_function_are_its_constants_and_docstrings_are_none():
    def outer(rate, decay):
        """Not a word."""

        def inner():
            """Nor this."""
            return f"ad{rate}am"

        return named(inner(), "sgd")

    assert constants(outer) == "'sgd', 'ad', 'am'"
    assert constants(sgd) == constants(optax.adam) == constants(0.1) == ""
    assert len(constants(lambda r, d: named(r, "an optimizer of my own, " * 20))) < 100


@pytest.mark.parametrize(
    "build",
    [
        lambda: make(0.9),
        lambda: optax.adam(0.1),
        lambda: functools.partial(sgd, momentum=0.9),
        lambda: optax.chain(optax.clip(1.0), optax.adamw(optax.cosine_decay_schedule(0.1, 8))),
        lambda: optax.MultiSteps(optax.sgd(0.1), 2),
        lambda: optax.inject_hyperparams(optax.adamw)(SCHEDULE),
        lambda: optax.masked(optax.sgd(0.1), {"a": True}),
        lambda: optax.lbfgs(),
        lambda: optax.scale_by_learning_rate(jnp.float32(0.1)),
        lambda: optax.scale_by_learning_rate(np.ones(3)),
        lambda: keyed(0.1),
    ],
)
def test_what_is_made_alike_is_described_alike(build):
    assert identity(build()) == identity(build())
    assert constants(build()) == constants(build())


def test_a_schedule_is_the_same_before_and_after_it_is_traced():
    schedule = optax.cosine_decay_schedule(0.1, 12)
    before = identity(schedule)
    schedule(3)
    assert identity(schedule) == before == identity(optax.cosine_decay_schedule(0.1, 12))


@pytest.mark.slow
def test_an_optimizer_or_schedule_that_changed_is_named_on_resume(tmp_path):
    recipe = dataclasses.replace(RECIPE, optimizer=make(0.9), learning_rate=SCHEDULE, epochs=1)
    jaxd2l.fit(recipe, DATA, run_dir=tmp_path / "own")
    again = functools.partial(jaxd2l.fit, data=DATA, run_dir=tmp_path / "own", resume=True)
    longer = optax.cosine_decay_schedule(0.1, 13)
    for changes, message in (
        ({"optimizer": make(0.8)}, r"with optimizer .*b1=0\.9.* \(asked: .*b1=0\.8.*\); give the same"),
        ({"optimizer": adam}, r"optimizer .* \(asked: adam\)"),
        ({"learning_rate": longer}, r"learning_rate .*decay_steps=12.* \(asked: .*decay_steps=13"),
        ({"learning_rate": 0.1}, r"learning_rate .* \(asked: 0\.1\)"),
        ({"loss": optax.softmax_cross_entropy_with_integer_labels}, r"loss cross_entropy \(asked: softmax"),
        ({"name": "other"}, r"recipe own \(asked: other\)"),
    ):
        with pytest.raises(ValueError, match=message):
            again(dataclasses.replace(recipe, **changes))
    assert again(recipe).epochs


@pytest.mark.slow
def test_a_word_in_a_function_that_changed_is_named_on_resume_and_on_opening(tmp_path):
    def rule(name):
        return {"sgd": lambda r, d: named(r, "sgd"), "adam": lambda r, d: named(r, "adam")}[name]

    mean, total = (lambda a, y: reduced(a, y, "mean")), (lambda a, y: reduced(a, y, "sum"))
    recipe = dataclasses.replace(RECIPE, optimizer=rule("sgd"), loss=mean, epochs=1)
    folder = tmp_path / "own"
    jaxd2l.fit(recipe, DATA, run_dir=folder)
    again = functools.partial(jaxd2l.fit, data=DATA, run_dir=folder, resume=True)
    for changes, message in (
        ({"optimizer": rule("adam")}, r"with constants\.optimizer 'sgd' \(asked: 'adam'\); give the same"),
        ({"loss": total}, r"with constants\.loss 'mean', .*\(asked: 'sum', .*\); give the same"),
    ):
        with pytest.raises(ValueError, match=message):
            again(dataclasses.replace(recipe, **changes))
    with pytest.raises(DataError, match=r"trained the loss with 'mean', .* but recipe own has 'sum',"):
        jaxd2l.load_run(folder, recipe=dataclasses.replace(recipe, loss=total))
    assert jaxd2l.load_run(folder, recipe=recipe)

    config = json.loads((folder / "config.json").read_bytes())
    del config["constants"]  # an earlier version's
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert again(dataclasses.replace(recipe, loss=mean, epochs=2)).epochs


def test_a_folder_of_an_earlier_version_does_not_say_its_optimizer_and_goes_on(tmp_path):
    asked = json.loads(json.dumps(configuration(RECIPE, 0)))
    earlier = {name: value for name, value in asked.items() if name not in ("optimizer", "loss", "hits")}
    refuse_other_settings(tmp_path, earlier, asked)
