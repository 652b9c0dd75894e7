"""Where the arrays of a run lie: the indices of a batch's rows divided over the devices, all else on each of them.

On a mesh whose axis is called "fsdp" kernels and what the optimizer keeps of them are divided too: each device holds a
part, which all get for the forward and backward pass (ZeRO, Rajbhandari et al. 2020, arXiv:1910.02054).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxd2l.data import Examples, Ring, Rows
from jaxd2l.nn.kernels.shards import num_shards
from jaxd2l.train.mesh.devices import SHARDED
from jaxd2l.train.mesh.processes import from_every_process, spans_processes
from jaxd2l.train.state import TrainState

PyTree = Any
LEAST = 1024  # elements of a kernel below which a part of it is not worth asking the others for
_WITH_PARAMETERS = (TrainState, dict)  # `params`, `batch_stats` and states


def shardings(tree: PyTree, mesh: Mesh) -> PyTree:
    """The sharding of every array of arguments or results of a program.

    Args:
        tree: `Rows` (steps, batch_size), `Ring` (k, batch_size, ...) and other arrays. The weights of rows are whole
            on each device, which counts the examples of a batch by itself so.
        mesh: of one axis.
    """
    whole = NamedSharding(mesh, PartitionSpec())
    divided = NamedSharding(mesh, PartitionSpec(None, *mesh.axis_names))
    parts = mesh.size if mesh.axis_names == (SHARDED,) else 1

    def of_leaf(a: Any) -> NamedSharding:
        axis = divided_axis(a.shape, parts)
        return whole if axis is None else NamedSharding(mesh, PartitionSpec(*[None] * axis, *mesh.axis_names))

    def of(part: Any) -> Any:
        if isinstance(part, Rows):
            return Rows(divided, whole)  # type: ignore[arg-type]
        if isinstance(part, Ring):
            return Ring(divided)  # type: ignore[arg-type]
        return jax.tree.map(of_leaf, part) if isinstance(part, _WITH_PARAMETERS) else whole

    return jax.tree.map(of, tree, is_leaf=lambda part: isinstance(part, (Rows, Ring, *_WITH_PARAMETERS)))


def divided_axis(shape: tuple[int, ...], parts: int) -> int | None:
    """The axis along which each device holds a part of a kernel: its longest that can be cut into `parts`; or None."""
    if parts == 1 or len(shape) < 2 or math.prod(shape) < LEAST:
        return None
    fitting = [axis for axis, size in enumerate(shape) if size % parts == 0]
    return max(fitting, key=shape.__getitem__, default=None)


def sharded_shapes(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Shapes and types of a program's arguments, with the sharding of each; as they are without a mesh."""
    if mesh is None:
        return tree

    def shape(a: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding)

    return jax.tree.map(shape, tree, shardings(tree, mesh))


def placed(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Arrays where the programs of `mesh` want them; themselves where there is none.

    Over several processes every one gives the whole arrays, and puts what its own devices hold: of the rows' indices
    its share of each batch.
    """
    if mesh is None:
        return tree
    where = shardings(tree, mesh)
    return jax.tree.map(from_every_process, tree, where) if spans_processes(mesh) else jax.device_put(tree, where)


def copied(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """The same arrays in memory of their own, where they lie, for one who donates the others."""
    if spans_processes(mesh):
        return jax.tree.map(jnp.copy, tree)
    return jax.device_put(tree, may_alias=False)  # which compiles nothing


def on_device(examples: Examples, mesh: Mesh | None = None) -> Examples:
    """The same rows, resident on the default device or each of a mesh; no copy where they already are."""
    return Examples(*(jax.device_put(a) for a in examples)) if mesh is None else placed(examples, mesh)


def own_places(batch_size: int, mesh: Mesh | None) -> np.ndarray:
    """The places of a batch, int64 (b,), whose rows lie on the devices of this process; all of them without a mesh."""
    places = np.arange(batch_size)
    if not spans_processes(mesh):
        return places
    assert mesh is not None
    ours = [device.process_index == jax.process_index() for device in mesh.devices.flat]
    return places.reshape(mesh.size, -1)[ours].ravel()


def ring_on_device(own: np.ndarray, batch_size: int, mesh: Mesh | None) -> Ring:
    """Batches on the device, divided over those of a mesh.

    Args:
        own: (k, b, ...), of each batch the rows at `own_places`; nobody writes into it any more.
        batch_size: rows of a whole batch.
        mesh: of the run.
    """
    if mesh is None:
        return Ring(jax.device_put(own))
    where = NamedSharding(mesh, PartitionSpec(None, *mesh.axis_names))
    shape = own.shape[0], batch_size, *own.shape[2:]
    return Ring(jax.make_array_from_process_local_data(where, own, shape))


def in_order_of_pieces(rows: Rows, shards: int, accumulate: int) -> Rows:
    """Rows in another order within each batch, so that each of `shards` devices holds its share of every piece.

    A batch is cut into `accumulate` pieces, one after another through the network: as they stand, the first would lie
    on the first devices alone. `pieces` finds them again.
    """

    def ordered(a: jax.Array) -> jax.Array:
        steps, size = a.shape
        return a.reshape(steps, accumulate, shards, size // (accumulate * shards)).swapaxes(1, 2).reshape(steps, size)

    return Rows(*map(ordered, rows)) if shards > 1 and accumulate > 1 else rows


def pieces(tree: PyTree, accumulate: int) -> PyTree:
    """The arrays (b, ...) of a batch as (accumulate, b / accumulate, ...), each piece in the order of its rows."""
    shards = num_shards()

    def cut(a: jax.Array) -> jax.Array:
        size, rest = a.shape[0] // accumulate, a.shape[1:]
        if shards > 1:
            a = a.reshape(shards, accumulate, size // shards, *rest).swapaxes(0, 1)
        return a.reshape(accumulate, size, *rest)

    return jax.tree.map(cut, tree)
