"""Sphinx with MyST: `uv run --group docs sphinx-build -W --keep-going -q -j 3 docs docs/_build`; every cell is run.

After it, the same with `-D language=zh_CN docs docs/_build/zh` builds the site in Chinese from what the cells of the
English one gave: nothing is run again (`_ext/languages.py`).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "jaxd2l"
author = "the jaxd2l authors"
copyright = "2026, the jaxd2l authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
# our own, in _ext
extensions += ["api_pages", "command_pages", "kernels", "languages", "mathml", "navigation", "reading"]
exclude_patterns = ["_build", "_ext", "locale", "jupyter_execute", ".jupyter_cache"]  # what a build leaves behind
templates_path = ["_templates"]

locale_dirs = ["locale"]
gettext_compact = False  # a catalogue a page

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 1800  # of a cell, beside other work
nb_merge_streams = True
nb_render_markdown_format = "gfm"  # tables

autodoc_member_order = "bysource"
default_role = "py:obj"  # docstrings put names into single backticks
smartquotes = False  # -- begins an option
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
viewcode_line_numbers = True

html_theme = "furo"
html_title = "jaxd2l"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_sidebars = {
    "**": [
        *("sidebar/brand.html", "sidebar/search.html", "sidebar/language.html", "sidebar/scroll-start.html"),
        *("sidebar/navigation.html", "sidebar/scroll-end.html"),
    ]
}
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fad", "color-brand-content": "#1f5fad"},
    "dark_css_variables": {"color-brand-primary": "#77b0f5", "color-brand-content": "#77b0f5"},
}
