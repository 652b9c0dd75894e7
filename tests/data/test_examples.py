import jax
import numpy as np
import pytest

from jaxd2l.data import DataError, Examples, check_examples, epoch_rows, num_steps, ordered_rows, split


def _examples(n=7, classes=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 2, 5, 1), dtype=np.uint8)
    return Examples(images, rng.integers(0, classes, n).astype(np.int32))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "batch_size"), [(7, 3), (6, 3), (5, 5), (5, 1), (1, 1), (11, 4)])
def test_an_epoch_has_every_row_exactly_once(n, batch_size):
    rows = epoch_rows(jax.random.key(1), n, batch_size)
    real = np.asarray(rows.indices)[np.asarray(rows.weight) == 1]
    assert sorted(real.tolist()) == list(range(n))
    assert rows.indices.shape == rows.weight.shape == (num_steps(n, batch_size), batch_size)
    assert set(np.asarray(rows.weight).ravel().tolist()) <= {0.0, 1.0}


@pytest.mark.slow
@pytest.mark.parametrize(("n", "batch_size"), [(7, 3), (6, 3), (11, 4)])
def test_without_the_last_batch_only_whole_batches_of_distinct_rows_remain(n, batch_size):
    rows = epoch_rows(jax.random.key(1), n, batch_size, keep_last=False)
    assert rows.indices.shape == (n // batch_size, batch_size)
    assert np.all(np.asarray(rows.weight) == 1)
    assert len(set(np.asarray(rows.indices).ravel().tolist())) == n // batch_size * batch_size


@pytest.mark.slow
def test_the_rows_left_out_differ_from_epoch_to_epoch():
    left_out = set()
    for epoch in range(20):
        rows = epoch_rows(jax.random.key(epoch), 7, 3, keep_last=False)
        left_out |= set(range(7)) - set(np.asarray(rows.indices).ravel().tolist())
    assert left_out == set(range(7))


@pytest.mark.slow
def test_examples_are_shuffled_across_batches_not_batches_as_blocks():
    rows = epoch_rows(jax.random.key(0), 100, 10)
    blocks = [set(batch) for batch in np.asarray(rows.indices).tolist()]
    assert all(len({row // 10 for row in block}) > 1 for block in blocks)


@pytest.mark.slow
def test_one_key_gives_one_order_and_another_key_another():
    first, again, other = (epoch_rows(jax.random.key(k), 50, 8).indices for k in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(np.asarray(first) != np.asarray(other))


@pytest.mark.parametrize(("n", "batch_size"), [(7, 3), (3, 10), (8, 4)])
def test_evaluation_rows_keep_file_order_and_count_each_row_once(n, batch_size):
    rows = ordered_rows(n, batch_size)
    real = np.asarray(rows.indices)[np.asarray(rows.weight) == 1]
    assert real.tolist() == list(range(n))


@pytest.mark.parametrize("batch_size", [0, -1, 8])
def test_a_batch_that_does_not_fit_the_data_is_refused(batch_size):
    with pytest.raises(ValueError, match="between 1 and the 7"):
        num_steps(7, batch_size)


def test_a_split_is_disjoint_complete_and_repeatable():
    examples = Examples(np.arange(31)[:, None], np.arange(31))
    train, validation = split(examples, 9, seed=2)
    assert sorted([*train.y, *validation.y]) == list(range(31))
    assert len(validation.y) == 9
    np.testing.assert_array_equal(split(examples, 9, seed=2)[1].y, validation.y)
    assert np.any(split(examples, 9, seed=3)[1].y != validation.y)
    with pytest.raises(ValueError, match="between 1 and 30"):
        split(examples, 31, seed=0)
    with pytest.raises(ValueError, match=r"between 1 and 30 of 31 rows, got 0\.5"):
        split(examples, 0.5, seed=0)
    with pytest.raises(ValueError, match="31 inputs but 30 targets"):
        split(Examples(examples.x, examples.y[1:]), 9, seed=0)


def test_good_examples_pass_unchanged():
    examples = _examples()
    assert check_examples(examples, 3) is examples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: Examples(e.x[:-1], e.y), "6 inputs but 7 targets"),
        (lambda e: Examples(e.x[:0], e.y[:0]), "no example"),
        (lambda e: Examples(e.x, e.y[:, None]), r"shape \(7,\)"),
        (lambda e: Examples(e.x, e.y.astype(np.float32)), "must be integers"),
        (lambda e: Examples(e.x, e.y > 0), "got bool .*astype"),
        (lambda e: Examples(e.x, np.where(np.arange(7) == 4, 3, 0)), "label 3 at row 4"),
        (lambda e: Examples(e.x, np.where(np.arange(7) == 2, -1, 0)), "label -1 at row 2"),
        (lambda e: Examples(np.where(np.arange(14).reshape(7, 2) == 5, np.nan, 1.0), e.y), "not finite at row 2"),
    ],
)
def test_bad_examples_are_refused_with_what_was_found(change, message):
    with pytest.raises(DataError, match=message):
        check_examples(change(_examples()), 3)


def test_regression_targets_must_be_finite():
    with pytest.raises(DataError, match="targets are not finite at row 1"):
        check_examples(Examples(np.ones((2, 3), np.float32), np.array([[1.0], [np.inf]], np.float32)))
