"""What a convolution network asks of its input, checked before the first layer."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def require_images(network: nn.Module, x: jax.Array, smallest: int | tuple[int, ...]) -> None:
    """Refuse what is not a batch of channels-last images (or volumes) that are large enough.

    Args:
        network: named in the message; its stored parameters say how many channels it was initialised with.
        x: (n, h, w, channels), or (n, d, h, w, channels) for a network with three sizes in `smallest`.
        smallest: pixels below which some layer has no output; one size for both axes or one per axis.

    Raises:
        ValueError: wrong rank, not floating point, too small, or another number of channels than the parameters have.
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
    if any(have < need for have, need in zip(x.shape[1:-1], sizes, strict=True)):
        channels_first = all(have >= need for have, need in zip(x.shape[2:], sizes, strict=True))
        hint = "x looks channels-first: move axis 1 to the end" if channels_first else "use larger images"
        raise ValueError(f"{name} takes x of shape {expected}, got {x.shape}; {hint}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(network.variables.get("params", {})):
        first = all(getattr(step, "key", "").endswith(("_0", "kernel", "stem")) for step in path)
        if first and leaf.ndim == rank + 2 and leaf.shape[-2] != x.shape[-1]:
            shown = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(
                f"{name} was initialised for {leaf.shape[-2]} channels ({shown} is {leaf.shape}), "
                f"got x of shape {x.shape} with {x.shape[-1]}"
            )
