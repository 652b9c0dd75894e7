"""Which rows of the examples make up each batch.

Rows travel instead of images: an epoch is a matrix of row indices (steps, batch_size), and the
step gathers its batch from the resident arrays. A last batch that is not full is padded to the
one compiled shape, and the padded places carry weight 0, so every example counts exactly once.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.wording import counted


class Rows(NamedTuple):
    """The rows of each batch.

    Attributes:
        indices: row numbers (steps, batch_size), int32; padding repeats row 0.
        weight: 1 for a real example and 0 for padding (steps, batch_size), float32.
    """

    indices: jax.Array
    weight: jax.Array


class Ring(NamedTuple):
    """Some batches of examples one behind the other, of which batch i is the one at place i mod their number.

    Attributes:
        batches: (k, batch_size, ...).
    """

    batches: jax.Array


def num_steps(n: int, batch_size: int, *, keep_last: bool = True) -> int:
    """Batches in one pass over n examples.

    Raises:
        ValueError: `batch_size` is not between 1 and n.
    """
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch size must be between 1 and the {counted(n, 'training example')}, got {batch_size}")
    return -(-n // batch_size) if keep_last else n // batch_size


def _in_batches(order: Any, batch_size: int, steps: int, numpy: Any = jnp) -> Rows:
    n = order.shape[0]
    kept = order[: steps * batch_size].astype(numpy.int32)
    padding = steps * batch_size - kept.shape[0]
    weight = numpy.pad(numpy.ones(min(n, steps * batch_size), numpy.float32), (0, padding))
    return Rows(numpy.pad(kept, (0, padding)).reshape(steps, batch_size), weight.reshape(steps, batch_size))


def epoch_rows(key: jax.Array, n: int, batch_size: int, *, keep_last: bool = True) -> Rows:
    """Every row once, in an order drawn from `key`.

    Args:
        key: decides the order; one key an epoch.
        n: number of examples.
        batch_size: rows a batch, 1 to n.
        keep_last: pad the last partial batch with weight 0; otherwise leave out, after
            permuting, the `n % batch_size` rows that do not fill one.

    Returns:
        Rows of shape (steps, batch_size).
    """
    steps = num_steps(n, batch_size, keep_last=keep_last)
    return _in_batches(jax.random.permutation(key, n), batch_size, steps)


def ordered_rows(n: int, batch_size: int, multiple: int = 1) -> Rows:
    """Every row once, in file order, the last batch padded: for evaluation.

    Args:
        n: number of examples.
        batch_size: rows a batch; more than n are n.
        multiple: a batch has so many rows or some times as many, for the devices that share it.
    """
    steps = num_steps(n, min(batch_size, n))
    shared = -(-min(batch_size, n) // multiple) * multiple
    rows = _in_batches(np.arange(n), shared, min(steps, -(-n // shared)), np)  # which compiles nothing
    return Rows(*jax.device_put(tuple(rows)))
