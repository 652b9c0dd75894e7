import io
import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxd2l.report.chart import plot
from jaxd2l.report.chart.drawing import Bar, Dot, Line, Words, width_of
from jaxd2l.report.chart.plot import Level, Series
from jaxd2l.report.chart.png import dashed, png
from jaxd2l.report.chart.scale import linear_ticks, log_ticks, scale_of, whole_ticks
from jaxd2l.report.chart.svg import svg

ANY = st.floats(allow_nan=True, allow_infinity=True)


def coordinates(drawing):
    for mark in drawing.marks:
        if isinstance(mark, Line):
            yield from mark.points
        elif isinstance(mark, Bar):
            yield mark.at
            yield (mark.at[0] + mark.width, mark.at[1] + mark.height)
        else:
            yield mark.at


@pytest.mark.slow
@given(st.lists(ANY, min_size=1, max_size=12), st.lists(ANY, max_size=3))
def test_every_curve_of_any_values_stays_inside_its_drawing(values, published):
    levels = [Level(str(i), value, i) for i, value in enumerate(published)]
    drawing = plot.lines("t", [Series("s", range(1, len(values) + 1), values, 0)], levels=levels)
    for x, y in coordinates(drawing):
        assert 0 <= x <= drawing.width
        assert 0 <= y <= drawing.height
    ET.fromstring(svg(drawing, standalone=True))


@pytest.mark.slow
@given(st.floats(-1e300, 1e300), st.floats(0, 1e300))
def test_linear_ticks_are_few_in_order_and_inside(low, span):
    high = low + span
    ticks = linear_ticks(low, high)
    assert 1 <= len(ticks) <= 12
    assert ticks == sorted(ticks)
    assert all(low - 1e-6 * span <= tick <= high + 1e-6 * span for tick in ticks)


def test_ticks_are_round():
    assert linear_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert linear_ticks(0.07, 2.41) == [0.5, 1.0, 1.5, 2.0]
    assert whole_ticks(1, 10) == [1, 2, 4, 6, 8, 10]
    assert whole_ticks(1, 3) == [1, 2, 3]
    assert log_ticks(1e-5, 1) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1])
    assert log_ticks(0.02, 0.3) == pytest.approx([0.02, 0.05, 0.1, 0.2])


def test_a_larger_value_is_drawn_higher_and_a_later_one_further_right():
    drawing = plot.lines("t", [Series("s", range(1, 4), [1.0, 2.0, 3.0], 0)])
    dots = [mark.at for mark in drawing.marks if isinstance(mark, Dot)][:3]
    assert [x for x, _ in dots] == sorted({x for x, _ in dots})
    assert [y for _, y in dots] == sorted({y for _, y in dots}, reverse=True)


def test_a_missing_value_breaks_the_curve():
    drawing = plot.lines("t", [Series("s", range(1, 6), [1.0, 2.0, math.nan, 3.0, 4.0], 0)])
    pieces = [mark for mark in drawing.marks if isinstance(mark, Line) and mark.style == "line series-0"]
    assert [len(piece.points) for piece in pieces] == [2, 2, 2]  # the third is the legend's


@pytest.mark.parametrize("value", [2e5, -2e5, -9e5, -0.0005, 12_345.6789, -1e-300, 1e300])
def test_no_label_of_a_tick_is_cut_at_an_edge(value):
    """A digit of DejaVu Sans is 0.636 of its size wide, of 13 px here."""
    assert width_of("200,000") == pytest.approx(6 * 0.636 * 13 + 0.318 * 13, abs=0.4)
    values = [value, value * 1.0005]
    spread = plot.points("t", [value / 3, value], [0.0, value], x_label="x", y_label="y")
    for drawing in (plot.lines("t", [Series("s", [10**6, 10**6 + 1], values, 0)]), spread):
        for mark in drawing.marks:
            if isinstance(mark, Words) and mark.style == "quiet" and mark.text[-1].isdigit():
                reach = {"end": (1, 0), "middle": (0.5, 0.5)}[mark.anchor]
                assert mark.at[0] - reach[0] * width_of(mark.text) >= 0
                assert mark.at[0] + reach[1] * width_of(mark.text) <= drawing.width


def test_values_far_apart_get_a_logarithmic_axis_and_its_name():
    drawing = plot.lines("t", [Series("s", (1, 2), [1e-5, 1.0], 0)], y_label="loss")
    assert "loss, logarithmic" in [mark.text for mark in drawing.marks if isinstance(mark, Words)]
    linear = plot.lines("t", [Series("s", (1, 2), [-1.0, 1000.0], 0)], y_label="loss")
    assert "loss" in [mark.text for mark in linear.marks if isinstance(mark, Words)]


def test_published_figures_are_dashed_lines_across_the_plot_named_in_the_legend():
    levels = [Level("published (zh)", 0.5, 0), Level("published (en)", 0.7, 1)]
    drawing = plot.lines("t", [Series("s", (1, 2), [0.4, 0.6], 0)], levels=levels)
    drawn = [mark for mark in drawing.marks if isinstance(mark, Line) and mark.dash and "thin" in mark.style]
    assert len({mark.dash for mark in drawn}) == 2
    assert all(mark.points[1][0] - mark.points[0][0] > 300 for mark in drawn)
    assert {"published (zh)", "published (en)"} <= {mark.text for mark in drawing.marks if isinstance(mark, Words)}


def test_one_epoch_is_a_point():
    drawing = plot.lines("t", [Series("s", (1,), [0.5], 0)])
    assert len([mark for mark in drawing.marks if isinstance(mark, Dot)]) == 2  # with the legend's
    svg(drawing)


def test_bars_are_as_long_as_their_values():
    drawing = plot.bars("t", ("a", "b", "c"), (0.25, 0.5, math.nan), ("1", "2", "3"))
    widths = [mark.width for mark in drawing.marks if isinstance(mark, Bar)]
    assert widths[1] == pytest.approx(2 * widths[0])
    assert widths[2] == 0


def test_the_words_of_a_chart_say_its_values():
    drawing = plot.lines("Loss", [Series("train", (1, 2), [2.0, 1.0], 0)], levels=[Level("zh", 0.469, 0)])
    root = ET.fromstring(svg(drawing))
    assert root.get("aria-label") == "Loss. train: 2 to 1; zh: 0.469."
    assert root[0].tag == "title"


def test_names_in_an_svg_are_text():
    drawing = plot.bars("</title><script>", ("<script>",), (1.0,), ("&",))
    root = ET.fromstring(svg(drawing, standalone=True))
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert "<script>" in [e.text for e in root.iter()]


def test_the_png_shows_what_the_svg_shows():
    drawing = plot.lines("t", [Series("s", range(1, 6), [1, 2, 3, 2, 1.0], 1)], levels=[Level("zh", 2.5, 0)])
    image = Image.open(io.BytesIO(png(drawing))).convert("RGB")
    assert image.width == 2 * (drawing.width + 20)
    assert image.height == 2 * math.ceil(drawing.height + 20)
    for mark in drawing.marks:
        if isinstance(mark, Dot):
            red, _, blue = image.getpixel((round(2 * (mark.at[0] + 10)), round(2 * (mark.at[1] + 10))))
            assert red > 150 > blue, mark  # the second colour is orange


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=6),
    st.lists(st.floats(1, 20), min_size=2, max_size=4).filter(lambda dash: len(dash) % 2 == 0),
)
def test_dashes_cover_their_share_of_a_line(points, dash):
    length = sum(math.dist(a, b) for a, b in itertools.pairwise(points))
    drawn = sum(math.dist(a, b) for a, b in dashed(tuple(points), tuple(dash)))
    share = sum(dash[::2]) / sum(dash)
    assert drawn == pytest.approx(share * length, abs=sum(dash))


def test_scales_hold_their_values_and_nothing_else_breaks_them():
    scale = scale_of([1.0, 3.0, math.nan, math.inf], 0, 100)
    assert 0 < scale(1.0) < scale(3.0) < 100
    assert scale_of([], 0, 100)(0.5) == 50
    assert scale_of([2.0], 0, 100)(2.0) == 50


def test_numbers_in_the_svg_are_plain():
    text = svg(plot.points("t", [1e5, 2e5], [0.1, -0.1], x_label="x", y_label="y"))
    assert not re.search(r'"(nan|inf|-?\d+(\.\d+)?e)', text)


def test_a_curve_over_any_numbers_has_ticks_between_whole_ones():
    drawing = plot.lines("t", [Series("s", (-0.5, 0.0, 0.5), [1.0, 2.0, 3.0], 0)])
    ticks = [mark.text for mark in drawing.marks if isinstance(mark, Words) and mark.anchor == "middle"]
    assert {"-0.4", "0", "0.4"} <= set(ticks)
    dots = [mark.at[0] for mark in drawing.marks if isinstance(mark, Dot)][:3]
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1])


def test_a_chart_shows_itself_in_a_notebook():
    drawing = plot.lines("Loss", [Series("train", (1, 2), [2.0, 1.0], 0)])
    assert drawing._repr_svg_() == svg(drawing, standalone=True)
    assert repr(drawing) == "<chart: Loss. train: 2 to 1.>"
