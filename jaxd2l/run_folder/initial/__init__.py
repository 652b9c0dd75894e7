"""Weights that a run begins with instead of drawn ones.

- `Source`, `read_source`, `kept_source`: where they come from, and that they are still the same
- `Fit`, `fit_to_network`: which of them a network takes over, and what of it is drawn anew
"""

from jaxd2l.run_folder.initial.fitting import Fit, fit_to_network
from jaxd2l.run_folder.initial.source import Source, kept_source, read_source, refuse_other_source

__all__ = ["Fit", "Source", "fit_to_network", "kept_source", "read_source", "refuse_other_source"]
