"""The scripts of a page in Node, and what stands on the page."""

import json
import re
import shutil
import subprocess
from importlib import resources


def script(*names):
    """Scripts of the package as one text."""
    assets = resources.files("jaxd2l.web").joinpath("assets")
    return "\n".join(assets.joinpath(name).read_text(encoding="utf-8") for name in names)


def in_node(names, body, given):
    """What a program of JavaScript returns after these scripts; it sees `given`, a JSON value."""
    text = f"{script(*names)}\nconst given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
    text += f"process.stdout.write(JSON.stringify((() => {{ {body} }})()));"
    command = [shutil.which("node"), "-e", text]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def embedded(page, name):
    """The text of a data block of a page."""
    return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.DOTALL)[1]
