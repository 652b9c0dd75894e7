"""Reports: a run on the terminal, finished runs as tables, and pages to look at.

- `console`: a bar, a line an epoch, a closing table; `table`, `sweep`: Markdown over seeds and rates
- `spread`: mean, deviation and interval of trainings over seeds; `kept`: those that a stopped command has finished
- `write`: one function for each kind of result, from its folder to `report.html`
- `record`: what a run's folder says; `inspection`: what its network does, by `judgement` and `activations`
- `live`: the book's animated lines in a notebook; `watch`: it and the events for TensorBoard
- `chart`: values as SVG and PNG; `page`: the HTML and the pictures in it
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxd2l.report.watch.live_curves import live

__all__ = ["live"]


def __getattr__(name: str) -> Any:
    if name != "live":  # loaded when it is first used: `jaxd2l list` imports this room without JAX
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jaxd2l.report.watch.live_curves import live

    return live
