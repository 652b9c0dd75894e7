"""A batch that lies on several devices: what each of them computes from its own rows alone.

XLA divides a program over devices by itself (`jax.jit` with shardings), and finds for most layers that a device needs
its own rows only. Of the ways by which a CPU convolves it does not: they cut the batch into parts, and it would gather
the whole batch on every device. So while a program is traced for a batch that is divided,

    with batch_over(mesh):
        lowered = jax.jit(step).lower(...)

each convolution runs as `jax.shard_map` over the rows, and its kernel's gradient is summed over the devices. As in
`tracing`, the switch belongs to the thread and is part of the key of JAX's caches; without it nothing changes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = ["batch_over", "gradients_on_own_rows", "num_shards", "on_own_rows", "whole"]

type Product = Callable[[jax.Array, jax.Array], jax.Array]

_mesh = jax.make_user_context(None)


@contextmanager
def batch_over(mesh: Mesh | None) -> Iterator[None]:
    """Trace for a batch that is divided over the one axis of `mesh` while entered; None changes nothing."""
    with _mesh(mesh):
        yield


def num_shards() -> int:
    """Over how many devices the batch is divided; 1 where it is not."""
    mesh: Mesh | None = _mesh.value
    return 1 if mesh is None else mesh.size


def on_own_rows(f: Product, rows: int) -> Product:
    """`f(x, kernel) -> y` of a batch of so many rows, row by row, as each device computes it from its own.

    It is `f` itself where no batch is divided, or `rows` cannot be. The gradient of the kernel is what JAX derives:
    each device's, summed.
    """
    return _mapped(f, _DIVIDED, _WHOLE, _DIVIDED) if _divides(rows) else f


def gradients_on_own_rows(left: Product, right: Product, rows: int) -> tuple[Product, Product]:
    """The two transposes of such a product where they are written by hand.

    Args:
        left: (kernel, dy) -> the cotangent of `x`, row by row.
        right: (x, dy) -> the cotangent of the kernel, a sum over all rows.
        rows: of the batch.

    Returns:
        The two, of arrays of the same shapes.
    """
    if not _divides(rows):
        return left, right

    def summed(x: jax.Array, dy: jax.Array) -> jax.Array:
        total: jax.Array = lax.psum(right(x, dy), _mesh.value.axis_names)
        return total

    return _mapped(left, _WHOLE, _DIVIDED, _DIVIDED), _mapped(summed, _DIVIDED, _DIVIDED, _WHOLE)


_DIVIDED, _WHOLE = True, False


def _mapped(f: Product, first: bool, second: bool, out: bool) -> Product:
    mesh: Mesh = _mesh.value
    spec = {_DIVIDED: PartitionSpec(*mesh.axis_names), _WHOLE: PartitionSpec()}
    # unchecked: a scan whose sum begins at zeros, the same on all devices, is taken for an error otherwise
    return jax.shard_map(f, mesh=mesh, in_specs=(spec[first], spec[second]), out_specs=spec[out], check_vma=False)


def _divides(rows: int) -> bool:
    shards = num_shards()
    return shards > 1 and rows > 0 and rows % shards == 0


def whole(x: jax.Array) -> jax.Array:
    """`x` kept whole on each of the devices; itself where no batch is divided."""
    mesh: Mesh | None = _mesh.value
    return x if mesh is None else lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec()))
