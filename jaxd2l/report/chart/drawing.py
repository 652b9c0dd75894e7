"""A drawing as a list of marks: what both the SVG and the PNG of a chart are made from."""

from typing import NamedTuple

Point = tuple[float, float]

CHARACTER = 7.2  # pixels a character of 13 px takes at most, in the mean, in the fonts that systems have

_NARROW = {",": 4.2, ".": 4.2, "-": 4.8, "+": 10.9}  # of a number's characters; any other, a digit, takes _DIGIT
_DIGIT = 8.3


class Words(NamedTuple):
    """Text at a baseline point; `anchor` is "start", "middle" or "end"."""

    at: Point
    text: str
    anchor: str = "start"
    style: str = ""


class Line(NamedTuple):
    """Straight lines from point to point; `dash` alternates drawn and left out, in pixels."""

    points: tuple[Point, ...]
    style: str
    dash: tuple[float, ...] = ()


class Bar(NamedTuple):
    """A filled rectangle from its upper left corner."""

    at: Point
    width: float
    height: float
    style: str = "bar"


class Dot(NamedTuple):
    """A marker: a circle, square, diamond or triangle of the series' number, so that colour is not needed."""

    at: Point
    series: int
    radius: float = 3.5


Mark = Words | Line | Bar | Dot


class Drawing(NamedTuple):
    """Marks on a ground of width x height pixels, back to front; `description` says in words what they show.

    Alone in a notebook's cell it shows itself.
    """

    width: float
    height: float
    title: str
    description: str
    marks: tuple[Mark, ...]

    def _repr_svg_(self) -> str:
        from jaxd2l.report.chart.svg import svg  # which draws what is defined here

        return svg(self, standalone=True)

    def __repr__(self) -> str:
        """Its words, where the marks would fill pages."""
        return f"<chart: {self.description}>"


def width_of(number: str) -> float:
    """Pixels that a number of 13 px takes in DejaVu Sans, the widest of the fonts that systems have."""
    return sum(_NARROW.get(character, _DIGIT) for character in number)


def shortened(text: str, characters: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer."""
    return text if len(text) <= characters else f"{text[: characters - 1]}\u2026"


def corners(dot: Dot) -> tuple[Point, ...]:
    """The outline of a marker; () for a circle."""
    (x, y), r = dot.at, dot.radius
    kind = dot.series % 4
    if kind == 1:
        return ((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r))
    if kind == 2:
        r *= 1.35
        return ((x, y - r), (x + r, y), (x, y + r), (x - r, y))
    if kind == 3:
        r *= 1.25
        return ((x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r))
    return ()
