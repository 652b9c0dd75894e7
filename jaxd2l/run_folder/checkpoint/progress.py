"""A run's progress as arrays by name and plain facts, and back."""

from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import DataError
from jaxd2l.nn.parameters import arranged, described, differences, flat
from jaxd2l.run_folder.checkpoint.store import Checkpoint
from jaxd2l.train.results import EpochResult, Progress

_DOT = "."  # between the names of a path in a file


def pack(progress: Progress, **facts: Any) -> tuple[dict[str, np.ndarray | jax.Array], dict[str, Any]]:
    """`progress` as copied host arrays by name and JSON facts, to which `facts` are added.

    Of a typed key its numbers are kept; an array without elements is left out. What lies on the devices of several
    processes stays there: each of them saves its part.
    """
    bare = {name: _bare(leaf) for name, leaf in _named(progress).items() if leaf.size}
    arrays = {name: np.array(leaf) if leaf.is_fully_addressable else leaf for name, leaf in bare.items()}
    place = {"epoch": progress.epoch, "step": progress.step, "seconds": progress.seconds}
    return arrays, {**place, "results": [result.row() for result in progress.results], **facts}


def unpack(checkpoint: Checkpoint, like: Progress) -> Progress:
    """The progress that `pack` took apart.

    Args:
        checkpoint: verified.
        like: any progress of the same run, such as the initial one, for structure, shapes and dtypes.

    Raises:
        DataError: names, shapes or dtypes differ; all of them are listed.
    """
    bare = {name: jax.eval_shape(_bare, leaf) for name, leaf in _named(like).items() if leaf.size}
    if wrong := differences(described(checkpoint.arrays), described(bare)):
        raise DataError(f"checkpoint {checkpoint.number} does not fit the network: {'; '.join(wrong)}")
    dressed = {
        name: _dressed(checkpoint.arrays[name], leaf) if leaf.size else leaf for name, leaf in _named(like).items()
    }
    state, record = arranged(dressed, _parts(like), _DOT).values()
    facts = checkpoint.facts
    results = tuple(EpochResult(**result) for result in facts["results"])
    return Progress(state, record, facts["epoch"], facts["step"], facts["seconds"], results)


def _bare(leaf: jax.Array) -> jax.Array:
    """The numbers of a leaf: itself, or what a typed key holds."""
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _dressed(numbers: np.ndarray, like: jax.Array) -> jax.Array:
    """A leaf of the type of `like` from its `_bare` numbers."""
    if not jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jnp.array(numbers)
    return jax.random.wrap_key_data(jnp.array(numbers), impl=jax.random.key_impl(like))


def _parts(progress: Progress) -> OrderedDict[str, Any]:
    """What of a run is arrays; the state's come before the record's."""
    return OrderedDict(state=progress.state, record=progress.record)


def _named(progress: Progress) -> dict[str, Any]:
    """Every array by a name such as `state.params.Dense_0.kernel`."""
    return flat(_parts(progress), _DOT)
