"""How messages count."""

import ast
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxd2l.wording import command_line, counted, some

PACKAGE = Path(__file__).parent.parent / "jaxd2l"


@pytest.mark.parametrize(
    ("n", "noun", "said"),
    [
        (0, "picture", "0 pictures"),
        (1, "picture", "1 picture"),
        (2000, "picture", "2,000 pictures"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (np.int64(1), "row", "1 row"),
        (np.int64(1500), "row", "1,500 rows"),
        ("many", "epoch", "many epochs"),
    ],
)
def test_one_is_counted_in_the_singular(n, noun, said):
    assert counted(n, noun) == said


def test_of_many_the_first_are_named():
    assert some("abc") == "a, b, c"
    assert some("abcdefg") == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("system", "said"), [("posix", "jaxd2l thaw 'a b' x"), ("nt", 'jaxd2l thaw "a b" x')], ids=["posix", "nt"]
)
def test_a_command_is_quoted_as_the_shell_takes_it(system, said, monkeypatch):
    monkeypatch.setattr("jaxd2l.wording.os", SimpleNamespace(name=system))
    assert command_line("jaxd2l", "thaw", Path("a b"), "x") == said


def test_every_command_to_copy_is_quoted():
    found = []
    for path in PACKAGE.rglob("*.py"):
        for string in (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.JoinedStr)):
            for text, value in itertools.pairwise(string.values):
                bare = isinstance(text, ast.Constant) and isinstance(value, ast.FormattedValue)
                if bare and re.search(r"\b(?:python |jaxd2l [\w-]+ )(?:[\w./-]+ )*$", text.value):
                    found.append(f"{path}: {text.value}{ast.unparse(value.value)}")
    assert found == []


def _calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "counted"]


# a name before a verb or noun; what is said of several only; scikit-learn's own words
NO_COUNT = {
    "what",
    "kind",
    "name",
    "found",
    "some(unknown)",
    "data.name",
    "recipe.name",
    "last.judged_on",
    "there[-2]",
    "type(network).__name__",
    "_rows_of(output)",
    "onnxruntime.__version__",
    "counts.tolist()",
    "features",
    "estimator.n_features_in_",
}
SEVERAL = {
    "devices",
    "len(devices)",
    "used",
    "many",
    "repeated",
    "present",
    "count",
    "int(in_test.sum())",
    "self.seeds",
    "len(ordered)",
    "total",
    "amount(len(judgement.labels))",
    "len(classes)",
    "max(at_once)",
    "_ROWS",
    "size",
    "recipe.warmup",
    "plan.constant_bytes // 4",
}


def test_no_message_counts_one_thing_in_the_plural():
    trees = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_bytes()) for path in PACKAGE.rglob("*.py")}
    said = [call.args[1] for tree in trees.values() for call in _calls(tree)]
    plurals = "|".join({counted(2, noun.value)[2:] for noun in said if isinstance(noun, ast.Constant)})
    found = []
    for path, tree in trees.items():
        for string in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)):
            for value, text in itertools.pairwise(string.values):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    noun = re.match(rf" (?:(?!and )[a-z]+ )?({plurals})\b", text.value)
                    if noun and ast.unparse(value.value) not in NO_COUNT | SEVERAL:
                        found.append(f"{path}: {ast.unparse(value.value)}{noun[0]}")
    assert found == []
