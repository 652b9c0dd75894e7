"""Day 10: what is saved and loaded, and where arrays are."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.claims.claim import Claim
from jaxd2l.machine.device import default_device
from jaxd2l.nn.models import MLP
from jaxd2l.recipes import find, load_data
from jaxd2l.run_folder import fit, fit_weights, load_run, parse_weights, serialize_weights


def _round_trip(tree: Any) -> Any:
    """A tree of arrays as the bytes of a file, and back."""
    tensors, _ = parse_weights(serialize_weights(tree, {}), "claim")
    return fit_weights(tensors, tree, {}, "claim")[0]


def _same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def _array() -> bool:
    tree = {"x": jnp.arange(4)}
    return _same(tree, _round_trip(tree))


def _two_arrays() -> bool:
    tree = {"list": {"0": jnp.arange(4), "1": jnp.zeros(4)}, "dict": {"x": jnp.arange(4), "y": jnp.zeros(4)}}
    return _same(tree, _round_trip(tree))


def _same_outputs(part: str = "") -> bool:
    model, x = MLP(hidden=(256,)), jax.random.normal(jax.random.key(1), (2, 20))
    params = model.init(jax.random.key(0), x, train=False)["params"]
    if part:
        return _same(params[part], _round_trip({part: params[part]})[part])
    outputs = [model.apply({"params": p}, x, train=False) for p in (params, _round_trip(params))]
    return _same(*outputs)


@cache
def _whole_run() -> bool:
    """Whether a run's folder alone, without its network being named, gives the trained outputs back."""
    recipe = find("linear")
    data = load_data(recipe)
    with tempfile.TemporaryDirectory() as folder:
        run = fit(recipe, data, run_dir=Path(folder) / "run")
        kept = load_run(Path(folder) / "run")
        x = jnp.asarray(data.test.x[:10])
        outputs = [
            model.apply({"params": jax.tree.map(jnp.asarray, params)}, x, train=False)
            for model, params in ((recipe.model, run.state.params), (kept.recipe.model, kept.params))
        ]
    return _same(*outputs)


def _placed() -> bool:
    device = default_device()
    return jax.device_put(jnp.array([1, 2, 3]), device).devices() == {device}


CLAIMS = (
    Claim("saving", 10, "A saved array comes back bit for bit.", True, _array),
    Claim("saving", 10, "So do a list and a dictionary of arrays.", True, _two_arrays),
    Claim("saving", 10, "A network with loaded parameters has the same outputs, bit for bit.", True, _same_outputs),
    Claim("saving", 10, "One layer's parameters can be saved alone.", True, lambda: _same_outputs("Dense_0")),
    Claim(
        "saving", 10, "Architecture and parameters together: a run's folder gives the same outputs.", True, _whole_run
    ),
    Claim(
        "devices",
        10,
        "Devices can be counted; without a GPU there is the CPU: at least one.",
        True,
        lambda: len(jax.local_devices()) >= 1,
    ),
    Claim("devices", 10, "An array is where it was put.", True, _placed),
    Claim(
        "devices",
        10,
        "Reading the loss back at every step is slow.",
        None,
        None,
        reason="a time on a busy machine decides nothing; the compiled epoch keeps its losses on the device, and "
        "benchmarks/gpu.py looks that nothing is read back inside one",
    ),
)
