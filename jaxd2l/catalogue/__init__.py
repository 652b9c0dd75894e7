"""Every experiment of the package as plain values, the book's and then those that are tuned.

Nothing is imported here, so the table can be shown, and a misspelt name refused, before JAX is.

- `EXPERIMENTS`, `require`: all of them, and one by its name; `Experiment`, `Published`: what stands there
- `BOOK`, `TUNED`: those of the book and its founding notes; the same data and how they are trained today
"""

import difflib

from jaxd2l.catalogue.book import AMES_CITATION, BOOK
from jaxd2l.catalogue.experiment import Experiment, Published
from jaxd2l.catalogue.tuned import TUNED

__all__ = ["AMES_CITATION", "BOOK", "EXPERIMENTS", "TUNED", "Experiment", "Published", "require"]

EXPERIMENTS = BOOK | TUNED


def require(name: str) -> Experiment:
    """The experiment called `name`.

    Raises:
        ValueError: there is none; the message has the nearest names.
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(EXPERIMENTS)}"
        raise ValueError(f"unknown recipe {name!r}; {hint} (see `jaxd2l list`)")
    return EXPERIMENTS[name]
