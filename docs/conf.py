"""Sphinx with MyST: `uv run --group docs sphinx-build -W docs docs/_build`."""

project = "jaxd2l"
author = "the jaxd2l authors"
copyright = "2026, the jaxd2l authors"
extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
html_theme = "furo"
html_title = "jaxd2l"
exclude_patterns = ["_build", "jupyter_execute", ".jupyter_cache"]  # what a build leaves behind
