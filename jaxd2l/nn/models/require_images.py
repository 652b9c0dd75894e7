"""What a convolution network asks of its input, checked before the first layer."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def require_images(network: nn.Module, x: jax.Array, smallest: int | tuple[int, ...]) -> None:
    """Refuse what is not a batch of channels-last images (or volumes) that are large enough.

    Args:
        network: named in the message. Its layers check the channels, against their stored parameters.
        x: (n, h, w, channels), or (n, d, h, w, channels) for a network with three sizes in `smallest`.
        smallest: pixels below which some layer has no output; one size for both axes or one per axis.

    Raises:
        ValueError: wrong rank, not floating point, or too small.
    """
    sizes = (smallest, smallest) if isinstance(smallest, int) else smallest
    name, rank = type(network).__name__, len(sizes)
    expected = (
        f"(n, {', '.join(f'{axis} >= {size}' for axis, size in zip('dhw'[-rank:], sizes, strict=True))}, channels)"
    )
    if x.ndim != rank + 2:
        hint = "; add a batch axis: x[None]" if x.ndim == rank + 1 else ""
        raise ValueError(f"{name} takes x of shape {expected}, got {x.shape}{hint}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{name} takes floating-point images, got {x.dtype}; scale them to [0, 1] first")
    first, *rest = x.shape[1:]
    if first in (1, 3) and len(set(rest[:rank])) == 1 and rest[0] > 4:
        raise ValueError(f"{name} takes x of shape {expected}, got {x.shape}, channels first: move axis 1 to the end")
    if any(have < need for have, need in zip(x.shape[1:-1], sizes, strict=True)):
        raise ValueError(f"{name} takes x of shape {expected}, got {x.shape}: use larger images")
