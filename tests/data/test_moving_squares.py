import itertools

import numpy as np
import pytest

from jaxd2l.data.synthetic import DIRECTIONS, moving_squares


def test_the_square_moves_two_pixels_a_frame_in_the_direction_of_its_label():
    clips, labels = moving_squares(0, 40, frames=3, size=12)
    expected = {"left": (0, -2), "right": (0, 2), "up": (-2, 0), "down": (2, 0)}
    for clip, label in zip(clips[..., 0] >= 128, labels, strict=True):
        for before, after in itertools.pairwise(clip):
            np.testing.assert_array_equal(after, np.roll(before, expected[DIRECTIONS[label]], (0, 1)))
    assert set(labels.tolist()) == {0, 1, 2, 3}


def test_one_seed_gives_one_set_of_clips():
    first, again, other = (moving_squares(seed, 5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    assert np.any(first.x != other.x)
    assert first.x.shape == (5, 8, 28, 28, 1)


@pytest.mark.parametrize("arguments", [(-1, 5), (0, 0), (0, 5, 1), (0, 5, 8, 7)])
def test_sizes_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="expected a seed in"):
        moving_squares(*arguments)
