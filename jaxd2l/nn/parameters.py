"""Parameters: declared by a layer, and by path listed, read, set, divided, drawn anew by rule (D2L chap_computation).

A path is the names from the top joined by `/`, as in `Conv_0/kernel`. Nothing is changed in place: each function
returns a new tree.
"""

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.init import Initializer, bias_initializer
from jaxd2l.wording import counted

_LISTED = 12  # paths in a message of one line


def flat(params: Any, separator: str = "/") -> dict[str, jax.Array]:
    """Every parameter by its path, in the order of the tree; files separate the names by dots.

    Raises:
        ValueError: two have one path, as names that hold the separator may give.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    paths = [jax.tree_util.keystr(path, simple=True, separator=separator) for path, _ in leaves]
    if len(set(paths)) < len(paths):
        twice = max(paths, key=paths.count)
        raise ValueError(f"two parameters have the path {twice}; name layers and parameters without {separator!r}")
    return dict(zip(paths, (leaf for _, leaf in leaves), strict=True))


def arranged(named: Mapping[str, Any], like: Any, separator: str = "/") -> Any:
    """The inverse of `flat`: a tree like the given one, of arrays by path; every path of it has to be there."""
    return jax.tree.unflatten(jax.tree.structure(like), [named[path] for path in flat(like, separator)])


def differences(found: Mapping[str, Any], expected: Mapping[str, Any], show: Callable[[str], str] = str) -> list[str]:
    """Everything in which arrays by name differ from those expected, a clause each: names first, then what they are.

    Args:
        found: what is compared, by name, such as a shape, or type and shape.
        expected: likewise.
        show: how a name that is not expected is shown, where it comes from a file.
    """
    told = [f"{name} is missing" for name in expected if name not in found]
    told += [f"{show(name)} is not expected" for name in found if name not in expected]
    told += [
        f"{name} is {found[name]}, expected {value}"
        for name, value in expected.items()
        if name in found and found[name] != value
    ]
    return told


def described(arrays: Mapping[str, Any]) -> dict[str, str]:
    """Type and shape of each array, such as `float32 (3, 5)`."""
    return {name: f"{a.dtype} {a.shape}" for name, a in arrays.items()}


def count(params: Any) -> int:
    """Number of parameters; works on the shapes of `jax.eval_shape` too, where nothing is computed."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def table(params: Any) -> str:
    """The tree as text: one line a parameter with path, shape and size, then the total."""
    rows = [(path, str(leaf.shape), f"{math.prod(leaf.shape):,}") for path, leaf in flat(params).items()]
    rows.append(("total", "", f"{count(params):,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(f"{p:<{widths[0]}}  {s:<{widths[1]}}  {n:>{widths[2]}}" for p, s, n in rows)


def replace(params: Any, values: Mapping[str, jax.Array]) -> Any:
    """Put `values` at their paths; shapes have to agree, dtypes stay those of `params`.

    Raises:
        ValueError: a path is not in the tree or a shape differs; all of them are listed.
    """
    old = flat(params)
    asked = {path: leaf.shape for path, leaf in old.items() if path in values}
    if wrong := differences({path: jnp.shape(value) for path, value in values.items()}, asked):
        raise ValueError(f"cannot set parameters: {'; '.join(wrong)}. The paths are: {', '.join(old)}")
    return arranged(old | {path: jnp.asarray(value, old[path].dtype) for path, value in values.items()}, params)


def initialise(params: Any, rules: Mapping[str, Initializer], key: jax.Array) -> Any:
    """Draw the parameters that a rule names again; the first rule that matches a path wins, the others stay.

    Args:
        params: the tree; shapes and dtypes are kept.
        rules: initialiser `(key, shape, dtype)` by path or pattern: `{"Dense_0/kernel": constant(42.0),
            "*/kernel": xavier_uniform}`; `*` stands for any text.
        key: spent by this call; the draw of a parameter depends on its place in the tree.

    Raises:
        ValueError: a rule matches no parameter.
    """
    old = flat(params)
    for pattern in rules:
        if not fnmatch.filter(old, pattern):
            raise ValueError(f"rule {pattern!r} matches no parameter; the paths are: {', '.join(old)}")
    drawn = {}
    for i, (path, leaf) in enumerate(old.items()):
        init = next((rule for pattern, rule in rules.items() if fnmatch.fnmatchcase(path, pattern)), None)
        if init is not None:
            drawn[path] = init(jax.random.fold_in(key, i), leaf.shape, leaf.dtype)
    return replace(params, drawn)


def divided(params: Any, patterns: Sequence[str] | None) -> tuple[Any, Any]:
    """Two trees like the given one, each with None where the other has a leaf: those that no pattern matches first.

    Args:
        params: the tree.
        patterns: of the paths in the second tree, as in `initialise`; None leaves it without a leaf.

    Raises:
        ValueError: a pattern matches no parameter, or together they match all.
    """
    paths = list(flat(params))
    for pattern in patterns or ():
        if not any(fnmatch.fnmatchcase(path, pattern) for path in paths):
            inside = any(fnmatch.fnmatchcase(path, f"{pattern}/*") for path in paths)
            hint = f"did you mean {pattern}/*?" if inside else f"the paths are {_listed(paths)}"
            raise ValueError(f"pattern {pattern!r} matches no parameter; {hint}")
    matched = [any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns or ()) for path in paths]
    if patterns and all(matched):
        raise ValueError(
            f"{', '.join(map(repr, patterns))} matches all {counted(len(paths), 'parameter')}, so that nothing is left "
            f"to train; the paths are {_listed(paths)}"
        )
    leaves, structure = jax.tree.flatten(params)
    pairs = [(None, leaf) if out else (leaf, None) for leaf, out in zip(leaves, matched, strict=True)]
    first, second = zip(*pairs, strict=True) if pairs else ((), ())
    return jax.tree.unflatten(structure, first), jax.tree.unflatten(structure, second)


def joined(first: Any, second: Any) -> Any:
    """The inverse of `divided`."""
    return jax.tree.map(lambda a, b: b if a is None else a, first, second, is_leaf=lambda leaf: leaf is None)


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return f"{', '.join(paths[:_LISTED])}{more}"


def declare(
    module: nn.Module, name: str, init: Initializer, shape: tuple[int, ...], x: jax.Array, dtype: Any = None
) -> jax.Array:
    """`module.param(name, init, shape, dtype)`, with both shapes in the error if the stored parameter has another.

    Args:
        module: the layer, inside its `@nn.compact` method.
        name: of the parameter.
        init: called as `init(key, shape, dtype)` when the parameters are made.
        shape: that the input `x` asks for.
        x: the input, named in the message.
        dtype: of a new parameter; that of `x` unless given.

    Raises:
        ValueError: the stored parameter has another shape, or x is not floating point.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{type(module).__name__} takes a floating-point array, got {x.dtype}: convert it first")
    if module.has_variable("params", name):
        stored = module.get_variable("params", name).shape
        if stored != shape:
            raise ValueError(
                f"{'/'.join((*module.path, name))} is {stored}, but an input of shape {x.shape} needs {shape}. "
                "A network takes images of the size and channels it was initialised with; the batch may vary."
            )
        init = _zeros  # Flax traces it for its shape alone, which takes longer the more it draws
    return module.param(name, init, shape, x.dtype if dtype is None else dtype)


def _zeros(key: jax.Array, shape: Sequence[int], dtype: Any) -> jax.Array:
    return jax.lax.full(shape, 0, dtype)


def kernel_and_bias(layer: Any, shape: tuple[int, ...], x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """`declare` a layer's `kernel` of a shape and, where it uses one, its `bias`, as its fields say.

    Args:
        layer: with the fields `use_bias`, `kernel_init` and `bias_init`, inside its `@nn.compact` method.
        shape: of the kernel, (..., in, out); every axis but the last is summed over.
        x: as in `declare`.

    Raises:
        ValueError: as `declare`.
    """
    kernel = declare(layer, "kernel", layer.kernel_init, shape, x)
    if not layer.use_bias:
        return kernel, None
    return kernel, declare(layer, "bias", bias_initializer(layer.bias_init, math.prod(shape[:-1])), shape[-1:], x)
