"""A drawing as SVG: inside a page, whose style it takes on, or as a file of its own."""

from jaxd2l.report.chart.drawing import Bar, Dot, Drawing, Line, Mark, Words, corners
from jaxd2l.report.page.html import Markup, element
from jaxd2l.report.page.style import CHART, variables


def svg(drawing: Drawing, *, standalone: bool = False) -> Markup:
    """Write a drawing as one `svg` element.

    Args:
        drawing: what to draw.
        standalone: bring namespace, size and colours along, light and dark, for a file; a page has them already.

    Returns:
        The element; its title and `aria-label` say in words what is drawn.
    """
    own = {"xmlns": "http://www.w3.org/2000/svg", "width": f"{drawing.width:g}", "height": f"{drawing.height:g}"}
    style = element("style", Markup(variables("svg") + CHART + "svg{background:var(--ground)}\n"))
    ground = Bar((0, 0), drawing.width, drawing.height, "ground")
    return element(
        "svg",
        element("title", drawing.title),
        (style, element("style", Markup(".ground{fill:var(--ground)}")), _mark(ground)) if standalone else None,
        [_mark(mark) for mark in drawing.marks],
        **(own if standalone else {}),
        viewBox=f"0 0 {drawing.width:g} {drawing.height:g}",
        role="img",
        aria_label=drawing.description,
    )


def _mark(mark: Mark) -> Markup:
    if isinstance(mark, Words):
        anchor = None if mark.anchor == "start" else mark.anchor
        x, y = (_number(v) for v in mark.at)
        return element("text", mark.text, x=x, y=y, text_anchor=anchor, class_=mark.style or None)
    if isinstance(mark, Bar):
        x, y, width, height = (_number(v) for v in (*mark.at, max(0.0, mark.width), max(0.0, mark.height)))
        return element("rect", x=x, y=y, width=width, height=height, class_=mark.style)
    if isinstance(mark, Line):
        dash = " ".join(_number(v) for v in mark.dash) or None
        return element("polyline", points=_points(mark.points), class_=mark.style, stroke_dasharray=dash)
    return _dot(mark)


def _dot(dot: Dot) -> Markup:
    outline = corners(dot)
    if outline:
        return element("path", d=f"M{_points(outline)}Z", class_=f"mark-{dot.series}")
    x, y, r = (_number(v) for v in (*dot.at, dot.radius))
    return element("circle", cx=x, cy=y, r=r, class_=f"mark-{dot.series}")


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
