"""The architecture as a law: imports flow one way, and importing costs and changes nothing."""

import ast
import functools
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxd2l"

# What each part may import of ours, besides itself.
LIBRARY = {
    "catalogue",
    "machine",
    "data",
    "nn",
    "train",
    "cost",
    "selection",
    "recipes",
    "run_folder",
    "interop",
    "report",
    "prediction",
    "web",
    "export",
    "frozen",
    "sklearn",
    "diagnosis",
}
ALLOWED = {
    "catalogue": set(),
    "notebook_table": set(),
    "wording": set(),
    "kept": set(),
    "earlier": {"kept", "machine"},
    "machine": set(),
    "data": {"machine"},
    "nn": set(),
    "train": {"notebook_table", "kept", "earlier", "catalogue", "machine", "data", "nn"},
    "cost": {"notebook_table", "earlier", "machine", "data", "nn", "train"},
    "selection": {"machine", "data", "nn", "train", "cost"},
    "recipes": {"catalogue", "data", "nn", "train"},
    "experiments": {"data", "nn", "train", "selection", "recipes"},
    "interop": {"kept", "machine", "data", "nn", "train", "recipes"},
    "prediction": {"earlier", "machine", "data", "nn", "train", "recipes", "run_folder"},
    "report": {
        *("machine", "data", "nn", "train", "cost", "selection", "recipes", "experiments", "run_folder", "prediction"),
    },
    "run_folder": {"machine", "data", "nn", "train", "recipes", "interop"},
    "web": {"machine", "nn", "run_folder", "prediction", "report"},
    # what claims are about, and so run
    "claims": {"catalogue", "data", "nn", "train", "cost", "selection", "recipes", "experiments", "run_folder"}
    | {"machine", "diagnosis"},  # of diagnosis the curves over many seeds
    "diagnosis": {"catalogue", "notebook_table", "report"},  # of report the text of tables: no JAX
    "frozen": {"machine", "data", "interop"},  # no network, no recipe, no Flax: what is frozen outlives them
    "export": {"machine", "data", "nn", "train", "interop", "run_folder", "prediction", "frozen"},
    "sklearn": {"kept", "machine", "data", "nn", "train", "recipes", "prediction"},
    "cli": {
        "catalogue"
    },  # and the command that is to run, by its name: what can be typed is known before JAX is imported
    "commands": {*LIBRARY, "earlier", "experiments", "claims", "cli"},
    "__main__": {"cli"},
    "__init__": LIBRARY,  # when a name is first used
}


@functools.cache
def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def _called(node: ast.Call) -> str:
    """What stands behind the last dot of what is called."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(_tree(path)):
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
        wrong = _imports(path) - {part, "__version__", "wording"} - ALLOWED[part]  # all may count in words
        offences += [f"{path}: {part} must not import {other}" for other in sorted(wrong)]
    assert not offences, "\n".join(offences)


def test_importing_sets_no_flag_and_loads_nothing_heavy():
    program = """
import sys, jax
before = dict(jax.config.values)
import jaxd2l, jaxd2l.data, jaxd2l.nn, jaxd2l.nn.models, jaxd2l.train, jaxd2l.recipes
assert dict(jax.config.values) == before
heavy = ("tensorflow_datasets", "tensorflow", "matplotlib", "PIL", "pandas", "safetensors", "orbax.checkpoint", "torch")
loaded = [name for name in heavy if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def _packages():
    yield from (path.parent for path in sorted(PACKAGE.rglob("__init__.py")))


def test_no_module_is_hidden_by_a_function_of_its_name():
    hidden = []
    for package in _packages():
        name = ".".join(("jaxd2l", *package.relative_to(PACKAGE).parts))
        face = importlib.import_module(name)
        for module in sorted(path.stem for path in package.glob("*.py") if not path.stem.startswith("__")):
            found = importlib.import_module(f"{name}.{module}")
            if getattr(face, module, found) is not found:
                hidden.append(f"{name}.{module}")
    assert not hidden


def test_a_shelf_holds_at_most_fourteen_modules():
    shelves = {str(p.relative_to(PACKAGE)): len(list(p.glob("*.py"))) - 1 for p in _packages()}
    assert not {name: count for name, count in shelves.items() if count > 14}


def test_a_file_holds_at_most_250_lines():
    lines = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert not {name: count for name, count in lines.items() if count > 250}


def test_from_fit_to_a_gradient_are_at_most_ten_files():
    """The files of `train` and its data's rows that one step of a training passes through, by their imports."""
    way = [
        "run_folder/training",
        "train/loop",
        "train/program/compiling",
        "train/program/binding",
        "train/epoch",
        "train/step",
        "train/state",
    ]
    way += ["train/optimizer/rules", "data/batches", "nn/loss"]
    assert len(way) <= 10
    for above, below in (
        ("train/loop", "program"),
        ("train/program/binding", "epoch"),
        ("train/program/binding", "step"),
    ):
        text = (PACKAGE / f"{above}.py").read_text(encoding="utf-8")
        assert f"from jaxd2l.train.{below} import" in text, f"{above} no longer leads to {below}: say the way here"
    assert "jax.grad" in (PACKAGE / "train/step.py").read_text(encoding="utf-8") or "value_and_grad" in (
        PACKAGE / "train/step.py"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["train", "--help"], ["list"], ["train", "lenett"], ["train", "lenet", "--bogus"], []],
    ids=" ".join,
)
def test_what_needs_no_device_is_answered_without_jax(arguments):
    program = """
import sys
from jaxd2l.cli import main
try:
    sys.exit(main(sys.argv[1:]))
finally:
    heavy = {"jax", "jaxlib", "flax", "optax", "numpy", "pandas", "rich", "orbax"} & set(sys.modules)
    assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert "AssertionError" not in done.stderr, done.stderr
    assert done.returncode == (2 if arguments in ([], ["train", "lenett"], ["train", "lenet", "--bogus"]) else 0)


def test_the_words_of_an_option_are_those_of_the_library():
    from jaxd2l.cli import arguments, options
    from jaxd2l.data import AUGMENTATIONS
    from jaxd2l.export.write import FORMATS, WHAT
    from jaxd2l.prediction.picture import INVERT
    from jaxd2l.run_folder import KEPT_WEIGHTS
    from jaxd2l.selection.sweep import Method
    from jaxd2l.train.optimizer import OPTIMIZERS, SCHEDULES
    from jaxd2l.train.recipe import PRECISIONS

    assert tuple(AUGMENTATIONS) == options.AUGMENTATIONS
    assert INVERT == options.INVERT
    assert FORMATS == options.EXPORTS
    assert WHAT == options.EXPORTED
    assert tuple(OPTIMIZERS) == options.OPTIMIZERS
    assert tuple(SCHEDULES) == options.SCHEDULES
    assert tuple(PRECISIONS) == options.PRECISIONS
    assert options.WEIGHTS == KEPT_WEIGHTS
    assert tuple(method.value for method in Method) == options.METHODS

    def modules(shelf):
        files = [path.relative_to(shelf).with_suffix("").parts for path in shelf.rglob("*.py")]
        return {".".join(parts) for parts in files if parts[-1] != "__init__"}

    typed = modules(PACKAGE / "cli" / "arguments")
    assert typed == set(arguments.NAMES)
    assert typed <= modules(PACKAGE / "commands")


def test_the_front_door_shows_what_there_is():
    import jaxd2l

    assert {"fit", "evaluate", "Recipe", "find", "load_data", "load_run", "nn", "data", "train"} <= set(dir(jaxd2l))
    for name in dir(jaxd2l):
        assert getattr(jaxd2l, name) is not None
    assert not hasattr(jaxd2l, "fitt")


POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}
POSIX_NAMES = {
    "os": {
        *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getloadavg", "killpg", "setsid", "mkfifo"),
        *("pread", "pwrite", "sched_getaffinity", "sysconf", "sysconf_names", "register_at_fork", "statvfs", "uname"),
        *("chown", "fchmod", "nice", "pipe2", "wait", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC"),
    },
    "signal": {
        *("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGCONT", "SIGSTOP"),
        *("alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt"),
    },
}


def _unguarded(node: ast.AST, guards: str = "") -> Iterator[str]:
    """What only POSIX systems have, where no `try` or `if hasattr(...)` around it looks whether it is there."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        yield from (f"{node.lineno}: import {n}" for n in names if n in POSIX_MODULES and "ImportError" not in guards)
        if isinstance(node, ast.ImportFrom) and node.module in POSIX_NAMES:
            wrong = POSIX_NAMES[node.module] & {alias.name for alias in node.names}
            yield from (f"{node.lineno}: from {node.module} import {name}" for name in sorted(wrong))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        where, name = node.value.id, node.attr
        if name in POSIX_NAMES.get(where, ()) and f"hasattr({where}, '{name}')" not in guards:
            yield f"{node.lineno}: {where}.{name}"
    if isinstance(node, ast.Try):
        caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
        for child in node.body:
            yield from _unguarded(child, f"{guards} {caught}")
        rest: list[ast.AST] = [*node.handlers, *node.orelse, *node.finalbody]
    elif isinstance(node, ast.If | ast.IfExp):
        body = node.body if isinstance(node.body, list) else [node.body]
        looked = f"{guards} {ast.unparse(node.test)}"
        for child in body:
            yield from _unguarded(child, looked)
        rest = [node.test, *(node.orelse if isinstance(node.orelse, list) else [node.orelse])]
    else:
        rest = list(ast.iter_child_nodes(node))
    for child in rest:
        yield from _unguarded(child, guards)


def test_what_only_posix_has_is_used_only_where_it_is_there():
    found = [f"{path}:{what}" for path in sorted(PACKAGE.rglob("*.py")) for what in _unguarded(_tree(path))]
    assert not found, "\n".join(found)
    lacking = "import fcntl\nif x:\n    import pwd\nfrom os import fork\nos.getuid() if x else signal.SIGKILL"
    assert len(list(_unguarded(ast.parse(lacking)))) == 5, "the law itself"
    looking = "try:\n    import pwd\nexcept ImportError:\n    pass\nos.getuid() if hasattr(os, 'getuid') else 0"
    assert not list(_unguarded(ast.parse(looking))), "the law itself"


def test_scripts_and_benchmarks_import_what_is_there():
    missing = []
    for path in [*(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxd2l":
                module = importlib.import_module(node.module)
                for name in (alias.name for alias in node.names):
                    modules = [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", ()))]
                    if not hasattr(module, name) and name not in modules:
                        missing.append(f"{path.name}: {name} of {node.module}")
    assert not missing


def _in_the_systems_encoding(tree: ast.AST) -> Iterator[int]:
    """Lines where text is read or written in whatever encoding the system prefers, cp1252 on many a Windows."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _called(node) not in ("open", "read_text", "write_text"):
            continue
        if {"encoding", None} & {keyword.arg for keyword in node.keywords}:
            continue
        name, called = _called(node), ast.unparse(node.func)
        modes = [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]
        binary = any(isinstance(a, ast.Constant) and re.fullmatch(r"[rwax+]*b[rwax+]*", str(a.value)) for a in modes)
        path = called == "open" or not node.args or isinstance(node.args[0], ast.Constant)  # `Image.open(file)` is none
        opens = name == "open" and path and called not in OTHER_OPENS
        if name in ("read_text", "write_text") or (opens and not binary):
            yield node.lineno


OTHER_OPENS = ("os.open", "tarfile.open", "zipfile.open", "gzip.open")  # of descriptors and archives


def test_text_is_read_and_written_as_utf_8_on_every_system():
    paths = [path for part in ("jaxd2l", "scripts", "benchmarks", "tests") for path in (ROOT / part).rglob("*.py")]
    found = [f"{path}:{line}" for path in sorted(paths) for line in _in_the_systems_encoding(_tree(path))]
    assert not found, "\n".join(found)
    assert list(_in_the_systems_encoding(ast.parse("open(x)\np.read_text()\np.open('w')\nopen(x, 'rb')"))) == [1, 2, 3]


WRITERS = {
    "machine/disk.py": "writes whole files",
    "run_folder/metrics.py": "appends a line, or takes it back",
    "run_folder/checkpoint/digests.py": "moves its file into place itself",
    "data/own/cache.py": "likewise",
    "cli/explain.py": "a new file of its own, of an error that is being told",
    "commands/asked/peers.py": "likewise, of what libraries say",
    "claims/subjects/tables.py": "a file to read, in a folder for temporary ones",
}


def _written(tree: ast.AST) -> Iterator[int]:
    """Lines that write a file by a name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, modes = _called(node), [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]
        writes = any(isinstance(a, ast.Constant) and re.fullmatch(r"[rb]*[wax+][b+]*", str(a.value)) for a in modes)
        to_memory = name == "savefig" and "format" in {keyword.arg for keyword in node.keywords}
        to_file = name in ("write_text", "write_bytes", "to_csv", "tofile", "save_file", "savefig", "mkstemp")
        if (name in ("open", "fdopen") and writes) or (to_file and not to_memory):
            yield node.lineno


def test_files_are_written_whole_by_one_function():
    found = {
        path.relative_to(PACKAGE).as_posix(): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if (lines := list(_written(_tree(path))))
    }
    assert {name: lines for name, lines in found.items() if name not in WRITERS} == {}
    assert set(WRITERS) - set(found) == set(), "no longer written there"
    law = "open(x, 'wb')\np.open('a')\np.write_text(x)\nf.savefig(p)\nopen(x, 'rb')\nf.savefig(b, format='svg')"
    assert list(_written(ast.parse(law))) == [1, 2, 3, 4]


def test_only_one_place_asks_how_much_memory_there_is():
    asked = re.compile(r"virtual_memory|SC_PHYS_PAGES|/proc/meminfo|memory\.max|hw\.memsize")
    found = [path for path in PACKAGE.rglob("*.py") if asked.search(path.read_text(encoding="utf-8"))]
    assert [path.relative_to(PACKAGE).as_posix() for path in found] == ["machine/memory.py"]


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
