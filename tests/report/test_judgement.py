import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from jaxd2l.report.judgement import calibration, confused_pairs, judge, mistakes


def random_answers(seed, n=211, classes=7):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), n).astype(np.float32), rng.integers(0, classes, n)


def test_confusion_recall_and_precision_are_those_of_scikit_learn():
    probabilities, labels = random_answers(0)
    found = judge(probabilities, labels)
    every = list(range(7))
    assert (found.confusion == confusion_matrix(labels, found.predicted, labels=every)).all()
    np.testing.assert_allclose(found.recall, recall_score(labels, found.predicted, average=None, labels=every))
    np.testing.assert_allclose(found.precision, precision_score(labels, found.predicted, average=None, labels=every))
    assert found.accuracy == np.mean(found.predicted == labels)


def test_a_class_without_examples_has_no_recall():
    found = judge(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 1]))
    assert np.isnan(found.recall[2])
    assert np.isnan(found.precision[2])


@given(st.integers(0, 1000), st.integers(1, 30))
def test_mistakes_are_wrong_and_the_surest_first(seed, count):
    found = judge(*random_answers(seed, 50))
    rows = mistakes(found, count)
    assert len(rows) == min(count, int((found.predicted != found.labels).sum()))
    assert all(found.predicted[row] != found.labels[row] for row in rows)
    sure = found.confidence[rows]
    assert (np.diff(sure) <= 0).all()
    others = sorted(set(np.flatnonzero(found.predicted != found.labels)) - set(rows))
    assert not others or found.confidence[others].max() <= sure[-1]


def test_confused_pairs_are_the_largest_entries_beside_the_diagonal():
    found = judge(*random_answers(3))
    pairs = confused_pairs(found, 5)
    beside = found.confusion - np.diag(np.diag(found.confusion))
    assert [count for *_, count in pairs] == sorted(beside.ravel())[::-1][:5]
    assert all(i != j and found.confusion[i, j] == count for i, j, count in pairs)
    assert confused_pairs(judge(np.eye(3), np.arange(3)), 5) == []


@pytest.mark.slow
@given(hnp.arrays(float, st.integers(1, 40), elements=st.floats(0, 1)), st.integers(0, 99))
def test_every_example_is_in_one_band_and_the_error_is_between_0_and_1(confidence, seed):
    right = np.random.default_rng(seed).random(len(confidence)) < 0.5
    found = calibration(confidence, right)
    assert found.counts.sum() == len(confidence)
    assert 0 <= found.error <= 1
    for i, n in enumerate(found.counts):
        assert not n or found.edges[i] - 1e-9 <= found.confidence[i] <= found.edges[i + 1] + 1e-9


def test_calibration_by_hand():
    found = calibration([0.95, 0.95, 0.55, 0.65], [True, False, True, True])
    # 2 of 4 at |0.5 - 0.95|, 1 at |1 - 0.55|, 1 at |1 - 0.65|
    assert found.error == pytest.approx((2 * 0.45 + 0.45 + 0.35) / 4)
    assert calibration([1.0, 1.0], [True, True]).error == 0


def test_a_network_whose_confidence_is_its_accuracy_is_calibrated():
    confidence = np.full(1000, 0.75)
    assert calibration(confidence, np.arange(1000) % 4 != 0).error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ValueError, match="label"):
        judge(np.ones((2, 3)) / 3, np.array(labels))
