import tracemalloc

import numpy as np
import pytest
from picture_files import CHINA, FLOWER

from jaxd2l.data import Examples, channel_statistics
from jaxd2l.data.own.array_images import image_bytes
from jaxd2l.data.own.settings import Settings


def statistics(x):
    return channel_statistics(Examples(x, np.zeros(len(x), np.int32)))


def test_mean_and_deviation_are_those_of_all_pixels():
    x = np.stack([CHINA, FLOWER])
    found = statistics(x)
    shares = x.astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, shares.mean((0, 1, 2)), rtol=1e-10)
    np.testing.assert_allclose(found.deviation, shares.std((0, 1, 2)), rtol=1e-10)  # NumPy adds up 546,560 roundings


def test_numbers_worked_by_hand():
    assert statistics(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)) == ((0.5,), (0.5,))
    assert statistics(np.full((3, 2, 5, 1), 51, np.uint8)) == ((0.2,), (0.0,))


def test_more_pictures_than_a_chunk_count_once_each():
    x = np.arange(2500, dtype=np.uint8).reshape(2500, 1, 1, 1)
    np.testing.assert_allclose(statistics(x).mean, [x.mean() / 255], rtol=1e-12)


@pytest.mark.parametrize("x", [np.zeros((2, 3, 3, 1)), np.zeros((2, 3), np.uint8), np.zeros((0, 3, 3, 1), np.uint8)])
def test_what_are_no_stored_images_is_refused(x):
    with pytest.raises(ValueError, match="expected uint8 images"):
        statistics(x)


def test_what_is_taken_beside_the_images_does_not_grow_with_them():
    """By NumPy's own account; counts of 8 bytes for each pixel of a thousand images once were all made at a time."""
    peaks = []
    for n in (2, 16):
        x = np.zeros((n, 1000, 1000, 1), np.uint8)
        tracemalloc.start()
        channel_statistics(Examples(x, np.zeros(n, np.int32)))
        image_bytes([("x", x.view(bool))], "images", Settings())
        peaks.append(tracemalloc.get_traced_memory()[1] - n * x[0].size)
        tracemalloc.stop()
    assert max(peaks) < 90e6
