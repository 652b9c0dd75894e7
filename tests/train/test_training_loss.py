"""What training minimises: smoothed, weighted or mixed, drawn from the update's key; what is judged is none of it."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from begun import begun

from jaxd2l.data import Dataset, Examples, balanced_class_weights, random_mixing
from jaxd2l.nn import cross_entropy, hits, squared_error
from jaxd2l.nn.models import Linear
from jaxd2l.recipes import find
from jaxd2l.run_folder.checkpoint import Checkpoint, pack, unpack
from jaxd2l.train import Batch, Recipe, compile_program, evaluate, fit, make_judge, sgd
from jaxd2l.train.loop import beginning
from jaxd2l.train.program import initial_state

pytestmark = pytest.mark.usefixtures("unoptimised")
RNG = np.random.default_rng(0)
Y = (np.arange(23) % 3).astype(np.int32)
X = (RNG.normal(size=(23, 5)) + Y[:, None]).astype(np.float32)
DATA = Dataset("clouds", Examples(X, Y), Examples(X[:7], Y[:7]))
MODEL = Linear(3)
RECIPE = Recipe(name="own", model=MODEL, dataset="clouds", learning_rate=0.1, epochs=2, batch_size=6)
KEY = 5


def batch(rows, weight=None):
    rows = np.asarray(rows)
    return Batch(jnp.asarray(X[rows]), jnp.asarray(Y[rows]), jnp.ones(len(rows)) if weight is None else weight)


PADDED = batch([0, 1, 2, 4, 5, 0, 0], jnp.asarray([1.0] * 5 + [0.0] * 2))


def updated(given, **changes):
    """State and tally after one update from the same start."""
    recipe = dataclasses.replace(RECIPE, **changes)
    state = begun(MODEL, recipe.make_optimizer(), jax.random.key(0), X[:1])
    return jax.jit(recipe.make_step())(state, given, jax.random.key(KEY))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "batch_size": 6}])
def test_class_weights_are_repeated_examples(changes):
    rows = [0, 1, 2, 4, 5, 9]
    repeated = [row for row in rows for _ in range((1, 3, 2)[Y[row]])]
    weighted, tally = updated(batch(rows), class_weights=(1.0, 3.0, 2.0), **changes)
    expected, whole = updated(batch(repeated))
    chex.assert_trees_all_close(weighted.params, expected.params, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(tally.loss / tally.examples, whole.loss / whole.examples, rtol=1e-6)
    assert tally.examples == 6


@pytest.mark.slow
def test_the_mean_over_a_padded_batch_is_that_of_pytorch():
    weights, smoothing = jnp.asarray([0.5, 2.0, 3.0]), 0.1
    state, tally = updated(PADDED, class_weights=(0.5, 2.0, 3.0), label_smoothing=smoothing)
    start = begun(MODEL, sgd(0.1), jax.random.key(0), X[:1])
    x, y = PADDED.x[:5], PADDED.y[:5]

    def mean_loss(params):  # torch.nn.CrossEntropyLoss(weights, label_smoothing=...)
        log_p = jax.nn.log_softmax(MODEL.apply({"params": params}, x, train=True))
        target = (1 - smoothing) * jax.nn.one_hot(y, 3) + smoothing / 3
        return jnp.sum(-weights[None, :] * target * log_p) / jnp.sum(weights[y])

    loss, gradient = jax.value_and_grad(mean_loss)(start.params)
    np.testing.assert_allclose(tally.loss / tally.examples, loss, rtol=1e-6)
    chex.assert_trees_all_close(
        state.params, jax.tree.map(lambda p, g: p - 0.1 * g, start.params, gradient), rtol=1e-6, atol=1e-7
    )


@pytest.mark.slow
def test_a_batch_of_classes_without_weight_moves_nothing():
    state, tally = updated(batch([0, 3, 6]), class_weights=(0.0, 1.0, 1.0))
    start = begun(MODEL, sgd(0.1), jax.random.key(0), X[:1])
    chex.assert_trees_all_equal(state.params, start.params)
    assert tally.loss == 0


@pytest.mark.slow
def test_what_is_judged_is_neither_smoothed_nor_weighted_nor_mixed():
    changed = dataclasses.replace(RECIPE, label_smoothing=0.2, class_weights=(1.0, 3.0, 2.0), mixup=1.0)
    params = begun(MODEL, sgd(0.1), jax.random.key(0), X[:1]).params
    found = [make_judge(MODEL, recipe.objective())(params, {}, batch(range(7))) for recipe in (RECIPE, changed)]
    chex.assert_trees_all_equal(*found)
    assert evaluate(changed, params, {}, DATA.test) == evaluate(RECIPE, params, {}, DATA.test)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_partners_are_a_permutation_of_the_real_examples_wherever_they_stand(seed):
    weight = jnp.asarray([1.0, 0, 1, 1, 0, 1, 1, 0])
    real = np.flatnonzero(weight)
    mixing = random_mixing(jax.random.key(seed), weight, 0.4)
    assert sorted(np.asarray(mixing.partner)[real].tolist()) == real.tolist()
    assert 0.5 <= mixing.share <= 1


@pytest.mark.slow
def test_the_share_is_drawn_from_beta_and_is_the_larger_of_the_two():
    shares = jax.vmap(lambda key: random_mixing(key, jnp.ones(2), 0.4).share)(jax.random.split(jax.random.key(0), 4000))
    # of Beta(a, a), the variance is 1 / (4 (2 a + 1)), whichever of the two shares is taken
    np.testing.assert_allclose(jnp.mean((shares - 0.5) ** 2), 1 / (4 * 1.8), rtol=0.05)
    assert random_mixing(jax.random.key(0), jnp.ones(2), 1e8).share == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.4, 1e8])
def test_mixup_is_the_update_written_by_hand_and_padding_has_no_part_in_it(alpha):
    given, weight = PADDED, PADDED.weight
    state, tally = updated(given, mixup=alpha)
    other = given._replace(x=given.x.at[5:].set(77.0), y=given.y.at[5:].set(2))
    chex.assert_trees_all_equal(state.params, updated(other, mixup=alpha)[0].params)

    start = begun(MODEL, sgd(0.1), jax.random.key(0), X[:1])
    mixing = random_mixing(jax.random.split(jax.random.key(KEY))[0], weight, alpha)
    x, y, partner = given.x[:5], given.y[:5], mixing.partner[:5]
    share = 0.5 if alpha == 1e8 else mixing.share

    def mean_loss(params):
        output = MODEL.apply({"params": params}, share * x + (1 - share) * x[partner], train=True)
        loss = share * cross_entropy(output, y) + (1 - share) * cross_entropy(output, y[partner])
        return jnp.mean(loss), jnp.sum(hits(output, y))

    (loss, right), gradient = jax.value_and_grad(mean_loss, has_aux=True)(start.params)
    tolerance = 1e-3 if alpha == 1e8 else 1e-6  # the share is 0.5 but for the width of the distribution
    np.testing.assert_allclose(tally.loss / 5, loss, rtol=tolerance)
    assert tally.hits == right
    chex.assert_trees_all_close(
        state.params, jax.tree.map(lambda p, g: p - 0.1 * g, start.params, gradient), rtol=tolerance, atol=tolerance
    )


@pytest.mark.slow
def test_mixup_draws_anew_in_each_update():
    step = jax.jit(dataclasses.replace(RECIPE, mixup=0.4).make_step())
    start = begun(MODEL, sgd(0.1), jax.random.key(0), X[:1])
    losses = [float(step(start, PADDED, jax.random.key(k))[1].loss) for k in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


class Stopped(Exception):
    pass


@pytest.mark.slow
def test_a_run_with_all_of_it_goes_on_within_an_epoch_to_equal_bits():
    images = np.random.default_rng(1).integers(0, 256, (23, 6, 5, 1), dtype=np.uint8)
    data = Dataset("images", Examples(images, Y), Examples(images[:7], Y[:7]))
    recipe = dataclasses.replace(
        RECIPE, image_size=5, augment="rotate,crop,flip,erase", mixup=0.4, label_smoothing=0.1, momentum=0.9,
        class_weights=balanced_class_weights(Y, 3), schedule="cosine", warmup=0.5,
    )  # fmt: skip
    program, moments = compile_program(recipe, data), []
    settings = {"seed": 4, "program": program, "chunk_seconds": 0.0}

    def stop(progress):
        moments.append(pack(progress))
        if (progress.epoch, progress.step) == (2, 3):
            raise Stopped

    with pytest.raises(Stopped):
        fit(recipe, data, on_chunk=stop, **settings)
    like = beginning(program, initial_state(program, 4, recipe.learning_rate, recipe.weight_decay))
    done, unbroken = (
        fit(recipe, data, start=start, **settings) for start in (unpack(Checkpoint(0, *moments[-1]), like), None)
    )
    chex.assert_trees_all_equal(done.state, unbroken.state)
    with pytest.raises(ValueError, match=r"compiled with mixup 0\.4, but the recipe has 0\.0"):
        fit(dataclasses.replace(recipe, mixup=0.0), data, program=program)


REFUSED = [
    ({"label_smoothing": 1.0}, r"label_smoothing must be a share of at least 0 and below 1, got 1\.0"),
    ({"mixup": -1}, "mixup must be a number of at least 0, got -1"),
    ({"class_weights": (0.0, 0.0)}, "class_weights must be a number of at least 0 for each class, not all 0"),
    ({"class_weights": (1.0, -2.0)}, "class_weights must be a number of at least 0"),
    ({"class_weights": "balanced"}, "class_weights must be a number of at least 0 for each class"),
    (
        {"loss": squared_error, "label_smoothing": 0.1},
        "changes cross_entropy, and the loss of recipe own is squared_err",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_has_no_meaning_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_class_weights_fit_the_network():
    with pytest.raises(ValueError, match="2 class weights for a network of 3 outputs; give each class one"):
        fit(dataclasses.replace(RECIPE, class_weights=(1.0, 2.0)), DATA)
    assert dataclasses.replace(find("mlp"), class_weights=[1, 2]).settings()["class_weights"] == [1.0, 2.0]
