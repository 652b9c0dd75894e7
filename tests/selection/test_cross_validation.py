"""K-fold over a recipe: every member is the single run on the rows of its fold, by what these rows say."""

import dataclasses

import numpy as np
import pytest

from jaxd2l.data import Dataset, Examples, balanced_class_weights, channel_statistics, deal_out, fold_of
from jaxd2l.nn.models import MLP
from jaxd2l.selection.cross_validation import cross_validate
from jaxd2l.selection.curves import curves_of
from jaxd2l.selection.grid import Point
from jaxd2l.selection.sweep import Method
from jaxd2l.train import Recipe, fit


def pictures(n=23, test=7):
    """Two classes, one three times as large as the other, in two channels of different brightness."""
    rng = np.random.default_rng(0)
    y = (rng.permutation(n + test) % 4 == 0).astype(np.int32)
    x = (rng.integers(0, 90, (n + test, 5, 5, 3)) + 60 * y[:, None, None, None] + [0, 30, 99]).astype(np.uint8)
    return Dataset("clouds", Examples(x[:n], y[:n]), Examples(x[n:], y[n:]), ("many", "few"))


def recipe_of(data):
    return Recipe(
        "small",
        MLP(hidden=(5,), num_outputs=2, dropout=(0.2,)),
        "clouds",
        learning_rate=0.1,
        epochs=2,
        batch_size=4,
        image_size=5,
        statistics=channel_statistics(data.train),
        mixup=0.3,
        label_smoothing=0.1,
        schedule="cosine",
        optimizer="sgd",
        momentum=0.9,
    )


POINTS = (Point(0.5), Point(0.05, 0.1))


@pytest.fixture(scope="module")
def looped():
    data, seen, choices = pictures(), [], []
    found = cross_validate(
        recipe_of(data),
        data,
        2,
        points=POINTS,
        seeds=(0, 4),
        balanced=True,
        method=Method.LOOP,
        on_fold=lambda *fold: seen.append(fold),
        on_choice=choices.append,
    )
    assert len(choices) == 1, "the first fold's way is every fold's"
    return found, seen


@pytest.mark.slow
def test_a_member_is_plain_fit_on_the_rows_of_its_fold_to_the_bit(looped):
    """Mixup, smoothing, dropout, schedule and momentum included: 23 rows in 2 folds, of 11 and 12 that train."""
    data, (found, _) = pictures(), looped
    np.testing.assert_array_equal(found.fold, deal_out(data, 2))
    for number in range(2):
        rows, held = found.fold != number, found.fold == number
        part = data._replace(
            train=Examples(*(a[rows] for a in data.train)), validation=Examples(*(a[held] for a in data.train))
        )
        recipe = dataclasses.replace(
            recipe_of(data),
            statistics=channel_statistics(part.train),
            class_weights=balanced_class_weights(part.train.y, 2),
        )
        g, s = number % 2, (number + 1) % 2
        point, seed = POINTS[g], (0, 4)[s]
        run = fit(dataclasses.replace(recipe, learning_rate=point[0], weight_decay=point[1]), part, seed)
        expected = curves_of(run.epochs, 2, None, validated=True, tested=run.tested["last"])
        for name, values in found.curves[g, s, number].columns().items():
            np.testing.assert_array_equal(values, getattr(expected, name), err_msg=name)
    assert found.last().shape == (2, 2, 2)
    assert found.last("test_loss")[1, 0, 1] == found.curves[1, 0, 1].test_loss[-1]


@pytest.mark.slow
def test_statistics_and_class_weights_are_of_each_folds_own_training_rows(looped):
    data, (found, seen) = pictures(), looped
    assert [number for number, _, _ in seen] == [0, 1]
    for number, recipe, part in seen:
        rest = Examples(*(a[found.fold != number] for a in data.train))
        np.testing.assert_array_equal(part.train.x, rest.x)
        np.testing.assert_array_equal(part.validation.y, data.train.y[found.fold == number])
        assert recipe.statistics == channel_statistics(rest)
        assert recipe.class_weights == balanced_class_weights(rest.y, 2)
    assert len({recipe.statistics for _, recipe, _ in seen}) == 2
    assert len({recipe.class_weights for _, recipe, _ in seen}) == 2


def test_the_rows_of_a_fold_and_the_test_part_do_not_reach_what_trains_on_the_others():
    """Other pixels in fold 1 change the statistics of folds 0 and 2, and nothing of fold 1."""
    data = pictures()
    fold = deal_out(data, 3)
    x = np.where((fold == 1)[:, None, None, None], 255 - data.train.x, data.train.x)
    changed = data._replace(train=data.train._replace(x=x), test=data.train)
    one, other = (channel_statistics(fold_of(part, fold, 1).train) for part in (data, changed))
    assert one == other
    np.testing.assert_array_equal(deal_out(changed, 3), fold)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"finished": {}}, "finished"), ({"choices": {}}, "choices"), ({"points": ()}, "got 0 and 1")],
    ids=["finished", "choices", "points"],
)
def test_what_is_of_one_sweep_alone_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        cross_validate(recipe_of(pictures()), pictures(), 2, **options)
