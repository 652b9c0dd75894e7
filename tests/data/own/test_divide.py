import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxd2l.data import DataError
from jaxd2l.data.division.equal import row_digests, same_picture
from jaxd2l.data.own.divide import draw_test_rows
from jaxd2l.data.own.equal import equal_pictures


def draw(labels, fraction=0.2, seed=0, same=None, names=None):
    labels = np.asarray(labels)
    names = [f"{row}.png" for row in range(len(labels))] if names is None else names
    classes = [str(label) for label in range(labels.max() + 1)]
    same = np.arange(len(labels)) if same is None else np.asarray(same)
    return draw_test_rows(labels, names, classes, fraction, seed, same, "set")


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=6), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1), st.randoms()
)
def test_each_class_gives_its_share_and_the_order_does_not_matter(sizes, fraction, seed, random):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    drawn = draw(labels, fraction, seed)
    for label, n in enumerate(sizes):
        assert drawn[labels == label].sum() == max(1, min(round(fraction * n), n - 1))
    order = random.sample(range(len(labels)), len(labels))
    assert draw(labels[order], fraction, seed, names=[f"{row}.png" for row in order]).tolist() == drawn[order].tolist()


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=6, max_size=60), st.integers(0, 9))
def test_the_same_picture_is_on_one_side(rows, seed):
    labels, same = (np.array(column) for column in zip(*rows, strict=True))
    labels = np.unique(labels, return_inverse=True)[1]
    try:
        drawn = draw(labels, 0.3, seed, same) if labels.max() else np.zeros(len(labels), bool)
    except DataError:
        return
    for group in set(same.tolist()):
        assert len(set(drawn[same == group].tolist())) == 1


def test_one_more_example_moves_few_others():
    labels = np.zeros(1000, int)
    labels[500:] = 1
    names = [f"{row}.png" for row in range(1001)]
    before, after = draw(labels, names=names[:1000]), draw(np.append(labels, 1), names=names)
    assert (before != after[:1000]).sum() <= 1


def test_seeds_draw_differently_and_evenly():
    labels = np.repeat([0, 1], 20)
    counts = sum(draw(labels, 0.25, seed).astype(int) for seed in range(400))
    assert counts.sum() == 400 * 10
    assert np.abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize(
    ("labels", "same"), [([0, 0, 1], None), ([0, 0, 1, 1], [0, 1, 2, 2]), ([0, 0, 1, 1], [0, 1, 0, 1])]
)
def test_a_class_that_cannot_be_in_both_parts_is_refused(labels, same):
    with pytest.raises(DataError, match="set: fewer than two different examples of class"):
        draw(labels, same=same)


def test_pictures_are_the_same_by_their_pixels():
    images = np.array([[[[1]]], [[[2]]], [[[1]]], [[[3]]], [[[2]]]], np.uint8)
    same = same_picture(row_digests(images))
    assert same[0] == same[2] != same[1] == same[4] != same[3]
    labels, in_test = np.array([0, 1, 0, 0, 0]), np.array([False, False, True, True, False])
    leak, double = equal_pictures(same, labels, in_test, list("abcde"))
    assert leak.startswith("1 of 2 test pictures are in the training part too, such as c = a")
    assert double == "1 picture stands under two classes, such as e = b"
    assert equal_pictures(np.arange(5), labels, in_test, list("abcde")) == []
