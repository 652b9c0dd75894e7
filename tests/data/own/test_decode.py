import contextlib
import io
import zlib

import numpy as np
import pytest
from picture_files import CHINA, DIGITS, FLOWER, encoded
from PIL import Image, ImageOps

from jaxd2l.data.own import decode as decoding
from jaxd2l.data.own.decode import Header, UnreadablePictureError, decode, read_header

COLOUR = FLOWER[100:105, 200:207]  # 5 x 7
GREY = DIGITS[3][:5, :7]


def pixels(file, height=5, width=7, channels=3):
    return decode(file, height, width, channels)[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "JPEG", "GIF"])
def test_pixels_equal_those_of_pillow_and_numpy(kind):
    file = encoded(CHINA, kind, **({"lossless": True} if kind == "WEBP" else {}))
    expected = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    found = pixels(file, 427, 640)
    np.testing.assert_array_equal(found, expected)
    if kind in ("PNG", "BMP", "WEBP"):
        np.testing.assert_array_equal(found, CHINA)


def test_grey_from_colour_is_luma():
    expected = np.rint(CHINA @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(pixels(encoded(CHINA, "PNG"), 427, 640, 1)[..., 0] - expected).max() <= 1  # of fixed-point arithmetic


def test_grey_as_colour_is_three_equal_channels():
    np.testing.assert_array_equal(pixels(encoded(GREY, "PNG")), np.repeat(GREY[..., None], 3, axis=-1))


def test_halving_is_the_triangle_filter_on_the_middle():
    # Halved with antialiasing, an inner pixel is the mean of four by weights 1 3 3 1 in each direction.
    square = CHINA[:8, 4:12].astype(np.float64)
    wide = np.concatenate([np.zeros((8, 4, 3)), square, np.full((8, 4, 3), 255.0)], axis=1).astype(np.uint8)
    found = pixels(encoded(wide, "PNG"), 4, 4)
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1])[..., None] / 64
    for i, j in ((1, 1), (1, 2), (2, 1), (2, 2)):
        window = square[2 * i - 1 : 2 * i + 3, 2 * j - 1 : 2 * j + 3]
        np.testing.assert_allclose(found[i, j], (window * weights).sum((0, 1)), atol=1.01)  # rounded after each axis


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_undone(kind, orientation):
    image = Image.fromarray(CHINA[:24, :40])
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    stored = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    turned = {  # the stored row 0 and column 0 are the picture's: EXIF 2.3, table 6
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    assert read_header(file)[:2] == turned.shape[:2]
    np.testing.assert_array_equal(pixels(file, *turned.shape[:2]), turned)


def test_exif_behind_the_pixels_of_a_png_counts():
    data = encoded(COLOUR, "PNG").getvalue()
    exif = Image.Exif()
    exif[0x0112] = 6
    body = b"eXIf" + exif.tobytes()[6:]
    chunk = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    late = io.BytesIO(data[:-12] + chunk + data[-12:])
    assert read_header(late) == Header(7, 5, True)
    np.testing.assert_array_equal(pixels(late, 7, 5), COLOUR.transpose(1, 0, 2)[:, ::-1])


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_exif_turns_nothing(exif):
    file = encoded(COLOUR, "PNG", exif=exif) if exif else encoded(COLOUR, "PNG")
    np.testing.assert_array_equal(pixels(file), COLOUR)


def test_transparent_pixels_lie_on_white():
    alpha = np.linspace(0, 255, 35).astype(np.uint8).reshape(5, 7, 1)
    share = alpha / 255
    for picture, kind in ((COLOUR, "RGBA"), (GREY[..., None], "LA")):
        file = encoded(Image.fromarray(np.concatenate([picture, alpha], axis=-1), kind), "PNG")
        expected = np.rint(share * picture + (1 - share) * 255)
        np.testing.assert_allclose(pixels(file, channels=picture.shape[-1]), expected, atol=1.01)


def test_a_transparent_colour_becomes_white():
    for picture, key in (
        (Image.fromarray(COLOUR), tuple(COLOUR[2, 3].tolist())),
        (Image.fromarray(GREY), int(GREY[2, 3])),
    ):
        found = pixels(encoded(picture, "PNG", transparency=key))
        plain = np.asarray(picture.convert("RGB"))
        hidden = (plain == plain[2, 3]).all(-1, keepdims=True)
        np.testing.assert_array_equal(found, np.where(hidden, 255, plain))
    palette = Image.fromarray(COLOUR).quantize(4)
    found = pixels(encoded(palette, "GIF", transparency=int(np.asarray(palette)[2, 3])))
    assert (found[2, 3] == 255).all()
    assert not (found == 255).all()


def test_of_16_bits_the_upper_8_remain():
    deep = (np.arange(35, dtype=np.uint16) * 1871).reshape(5, 7)
    found, peak = decode(encoded(deep, "PNG"), 5, 7, 1)
    np.testing.assert_array_equal(found[..., 0], deep >> 8)
    assert peak == deep.max()
    assert decode(encoded(GREY, "PNG"), 5, 7, 1)[1] is None


@pytest.mark.parametrize(("colour_type", "bands"), [(2, 3), (4, 2), (6, 4)])
def test_of_16_bits_a_band_the_upper_8_remain(colour_type, bands):
    deep = (np.arange(35 * bands, dtype=np.uint32) * 1871 % 65536).astype(">u2").reshape(5, 7, bands)
    if bands % 2 == 0:
        deep[..., -1] = 65535  # opaque
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    parts = [b"IHDR" + (7).to_bytes(4) + (5).to_bytes(4) + bytes([16, colour_type, 0, 0, 0])]
    parts += [b"IDAT" + zlib.compress(rows), b"IEND"]
    chunks = [(len(part) - 4).to_bytes(4) + part + zlib.crc32(part).to_bytes(4) for part in parts]
    found = pixels(io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)), channels=3 if bands > 2 else 1)
    np.testing.assert_array_equal(found, (deep >> 8)[..., : found.shape[-1]])


def test_one_bit_is_black_and_white():
    bits = GREY > 100
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(bits), "PNG"), channels=1)[..., 0], 255 * bits)


@pytest.mark.parametrize(
    ("image", "kind", "colour"),
    [
        (Image.fromarray(GREY), "PNG", False),
        (Image.fromarray(GREY), "JPEG", False),
        (Image.fromarray(GREY), "BMP", False),
        (Image.fromarray(GREY), "GIF", False),
        (Image.fromarray(GREY > 9), "PNG", False),
        (Image.fromarray(GREY).convert("LA"), "PNG", False),
        (Image.fromarray(GREY.astype(np.uint16)), "PNG", False),
        (Image.fromarray(GREY).convert("P"), "PNG", False),
        (Image.fromarray(COLOUR), "PNG", True),
        (Image.fromarray(COLOUR).quantize(5), "PNG", True),
        (Image.fromarray(COLOUR).convert("CMYK"), "JPEG", True),
        (Image.fromarray(GREY).convert("RGB"), "PNG", True),
    ],
)
def test_a_file_is_grey_by_its_kind_or_palette(image, kind, colour):
    assert read_header(encoded(image, kind)) == Header(5, 7, colour)


def test_cmyk_becomes_colour():
    file = encoded(Image.fromarray(FLOWER).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(pixels(file, 427, 640).astype(int) - FLOWER).mean() < 3  # of JPEG's loss; inverted it would be 100


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.fromarray(GREY).convert("RGB"), Image.new("RGB", (7, 5), "white")]
    options = {"lossless": True} if kind == "WEBP" else {}
    found = pixels(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    np.testing.assert_array_equal(found[..., 0], GREY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF"])
def test_every_beginning_of_a_file_is_refused_or_whole(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(CHINA[:32, :48], kind, **options).getvalue()
    whole = pixels(io.BytesIO(data), 32, 48)
    refused = 0
    for end in range(0, len(data), max(1, len(data) // 97)):
        try:
            np.testing.assert_array_equal(pixels(io.BytesIO(data[:end]), 32, 48), whole)
        except UnreadablePictureError:
            refused += 1
    assert refused > 80


def test_damage_anywhere_is_refused_or_decoded_but_never_another_error():
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "GIF"):
        data = np.frombuffer(encoded(COLOUR, kind).getvalue(), np.uint8)
        for _ in range(60):
            damaged = data.copy()
            damaged[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
            with contextlib.suppress(UnreadablePictureError):
                assert pixels(io.BytesIO(damaged.tobytes())).shape == (5, 7, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"hello, world", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a pic"),
    ],
)
def test_what_is_no_picture_is_said(content, reason):
    for read in (read_header, pixels):
        with pytest.raises(UnreadablePictureError, match=reason):
            read(io.BytesIO(content))


def test_other_kinds_are_not_read_whatever_their_name_says():
    with pytest.raises(UnreadablePictureError, match="not a picture"):
        pixels(encoded(COLOUR, "TIFF"))


@pytest.mark.parametrize("side", [9_500, 60_000])
def test_a_bomb_is_refused_by_its_header(side):
    header = b"IHDR" + side.to_bytes(4) + side.to_bytes(4) + b"\x08\x02\0\0\0"
    chunks = [
        (13).to_bytes(4) + header + zlib.crc32(header).to_bytes(4),
        b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4),
    ]
    with pytest.raises(UnreadablePictureError, match=r"more than 89 million"):
        read_header(io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)))


def test_a_file_too_large_for_a_picture_is_not_read(monkeypatch):
    monkeypatch.setattr(decoding, "MOST_BYTES", 50)
    with pytest.raises(UnreadablePictureError, match="more than a picture takes"):
        pixels(encoded(CHINA[:50], "BMP"))


def test_fit_is_pillows_own():
    image = Image.fromarray(CHINA)
    expected = np.asarray(ImageOps.fit(image, (33, 21), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(pixels(encoded(CHINA, "PNG"), 21, 33), expected)
