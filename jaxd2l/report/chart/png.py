"""A drawing as PNG, by Pillow: every install has it, so that nobody needs matplotlib for the picture of a curve.

The light palette on a light ground, drawn at three times the size and reduced, which smooths the lines.
"""

import io
import itertools
import math
from collections.abc import Iterator
from typing import Any

from jaxd2l.report.chart.drawing import Bar, Dot, Drawing, Line, Mark, Point, Words, corners
from jaxd2l.report.page.style import LIGHT, SERIES

_SMOOTH = 3
_ROLES = {"grid": "rule", "axis": "axis", "quiet": "quiet", "ideal": "quiet", "bar": "accent", "ground": "ground"}
_ROLES |= {f"series-{i}": f"series-{i}" for i in range(SERIES)}
_WIDTHS = {"line": 2.0, "thin": 1.2}


def png(drawing: Drawing, scale: int = 2) -> bytes:
    """Draw at `scale` pixels a unit and encode.

    Raises:
        ValueError: the scale is below 1.
    """
    from PIL import Image, ImageDraw

    if scale < 1:
        raise ValueError(f"scale must be at least 1 pixel a unit, got {scale}")
    factor = scale * _SMOOTH
    margin = 10
    size = (math.ceil(drawing.width + 2 * margin) * factor, math.ceil(drawing.height + 2 * margin) * factor)
    image = Image.new("RGB", size, LIGHT["ground"])
    pencil = _Pencil(ImageDraw.Draw(image), factor, margin)
    for mark in drawing.marks:
        pencil.draw(mark)
    smooth = image.resize((size[0] // _SMOOTH, size[1] // _SMOOTH), Image.Resampling.BOX)
    buffer = io.BytesIO()
    smooth.quantize(64, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


class _Pencil:
    def __init__(self, canvas: Any, factor: int, margin: float) -> None:
        from PIL import ImageFont

        self._canvas, self._factor, self._margin = canvas, factor, margin
        self._font = ImageFont.load_default(13 * factor)

    def draw(self, mark: Mark) -> None:
        colour = LIGHT[_role(mark)]
        if isinstance(mark, Words):
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[mark.anchor]
            self._canvas.text(self._at(mark.at), mark.text, colour, self._font, anchor)
        elif isinstance(mark, Bar):
            x, y = mark.at
            if mark.width > 0 and mark.height > 0:
                self._canvas.rectangle((self._at((x, y)), self._at((x + mark.width, y + mark.height))), colour)
        elif isinstance(mark, Line):
            width = next((w for name, w in _WIDTHS.items() if name in mark.style.split()), 1.0)
            for piece in dashed(mark.points, mark.dash) if mark.dash else [mark.points]:
                points = [self._at(p) for p in piece]
                self._canvas.line(points, colour, round(width * self._factor), "curve")
        elif outline := corners(mark):
            self._canvas.polygon([self._at(p) for p in outline], colour)
        else:
            self._canvas.circle(self._at(mark.at), mark.radius * self._factor, colour)

    def _at(self, point: Point) -> Point:
        return (point[0] + self._margin) * self._factor, (point[1] + self._margin) * self._factor


def _role(mark: Mark) -> str:
    if isinstance(mark, Dot):
        return f"series-{mark.series % SERIES}"
    return next((_ROLES[name] for name in mark.style.split() if name in _ROLES), "text")


def dashed(points: tuple[Point, ...], dash: tuple[float, ...]) -> Iterator[tuple[Point, Point]]:
    """Cut a line into the pieces that its dashes draw; lengths in `dash` alternate drawn and left out."""
    index, left, drawn = 0, dash[0], True
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        length, done = math.hypot(x1 - x0, y1 - y0), 0.0
        while length - done > 1e-9:
            piece = min(left, length - done)
            if drawn:
                a, b = done / length, (done + piece) / length
                yield (x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0))
            done, left = done + piece, left - piece
            if left <= 1e-9:
                index, drawn = (index + 1) % len(dash), not drawn
                left = dash[index]
