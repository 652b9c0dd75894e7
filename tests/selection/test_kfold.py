from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import Examples
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.selection.folds import Folds, assign_folds, fold_rows, same_in_every_fold, shuffled
from jaxd2l.selection.grid import Point, choose, cosine, grid
from jaxd2l.selection.kfold import kfold
from jaxd2l.train.optimizer import adam, sgd
from jaxd2l.train.state import init_state, run_keys
from jaxd2l.train.step import Batch, Objective, make_step

pytestmark = pytest.mark.usefixtures("unoptimised")


def small_mlp(dropout):
    return MLP(hidden=(5,), num_outputs=1, dropout=(dropout,), kernel_init=jax.nn.initializers.he_normal())


def examples(n=17, d=3):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d)).astype(np.float32)
    return Examples(x, (x @ np.array([[1.0], [-2.0], [0.5]]) + 0.3).astype(np.float32))


def folds_with_their_own_inputs(n=17, k=4):
    """Inputs that differ between folds, as with a transform that each fold estimates for itself."""
    x, y = examples(n)
    scale = np.arange(1, k + 1, dtype=np.float32).reshape(k, 1, 1)
    return Folds(x[None] * scale, np.broadcast_to(y, (k, *y.shape)), assign_folds(n, k, 7))


def plain_step(point):
    model, transform = small_mlp(point.dropout), adam(point.learning_rate, point.weight_decay)
    return model, transform, jax.jit(make_step(model, transform, Objective(squared_error)))


def plain_loop(model, transform, step, folds, point, seed, fold, *, epochs, batch_size):
    """One training in Python: no padding of the rows, no scan, no vmap, and dropout as a plain number."""
    keys = run_keys(seed)
    x, y = folds.x[fold], folds.y[fold]
    rows, held_out = np.flatnonzero(folds.fold != fold), np.flatnonzero(folds.fold == fold)
    state = init_state(model, transform, keys.init, x[:1])
    for epoch in range(1, epochs + 1):
        rate = point.learning_rate * float(cosine(jnp.asarray(epoch), epochs))
        opt_state = state.opt_state
        opt_state.hyperparams["learning_rate"] = jnp.asarray(rate, jnp.float32)
        draw = np.asarray(jax.random.uniform(jax.random.fold_in(keys.shuffle, epoch), rows.shape))
        order = rows[np.argsort(draw)]
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            batch = Batch(x[chosen], y[chosen], jnp.ones(len(chosen)))
            state, _ = step(state, batch, jax.random.fold_in(keys.noise, state.step))
    return state.params, model.apply({"params": state.params}, x[held_out], train=False), held_out


# 17 rows in 4 folds: 12 or 13 training rows. In batches of 4 the longer lists end in a batch of one row, the shorter
# ones in a batch of padding alone, in which nothing may move.
POINTS, SEEDS = (Point(0.01, 0.2, 0.4), Point(0.03, 0.1, 0.0)), (3, 11)
SETTINGS = {"epochs": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def found():
    folds = folds_with_their_own_inputs()
    return folds, kfold(small_mlp, folds, POINTS, seeds=SEEDS, optimizer=adam, schedule=cosine, **SETTINGS)


@pytest.mark.slow
def test_one_program_equals_a_python_loop_over_folds_points_and_seeds(found):
    folds, result = found
    for g, point in enumerate(POINTS):
        bound = plain_step(point)
        for s, seed in enumerate(SEEDS):
            for fold in range(4):
                params, prediction, rows = plain_loop(*bound, folds, point, seed, fold, **SETTINGS)
                member = jax.tree.map(lambda leaf, at=(g, s, fold): leaf[at], result.params)
                chex.assert_trees_all_close(member, params, rtol=2e-4, atol=2e-5)  # 12 steps of Adam in float32
                np.testing.assert_allclose(result.out_of_fold[g, s, rows], prediction, rtol=2e-4, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "k"), [(10, 5), (17, 4), (7, 7), (11, 2)])
def test_every_row_is_validated_exactly_once_and_never_trained_on_then(n, k):
    fold = assign_folds(n, k, 0)
    sizes = np.bincount(fold, minlength=k)
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1
    rows = fold_rows(same_in_every_fold(examples(n), fold))
    validated = []
    for j in range(k):
        train = rows.train.indices[j][rows.train.weight[j] > 0]
        held_out = rows.validation.indices[j][rows.validation.weight[j] > 0]
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(n))
        validated.extend(held_out.tolist())
    assert sorted(validated) == list(range(n))


@pytest.mark.slow
def test_an_epoch_takes_every_training_row_once_and_padding_last():
    rows = fold_rows(same_in_every_fold(examples(17), assign_folds(17, 4, 1)))
    shorter = int(np.argmin(rows.train.weight.sum(1)))
    one = jax.tree.map(lambda a: a[shorter], rows.train)
    epoch = shuffled(jax.random.key(0), one, 5)
    assert epoch.indices.shape == (3, 5)
    weight = np.asarray(epoch.weight).ravel()
    np.testing.assert_array_equal(weight, np.sort(weight)[::-1])
    taken = np.sort(np.asarray(epoch.indices).ravel()[weight > 0])
    np.testing.assert_array_equal(taken, np.sort(np.asarray(one.indices)[np.asarray(one.weight) > 0]))
    assert not np.array_equal(epoch.indices, shuffled(jax.random.key(1), one, 5).indices)


@pytest.mark.slow
def test_the_last_validation_loss_is_that_of_the_out_of_fold_predictions(found):
    folds, result = found
    assert result.train_loss.shape == result.validation_loss.shape == (2, 2, 4, 2)
    target = folds.y[0]
    loss = result.scores(lambda prediction, rows: 0.5 * float(np.mean((prediction - target[rows]) ** 2)))
    np.testing.assert_allclose(loss, result.validation_loss[..., -1], rtol=1e-5)


@pytest.mark.slow
def test_the_ensemble_has_k_different_models_and_each_is_its_own_folds(found):
    folds, result = found
    members = result.predict(1, folds.x)  # (s, k, n, 1): every model on every row, as its fold prepares it
    assert members.shape == (2, 4, 17, 1)
    for j in range(4):
        rows = np.flatnonzero(folds.fold == j)
        np.testing.assert_allclose(members[:, j, rows], result.out_of_fold[1][:, rows], rtol=1e-5, atol=1e-6)
    flat = members.reshape(8, -1)
    distance = np.abs(flat[:, None] - flat[None]).max(-1)
    assert (distance + np.eye(8) > 1e-4).all()


@pytest.mark.slow
def test_linear_regression_finds_the_truth_in_every_fold():
    folds = same_in_every_fold(examples(), assign_folds(17, 4, 0))
    result = kfold(lambda dropout: Linear(), folds, grid((0.3,)), epochs=60, batch_size=5, optimizer=sgd)
    kernel = result.params["Dense_0"]["kernel"]
    np.testing.assert_allclose(kernel, np.broadcast_to([[1.0], [-2.0], [0.5]], kernel.shape), atol=1e-4)
    assert result.validation_loss[..., -1].max() < 1e-7


def test_every_value_of_a_grid_meets_every_other():
    points = grid((0.1, 0.2), (0.0,), (0.0, 0.3, 0.5))
    assert len(points) == len(set(points)) == 6
    assert Point(0.2, 0.0, 0.3) in points


def test_the_choice_has_the_lowest_mean_and_never_diverged():
    scores = np.array([[[0.3, 0.1]], [[0.0, np.nan]], [[0.1, 0.2]], [[0.0, np.inf]]])
    assert choose(scores) == 2
    with pytest.raises(ArithmeticError, match="diverged"):
        choose(scores[1::2])


@pytest.mark.slow
def test_one_compilation_serves_the_grid():
    chex.clear_trace_counter()
    traced = chex.assert_max_traces(squared_error, n=3)  # the gradient, the judgement; never once a point
    folds = same_in_every_fold(examples(), assign_folds(17, 4, 0))
    kfold(small_mlp, folds, grid((0.1, 0.2), (0.0, 0.1), (0.0, 0.2)), epochs=2, batch_size=7, loss=traced)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: assign_folds(5, 6, 0), "folds"),
        (lambda: assign_folds(5, 1, 0), "folds"),
        (lambda: grid(()), "empty"),
        (lambda: grid((0.0,)), "learning rate > 0"),
        (lambda: grid((0.1,), (-1.0,)), "weight decay >= 0"),
        (lambda: grid((0.1,), (0.0,), (1.0,)), "dropout"),
        (partial(kfold, small_mlp, folds_with_their_own_inputs(), (), epochs=1, batch_size=2), "points"),
        (partial(kfold, small_mlp, folds_with_their_own_inputs(), grid((0.1,)), epochs=1, batch_size=14), "batch"),
        (partial(kfold, small_mlp, Folds(None, None, None), [(0.1,)], seeds=iter(()), **SETTINGS), "got 1, 0 and 2"),
        (partial(kfold, small_mlp, Folds(None, None, None), (0.1,), **SETTINGS), "points must be"),
        (lambda: fold_rows(Folds(np.zeros((3, 4, 1)), np.zeros((3, 4, 1)), np.array([0, 1, 1, 0]))), "fold"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_compiled(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_a_schedule_by_name_is_that_of_its_shares():
    settings = {"epochs": 3, "batch_size": 5, "optimizer": "sgd"}
    folds = same_in_every_fold(examples(), assign_folds(17, 3, 0))
    found = kfold(lambda _: Linear(), folds, grid((0.05,)), schedule="step", **settings)
    by_epoch = kfold(lambda _: Linear(), folds, grid((0.05,)), schedule=lambda e, _: 0.1 ** (e - 1.0), **settings)
    chex.assert_trees_all_close(found.params, by_epoch.params, rtol=1e-5)
    warm = kfold(lambda _: Linear(), folds, grid((0.05,)), schedule="cosine", warmup=1, **settings)
    assert (warm.train_loss != found.train_loss).any()
    for changes, message in (
        ({"warmup": 1}, "warmup 1 comes before a schedule by name"),
        ({"schedule": "cosine", "warmup": 3}, "warmup must be shorter than the run of 3 epochs"),
        ({"optimizer": "adagrad"}, "optimizer must be one of sgd, adam, adamw"),
    ):
        with pytest.raises(ValueError, match=message):
            kfold(lambda _: Linear(), folds, grid((0.05,)), **{**settings, **changes})


def test_cosine_falls_from_one_towards_zero():
    shares = [float(cosine(jnp.asarray(e), 10)) for e in range(1, 11)]
    assert shares[0] == 1
    assert (np.diff(shares) < 0).all()
    assert 0 < shares[-1] < 0.03


@pytest.mark.slow
def test_traced_dropout_draws_the_masks_of_the_plain_number():
    x, _ = examples()
    model = small_mlp(0.4)
    params = model.init(jax.random.key(0), x, train=False)["params"]
    apply = lambda rate: small_mlp(rate).apply({"params": params}, x, train=True, rngs={"dropout": jax.random.key(5)})  # noqa: E731
    np.testing.assert_allclose(jax.jit(apply)(0.4), apply(0.4), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(apply)(0.0), model.apply({"params": params}, x, train=False), rtol=1e-6)
