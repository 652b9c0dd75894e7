import itertools

import pytest

from jaxd2l.report.page.style import DARK, HEAT, LIGHT, SERIES


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    """WCAG 2.2's contrast ratio."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def mixed(colour, ground, share):
    parts = [round(int(colour[i : i + 2], 16) * share + int(ground[i : i + 2], 16) * (1 - share)) for i in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_every_ground(palette):
    words = ("text", "quiet", "right", "wrong", "series-0")
    for word, ground in itertools.product(words, ("ground", "raised")):
        assert contrast(palette[word], palette[ground]) >= 4.5, (word, ground)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("heat", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_text_is_readable_on_every_cell_of_a_matrix(palette, heat):
    assert contrast(palette["text"], mixed(palette["accent"], palette["ground"], heat * HEAT)) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_and_bars_are_seen(palette):
    for name in ("axis", "accent", *(f"series-{i}" for i in range(SERIES))):
        assert contrast(palette[name], palette["ground"]) >= 3, name


def test_both_palettes_have_the_same_names():
    assert LIGHT.keys() == DARK.keys()
