"""Where the arrays of a run lie: the indices of a batch's rows divided over the devices, all else on each of them."""

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxd2l.data import Examples, Rows
from jaxd2l.nn.kernels.shards import num_shards

PyTree = Any


def shardings(tree: PyTree, mesh: Mesh) -> PyTree:
    """The sharding of every array of arguments or results of a program.

    Args:
        tree: `Rows` (steps, batch_size) and other arrays. The weights of rows are whole on each device, which counts
            the examples of a batch by itself so.
        mesh: of one axis.
    """
    whole = NamedSharding(mesh, PartitionSpec())
    divided = NamedSharding(mesh, PartitionSpec(None, *mesh.axis_names))

    is_rows = lambda part: isinstance(part, Rows)  # noqa: E731
    return jax.tree.map(lambda part: Rows(divided, whole) if is_rows(part) else whole, tree, is_leaf=is_rows)  # type: ignore[arg-type]


def sharded_shapes(tree: PyTree, mesh: Mesh) -> PyTree:
    """Shapes and types of a program's arguments, with the sharding of each."""

    def shape(a: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding)

    return jax.tree.map(shape, tree, shardings(tree, mesh))


def placed(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Arrays where the programs of `mesh` want them; themselves where there is none."""
    return tree if mesh is None else jax.device_put(tree, shardings(tree, mesh))


def on_device(examples: Examples, mesh: Mesh | None = None) -> Examples:
    """The same rows, resident on the default device or each of a mesh; no copy where they already are."""
    return Examples(*(jax.device_put(a) for a in examples)) if mesh is None else placed(examples, mesh)


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
