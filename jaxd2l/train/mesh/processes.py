"""A mesh over the devices of several processes (`jax.distributed`): what they agree on, and who puts and reads what.

Every process runs the same programs in the same order, each on its own devices. Whatever decides what runs next, such
as where a piece of an epoch ends, whether to save and whether to stop, is therefore one answer for all: that of
process 0, or one made from everybody's. Without such a mesh each function here gives its argument back.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

PyTree = Any


def spans_processes(mesh: Mesh | None) -> bool:
    """Whether some devices of the mesh belong to another process."""
    return mesh is not None and any(device.process_index != jax.process_index() for device in mesh.devices.flat)


def writes_files(mesh: Mesh | None) -> bool:
    """Whether this process writes the files of a run, and speaks for it: of several the first does."""
    return not spans_processes(mesh) or jax.process_index() == 0


def require_whole_processes(devices: Sequence[Any]) -> None:
    """Refuse devices of several processes unless they are all that there are, and every process has as many.

    Raises:
        ValueError: naming what each has.
    """
    if len({device.process_index for device in devices}) < 2:
        return
    there = Counter(device.process_index for device in jax.devices(devices[0].platform))
    given = Counter(device.process_index for device in devices)
    if given != there or len(set(there.values())) > 1:
        said = ", ".join(f"process {i} {given[i]} of {there[i]}" for i in sorted(there))
        raise ValueError(
            f"a run over several processes takes all devices, and as many of each process; got {said}; start it with "
            "as many for every process"
        )


def agreed(number: int, mesh: Mesh | None) -> int:
    """The number, or yes or no, that process 0 has."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(number))) if spans_processes(mesh) else number


def of_each(number: int, mesh: Mesh | None) -> list[int]:
    """The number of every process, in their order."""
    if not spans_processes(mesh):
        return [number]
    return [int(n) for n in multihost_utils.process_allgather(np.int32(number))]


def agreed_text(text: str, mesh: Mesh | None) -> str:
    """The text that process 0 has."""
    if not spans_processes(mesh):
        return text
    encoded = text.encode(errors="surrogatepass")
    size = agreed(len(encoded), mesh)
    padded = np.frombuffer(encoded[:size].ljust(size, b"\0"), np.uint8).astype(np.int32)
    told = np.asarray(multihost_utils.broadcast_one_to_all(padded))
    return told.astype(np.uint8).tobytes().decode(errors="surrogatepass")


def text_of_each(text: str, mesh: Mesh | None) -> list[str]:
    """The text of every process, in their order."""
    if not spans_processes(mesh):
        return [text]
    encoded = text.encode(errors="replace")
    size = max(of_each(len(encoded), mesh))
    padded = np.frombuffer(encoded.ljust(size, b"\0"), np.uint8).astype(np.int32)
    told = np.asarray(multihost_utils.process_allgather(padded))
    return [row.astype(np.uint8).tobytes().rstrip(b"\0").decode(errors="replace") for row in told]


def require_same(described: Mapping[str, str], mesh: Mesh | None) -> None:
    """Refuse processes that are about to do different things.

    Args:
        described: what is to be done, in words or digests by name.
        mesh: of the run.

    Raises:
        ValueError: in every process, naming what differs and where.
    """
    every = text_of_each("\n".join(f"{name}={' '.join(value.split())}" for name, value in described.items()), mesh)
    first = every[0].splitlines()
    for i, other in enumerate(every):
        lines = other.splitlines()
        differing = [a.partition("=")[0] for a, b in zip(first, lines, strict=False) if a != b]
        if lines != first:
            said = ", ".join(differing) or "the names of its settings"
            raise ValueError(
                f"process {i} was started with another {said} than process 0; give every process the same command and "
                "the same data"
            )


def meet(mesh: Mesh | None, what: str) -> None:
    """Wait until every process has come as far as `what`."""
    if spans_processes(mesh):
        multihost_utils.sync_global_devices(what)


def from_every_process(a: Any, sharding: NamedSharding) -> jax.Array:
    """An array laid out over several processes, of which each puts only what its own devices hold.

    Args:
        a: the same in every process; or an array that is laid out over them already.
        sharding: how it is to lie.
    """
    if isinstance(a, jax.core.Tracer):
        return jax.device_put(a, sharding)
    if isinstance(a, jax.Array) and not a.is_fully_addressable:
        return a if a.sharding.is_equivalent_to(sharding, a.ndim) else _laid_out(a, sharding)
    if isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        numbers = from_every_process(jax.random.key_data(a), sharding)
        return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(a))
    host = np.asarray(a)
    # copies, since what lies on a device may be donated
    return jax.make_array_from_callback(host.shape, sharding, lambda index: np.array(host[index]))


def readable(tree: PyTree) -> PyTree:
    """Arrays that this process can read: those of which other processes hold parts, gathered; all take part in it."""

    def whole(a: Any) -> Any:
        if not isinstance(a, jax.Array) or a.is_fully_addressable or a.is_fully_replicated:
            return a
        assert isinstance(a.sharding, NamedSharding)
        return np.asarray(_laid_out(a, NamedSharding(a.sharding.mesh, PartitionSpec())))

    return jax.tree.map(whole, tree)


def _laid_out(a: jax.Array, sharding: NamedSharding) -> jax.Array:
    return jax.jit(_itself, out_shardings=sharding)(a)


def _itself(a: jax.Array) -> jax.Array:
    return a
