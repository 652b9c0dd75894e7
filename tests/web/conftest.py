import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import engines


@pytest.fixture
def node():
    """Run scripts of the page, see `engines.in_node`."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: the scripts of the page are checked in Chromium alone")
    return engines.in_node


@pytest.fixture
def tab():
    """A tab of headless Chromium."""
    module = engines.chromium()
    program = module.installed()
    if program is None:
        pytest.skip(
            f"none of {', '.join(module.NAMES)} is installed: the scripts of the page are checked in Node alone"
        )
    browser = module.Browser(program)
    try:
        yield module.Tab(browser)
    finally:
        browser.close()
