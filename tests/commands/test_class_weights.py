"""Class weights balanced by the rows, or from a file whose every flaw is one line."""

import numpy as np
import pytest

from jaxd2l.commands.asked.class_weights import read_class_weights, weighted
from jaxd2l.data import DataError, Dataset, Examples, balanced_class_weights
from jaxd2l.nn.models import MLP
from jaxd2l.train import Recipe

CLASSES = ("cat", "dog", "newt")


def test_balanced_weights_give_every_class_the_same_sum():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    weights = balanced_class_weights(labels, 3)
    np.testing.assert_allclose(weights, [7 / 12, 7 / 6, 7 / 3])
    np.testing.assert_allclose(np.bincount(labels, np.take(weights, labels)), 7 / 3)
    with pytest.raises(DataError, match="class 1 has no training example, so no balanced weight"):
        balanced_class_weights(np.array([0, 2]), 3)
    with pytest.raises(DataError, match="label 3 at row 1"):
        balanced_class_weights(np.array([0, 3, 1, 2]), 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.json", '{"cat": 1, "dog": 2.5, "newt": 0}'),
        ("w.json", '{"2": 0, "1": 2.5, "cat": 1}'),
        ("w.csv", "cat,1\ndog,2.5\nnewt,0\n"),
        ("w.csv", "\ufeffclass,weight\nnewt, 0\n1,2.5\n\n0,1"),
    ],
)
def test_a_file_names_classes_or_their_labels(name, text, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_class_weights(tmp_path / name, CLASSES) == (1.0, 2.5, 0.0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.json", b'{"cat": 1, "dog": 2}', "no weight for newt; give every class one"),
        ("w.json", b'{"cat": 1, "cow": 2}', "unknown class 'cow'; expected one of cat, dog, newt, or its number"),
        ("w.json", b'{"3": 1}', "unknown class '3'"),
        ("w.json", b'{"cat": 1, "0": 2}', "class '0' has two weights"),
        ("w.json", b'{"cat": -1}', "the weight of class 'cat' is -1, expected a number of at least 0"),
        ("w.json", b'{"cat": NaN}', "the weight of class 'cat' is nan"),
        ("w.json", b'{"cat": true}', "the weight of class 'cat' is True"),
        ("w.json", b'{"cat": [1]}', r"the weight of class 'cat' is \[1\]"),
        ("w.json", b"[1, 2, 3]", "expected a JSON object from class to weight"),
        ("w.json", b"[1, 2, 3]", r"^\S+w\.json: expected a JSON object"),
        ("w.json", b"{", "neither JSON nor CSV"),
        ("w.csv", b"cat,1\ndog", "line 2: expected two columns, the class and its weight"),
        ("w.csv", b"", "line 1: expected two columns"),
        ("w.csv", b"class,weight\ncat,much", "the weight of class 'cat' is 'much'"),
        ("w.csv", b"\xff\xfe\x00", "neither JSON nor CSV"),
    ],
)
def test_every_flaw_of_a_file_is_one_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_class_weights(tmp_path / name, CLASSES)


def weights_on(classes, recipe=None, of=()):
    part = Examples(np.zeros((2, 3), np.float32), np.zeros(2, np.int32))
    recipe = Recipe("own", MLP(), "", class_weights=(1, 2, 3)) if recipe is None else recipe
    return weighted(recipe, None, Dataset("here", part, part, classes), of).class_weights


def test_class_weights_of_a_run_follow_the_names_of_the_classes():
    assert weights_on(CLASSES) == weights_on(CLASSES, of=CLASSES) == (1, 2, 3)
    assert weights_on(("newt", "cat"), of=CLASSES) == (3, 1)
    assert weights_on(("newt", "cat"), Recipe("own", MLP(), ""), CLASSES) is None
    with pytest.raises(ValueError, match="are of cat, dog, newt, and here has cow, owl; give weights"):
        weights_on(("cat", "cow", "owl"), of=CLASSES)
    with pytest.raises(ValueError, match="recipe own has 3 class weights, but here 2 classes; give each one"):
        weights_on(("newt", "cat"))
