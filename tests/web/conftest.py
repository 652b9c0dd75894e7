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
