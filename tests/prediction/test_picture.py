import io
import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxd2l.data import DataError
from jaxd2l.machine import memory
from jaxd2l.prediction import Framing, convert_like, convert_picture, framing, picture


def drawn(ground=0, thing=200, size=(28, 28), box=(8, 6, 20, 22)):
    pixels = np.full(size, ground, np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = thing
    return pixels


def saved(tmp_path, image, name="a.png", **options):
    path = tmp_path / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def test_a_picture_of_the_data_s_form_comes_back_byte_for_byte(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    found, record = convert_picture(saved(tmp_path, pixels), 28, 28, 1, "no", fill=0.5)
    assert (found[..., 0] == pixels).all()
    assert record.steps == ("not inverted",)
    colour = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    found, _ = convert_picture(saved(tmp_path, colour), 32, 32, 3, "no")
    assert (found == colour).all()


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "gif", "tiff"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_grey_is_grey_in_every_format_and_mode(tmp_path, suffix, mode):
    pixels = drawn(0, 255)
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, Image.fromarray(pixels).convert(mode), f"a.{suffix}", **options)
    found, record = convert_picture(path, 28, 28, 1)
    assert np.abs(found[..., 0].astype(int) - pixels).max() <= 2
    assert record.format.lower() in (suffix, "tiff")


def test_sixteen_bits_are_divided_and_not_clipped(tmp_path):
    pixels = (np.arange(28 * 28).reshape(28, 28) * 83).astype(np.uint16)
    found, record = convert_picture(saved(tmp_path, Image.fromarray(pixels)), 28, 28, 1, "no")
    assert (found[..., 0] == np.round(pixels / 257)).all()
    assert "16 bits made 8" in record.steps


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_exif_says(tmp_path, orientation):
    upright = Image.fromarray(drawn(0, 255, (20, 30), (2, 3, 9, 15)))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that undo each
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, stored, exif=exif)
    found, record = convert_picture(path, 20, 30, 1, "no")
    assert (found[..., 0] == np.asarray(upright)).all()
    assert ("turned as its EXIF says" in record.steps) == (orientation > 1)


@pytest.mark.parametrize(("ink", "ground"), [(0, "white"), (255, "black")])
def test_a_transparent_drawing_is_put_where_it_is_seen(tmp_path, ink, ground):
    pixels = np.zeros((28, 28, 4), np.uint8)
    pixels[8:20, 8:20] = (ink, ink, ink, 255)
    found, record = convert_picture(saved(tmp_path, pixels), 28, 28, 1, "auto")
    assert f"put on {ground} where it is transparent" in record.steps
    assert found[14, 14, 0] == 255  # light on dark either way
    assert found[0, 0, 0] == 0
    assert record.inverted == (ink == 0)


@pytest.mark.parametrize(("ground", "thing", "inverted"), [(255, 20, True), (0, 230, False), (200, 90, True)])
def test_a_light_ground_is_inverted_and_said(tmp_path, ground, thing, inverted):
    path = saved(tmp_path, drawn(ground, thing))
    found, record = convert_picture(path, 28, 28, 1, "auto")
    assert record.inverted == inverted
    assert record.border == ground
    assert any(("inverted, because its border is light" in step) == inverted for step in record.steps)
    assert found[0, 0, 0] == (255 - ground if inverted else ground)
    kept, record = convert_picture(path, 28, 28, 1, "no")
    assert (kept[..., 0] == drawn(ground, thing)).all()
    turned, _ = convert_picture(path, 28, 28, 1, "yes")
    assert (turned[..., 0] == 255 - drawn(ground, thing)).all()


def test_a_border_of_both_is_called_unsure(tmp_path):
    pixels = np.zeros((28, 28), np.uint8)
    pixels[:, 13:] = 255
    _, record = convert_picture(saved(tmp_path, pixels), 28, 28, 1)
    assert "--invert decides" in record.steps[-1]


@pytest.mark.slow
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([(28, 28, 1), (32, 32, 3), (7, 40, 1)]))
def test_any_size_becomes_the_data_s_without_stretching(tmp_path_factory, width, height, shape):
    pixels = np.full((height, width), 250, np.uint8)
    path = saved(tmp_path_factory.getbasetemp(), pixels, "any.png")
    found, record = convert_picture(path, *shape, "no")
    assert found.shape == shape
    assert found.dtype == np.uint8
    assert (found == 250).all()  # its own ground, also where it was widened
    assert (record.width, record.height) == (width, height)


def test_a_very_long_picture_costs_no_memory(tmp_path):
    path = saved(tmp_path, np.full((1, 60_000), 255, np.uint8))
    assert convert_picture(path, 28, 28, 1)[0].shape == (28, 28, 1)


def test_a_thing_is_framed_as_the_data_are(tmp_path):
    big = drawn(255, 10, (300, 400), (100, 50, 160, 200))  # 60 x 150 on white
    found, record = convert_picture(saved(tmp_path, big), 28, 28, 1, "auto", fill=20 / 28)
    rows, columns = np.flatnonzero(found[..., 0].max(axis=1) > 127), np.flatnonzero(found[..., 0].max(axis=0) > 127)
    assert rows[-1] - rows[0] + 1 == pytest.approx(20, abs=1)
    assert columns[-1] - columns[0] + 1 == pytest.approx(8, abs=1)
    assert abs((rows[0] + rows[-1]) / 2 - 13.5) <= 1
    assert "trimmed to the 60x150 pixels that differ from its ground" in record.steps


def test_an_uneven_ground_is_never_trimmed(tmp_path):
    pixels = np.tile(np.linspace(0, 255, 100, dtype=np.uint8), (80, 1))
    _, record = convert_picture(saved(tmp_path, pixels), 28, 28, 1, "auto", fill=1.0)
    assert any("shown whole" in step for step in record.steps)


def test_framing_knows_a_dark_ground_and_how_much_is_filled():
    things = np.stack([drawn(0, 200, box=(4, 6, 14, 26)) for _ in range(5)])[..., None]
    assert framing(things) == (True, pytest.approx(20 / 28), False)
    assert framing(255 - things) == (False, None, False)
    assert framing(np.zeros((0, 28, 28, 1), np.uint8)) == (False, None, False)
    assert framing(np.zeros((3, 5), np.float32)) == (False, None, False)
    assert framing(np.zeros((3, 28, 28, 1), np.uint8)).fill == pytest.approx(1 / 28)


NO_PICTURES = (b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0" + bytes(50), b"RIFF    WEBPVP8 ")


@pytest.mark.parametrize("data", NO_PICTURES)
def test_what_is_no_picture_is_one_sentence(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.png"):
        convert_picture(path, 28, 28, 1)


@pytest.mark.slow
@given(st.data())
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(tmp_path_factory, data):
    buffer = io.BytesIO()
    suffix = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]))
    Image.fromarray(drawn()).save(buffer, suffix)
    damaged = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    try:
        found, _ = convert_picture(path, 28, 28, 1, fill=1.0)
        assert found.shape == (28, 28, 1)
    except DataError:
        pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((28, 28, 2), "1 or 3"),
        ((0, 28, 1), "pixels"),
        ((28, 28, 1, "maybe"), "invert"),
        ((28, 28, 1, "no", 2.0), "fill"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        convert_picture(saved(tmp_path, drawn()), *arguments)


def test_floats_of_an_unknown_range_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.zeros((9, 9), np.float32)), "a.tiff")
    with pytest.raises(DataError, match="range is not known"):
        convert_picture(path, 28, 28, 1)


def test_an_animation_s_first_frame_is_taken_and_said(tmp_path):
    first, second = Image.fromarray(drawn(0, 255)), Image.fromarray(drawn(255, 0))
    path = saved(tmp_path, first, "a.gif", save_all=True, append_images=[second])
    found, record = convert_picture(path, 28, 28, 1, "no")
    assert "first of 2 frames" in record.steps
    assert found[14, 14, 0] > 200


def test_a_record_goes_into_json_as_it_is(tmp_path):
    _, record = convert_picture(saved(tmp_path, drawn()), 28, 28, 1)
    assert json.loads(json.dumps(record._asdict()))["low"] == 0


@pytest.mark.parametrize("frame", [Framing(True, 0.8), Framing(False, None), Framing(False, None, own=True)])
def test_content_that_is_read_already_is_as_that_of_the_file(tmp_path, frame):
    path = saved(tmp_path, drawn(size=(20, 30)))
    content = path.read_bytes()
    found, record = convert_like(frame, path, (12, 10, 3))
    path.write_bytes(b"another")
    again, same = convert_like(frame, path, (12, 10, 3), data=content)
    assert (np.array_equal(found, again), same) == (True, record)
    with pytest.raises(DataError, match=r"inside\.png: (not a|no|a damaged) picture"):
        convert_like(frame, "inside.png", (12, 10, 3), data=b"another")


def test_a_large_picture_is_no_warning_and_filters_of_other_threads_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    path = saved(tmp_path, drawn())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_picture(path, 28, 28, 1)
        monkeypatch.setattr(picture, "_require_room", lambda *_: warnings.filterwarnings("ignore", "of another"))
        convert_picture(path, 28, 28, 1)
        warnings.warn("of another", stacklevel=1)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        convert_picture(tmp_path / "none.png", 28, 28, 1)
    with pytest.raises(IsADirectoryError):
        convert_picture(tmp_path, 28, 28, 1)


@pytest.mark.posix
def test_what_memory_has_no_room_for_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("1", (3000, 2000)))
    monkeypatch.setattr(memory, "_control_groups", lambda: iter([100_000_000]))
    with pytest.raises(DataError, match="3000 x 2000 pixels are more than memory has room for"):
        convert_picture(path, 28, 28, 1)
    monkeypatch.setattr(picture, "MOST_BYTES", 1 << 23)
    with pytest.raises(OSError, match="larger than the 8 MB that can be read here"):
        convert_picture("/dev/zero", 28, 28, 1)
