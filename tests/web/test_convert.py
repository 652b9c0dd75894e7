"""A picture on the page becomes what `jaxd2l predict` makes of the file.

To the bit, but for the rounding between the two passes of a resize: Pillow 12 takes the rows first, Pillow 13 chooses
by the sizes, and the page takes the rows first. That moves a byte by 1 at most.
"""

import itertools

import numpy as np
import pytest
from PIL import Image

from jaxd2l.prediction import convert_like_own, convert_picture


def drawn(height, width, ground, ink, seed):
    """A few strokes on an even ground, as RGB."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), ground, np.uint8)
    for _ in range(4):
        top, left = rng.integers(1, height - 9), rng.integers(1, width - 9)
        pixels[top : top + rng.integers(3, 9), left : left + rng.integers(3, 9)] = ink
    return pixels


def cases():
    rng = np.random.default_rng(0)
    pictures = {
        "dark": drawn(60, 47, 0, (250, 180, 90), 1),
        "light": drawn(45, 71, (240, 250, 255), (9, 30, 60), 2),
        "off the middle": drawn(280, 280, 0, 255, 3),
        "noise": rng.integers(0, 256, (33, 50, 3)).astype(np.uint8),
        "small": rng.integers(0, 256, (9, 7, 3)).astype(np.uint8),
        "of the size": rng.integers(0, 256, (28, 28, 3)).astype(np.uint8),
        "one tone": np.full((31, 17, 3), 77, np.uint8),
        "thin": drawn(12, 300, 255, 0, 4),
    }
    forms = [
        {"height": 28, "width": 28, "channels": 1, "dark": True, "fill": 0.9, "own": False},
        {"height": 28, "width": 28, "channels": 1, "dark": False, "fill": None, "own": False},
        {"height": 32, "width": 32, "channels": 3, "dark": True, "fill": 0.71, "own": False},
        {"height": 20, "width": 31, "channels": 3, "dark": False, "fill": None, "own": True},
    ]
    yield from itertools.product(pictures.items(), forms, ("auto", "yes", "no"))


def as_predicted(path, form, invert):
    """What `jaxd2l predict` does with a file."""
    size = form["height"], form["width"], form["channels"]
    if form["own"]:
        return convert_like_own(path, *size, invert == "yes")
    asked = invert if invert != "auto" or form["dark"] else "no"
    return convert_picture(path, *size, asked, form["fill"])


@pytest.mark.slow
def test_a_picture_is_converted_as_predict_does_it(node, tmp_path):
    given, expected, path = [], [], tmp_path / "picture.png"
    for (name, pixels), form, invert in cases():
        Image.fromarray(pixels).save(path)
        image, record = as_predicted(path, form, invert)
        expected.append((name, form, invert, image, record))
        rgba = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=-1)
        given.append([rgba.ravel().tolist(), pixels.shape[1], pixels.shape[0], form, invert])
    found = node(
        ["convert.js"],
        "return given.map((all) => { const { picture, steps } = convert.stored(...all);"
        "const shape = [picture.height, picture.width, picture.channels];"
        "return { shape, data: Array.from(picture.data), steps }; });",
        given,
    )
    wrong = []
    for (name, form, invert, image, record), one in zip(expected, found, strict=True):
        result = np.array(one["data"]).reshape(one["shape"])
        if result.shape != image.shape or np.abs(result - image.astype(int)).max() > 1:
            wrong.append(f"{name}, {form}, {invert}: {np.abs(result - image.astype(int)).max()} of 255 off")
        done = [step for step in record.steps if step.split()[0] in ("trimmed", "resized", "put", "cut", "shown")]
        if done != [step for step in one["steps"] if step.split()[0] in ("trimmed", "resized", "put", "cut", "shown")]:
            wrong.append(f"{name}, {form}, {invert}: {one['steps']}, expected {record.steps}")
        turned = any(step.startswith("inverted") for step in one["steps"])
        if turned != record.inverted:
            wrong.append(f"{name}, {form}, {invert}: inverted {turned}, expected {record.inverted}")
    assert not wrong, "\n".join(wrong)


def test_what_is_transparent_is_put_on_a_ground_that_shows_it(node):
    light, dark = [255, 255, 255, 255], [0, 0, 0, 255]
    form = {"height": 2, "width": 2, "channels": 1, "dark": True, "fill": None, "own": False}
    clear = [0] * 12
    given = [[[*ink, *clear], 2, 2, {**form, "own": own}, "no"] for ink in (light, dark) for own in (False, True)]
    found = node(["convert.js"], "return given.map((all) => Array.from(convert.stored(...all).picture.data));", given)
    assert found == [[255, 0, 0, 0], [255] * 4, [0, 255, 255, 255], [0, 255, 255, 255]]
