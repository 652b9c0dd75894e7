"""The architecture as a law: imports flow one way, and importing costs and changes nothing."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "jaxd2l"

# What each part may import of ours, besides itself.
ALLOWED = {
    "book": set(),
    "data": set(),
    "nn": set(),
    "train": {"book", "data", "nn"},
    "cost": {"data", "nn", "train"},
    "selection": {"data", "nn", "train", "cost"},
    "recipes": {"book", "data", "nn", "train"},
    "experiments": {"data", "nn", "train", "selection", "recipes"},
    "interop": {"data", "nn", "train", "recipes"},
    "report": {"data", "nn", "train", "cost", "selection", "recipes"},
    "run_folder": {"data", "nn", "train", "recipes", "interop"},
    "commands": {
        "data",
        "nn",
        "train",
        "cost",
        "selection",
        "recipes",
        "experiments",
        "interop",
        "report",
        "run_folder",
    },
    "cli": {"data", "nn", "train", "recipes", "commands"},
    "__main__": {"cli"},
    "__init__": set(),
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it whole"
            if node.module == "jaxd2l":
                names |= {f"jaxd2l.{alias.name}" for alias in node.names}
            else:
                names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("jaxd2l.")}


def test_imports_flow_one_way():
    offences = []
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in ALLOWED:
            offences.append(f"{path}: {part} is a new part: say here what it may import")
            continue
        wrong = _imports(path) - {part, "__version__"} - ALLOWED[part]
        offences += [f"{path}: {part} must not import {other}" for other in sorted(wrong)]
    assert not offences, "\n".join(offences)


def test_importing_sets_no_flag_and_loads_nothing_heavy():
    program = """
import sys, jax
before = dict(jax.config.values)
import jaxd2l, jaxd2l.data, jaxd2l.nn, jaxd2l.nn.models, jaxd2l.train, jaxd2l.recipes
assert dict(jax.config.values) == before
heavy = ("tensorflow_datasets", "tensorflow", "matplotlib", "pandas", "safetensors", "orbax.checkpoint", "torch")
loaded = [name for name in heavy if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_name_says_nothing():
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "misc.py", "common.py"}
    assert not [path for path in PACKAGE.rglob("*.py") if path.name in vague]


def test_jit_agrees_with_eager_on_a_vmapped_matrix_product_and_reduction():
    # jax-ml/jax#39103: older jaxlib returns 1071645696 for the last element under jit on CPU.
    import jax
    import jax.numpy as jnp

    i = jnp.arange(32769, dtype=jnp.float32)
    x = jnp.stack((i, jnp.zeros_like(i), jnp.zeros_like(i)), 1)
    last = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))(x)[-1]
    assert last == 1073741824.0
