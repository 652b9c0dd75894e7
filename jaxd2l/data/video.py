"""Short clips in which only the motion tells the class, for networks that convolve over time."""

import numpy as np

from jaxd2l.data.examples import Examples

DIRECTIONS = ("left", "right", "up", "down")
_STEPS = np.array([(0, -2), (0, 2), (-2, 0), (2, 0)])  # rows and columns a frame


def moving_squares(seed: int, n: int, frames: int = 8, size: int = 28) -> Examples:
    """A bright square on a noisy ground moves two pixels a frame in one of four directions, around the edges.

    Start, brightness and noise are independent of the direction, so no single frame tells the class.

    Args:
        seed: in [0, 2**32); one seed always gives the same clips.
        n: number of clips, at least 1.
        frames: images in a clip, at least 2.
        size: pixels a side, at least 8.

    Returns:
        uint8 clips (n, frames, size, size, 1) and int32 labels (n,), indices of `DIRECTIONS`.

    Raises:
        ValueError: a seed or a size out of range.
    """
    if not 0 <= seed < 2**32 or n < 1 or frames < 2 or size < 8:
        raise ValueError(
            f"expected a seed in [0, 2**32), n >= 1, frames >= 2 and size >= 8, got {seed}, {n}, {frames}, {size}"
        )
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(DIRECTIONS), n)
    starts = rng.integers(0, size, (n, 2))
    clips = rng.integers(0, 64, (n, frames, size, size), dtype=np.uint8)
    brightness = rng.integers(128, 256, n)
    side = size // 4
    time, patch = np.arange(frames), np.arange(side)
    corner = starts[:, None, :] + _STEPS[labels][:, None, :] * time[None, :, None]  # (n, frames, 2)
    rows = (corner[..., 0, None] + patch) % size
    columns = (corner[..., 1, None] + patch) % size
    clip, frame = np.arange(n)[:, None, None, None], time[None, :, None, None]
    clips[clip, frame, rows[..., :, None], columns[..., None, :]] = brightness[:, None, None, None]
    return Examples(clips[..., None], labels.astype(np.int32))
