"""How a gradient becomes an update: optax's rules, with the numbers that a sweep varies in the state."""

import functools
from typing import Any

import jax
import optax

from jaxd2l.train.optimizer.in_state import Factory, HyperparametersInState, Rate, held_in_state

PyTree = Any


def kernels_only(params: PyTree) -> PyTree:
    """Which leaves weight decay shrinks: kernels, not biases, not a norm's scale (D2L sec_weight_decay)."""

    def shrinks(path: tuple[Any, ...], _: Any) -> bool:
        names = [part.key for part in path if isinstance(part, jax.tree_util.DictKey)]  # a list or a box has none
        return names[-1:] == ["kernel"]

    return jax.tree_util.tree_map_with_path(shrinks, params)


def sgd(
    learning_rate: Rate,
    weight_decay: float = 0.0,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    clip_norm: float | None = None,
) -> optax.GradientTransformation:
    """Minibatch stochastic gradient descent, as `torch.optim.SGD` computes it.

        g <- gradient + weight_decay * kernel;  m <- momentum * m + g;  w <- w - learning_rate * m

    Args:
        learning_rate: step size, or a schedule of it over updates.
        weight_decay: lambda of the penalty lambda / 2 |kernel|^2; biases are not decayed.
        momentum: share of the last step kept; 0 is plain SGD and keeps no state.
        nesterov: step by g + momentum * m instead of m: the gradient is looked ahead for (Sutskever et al. 2013).
        clip_norm: scale the gradient down to this global L2 norm where it is longer; None never does.

    Returns:
        A transformation whose state carries `learning_rate` and `weight_decay`.
    """

    def build(learning_rate: jax.Array, weight_decay: jax.Array) -> optax.GradientTransformation:
        return _descent(optax.sgd(learning_rate, momentum or None), weight_decay, clip_norm)

    def ahead(learning_rate: jax.Array, weight_decay: jax.Array) -> optax.GradientTransformation:
        return _descent(optax.sgd(learning_rate, momentum, nesterov=True), weight_decay, clip_norm)

    return held_in_state(ahead if nesterov else build, learning_rate, weight_decay)


def _descent(
    steps: optax.GradientTransformation, weight_decay: jax.Array, clip_norm: float | None
) -> optax.GradientTransformation:
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    return optax.chain(clip, optax.add_decayed_weights(weight_decay, mask=kernels_only), steps)


def adam(learning_rate: Rate, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) with coupled weight decay, as `torch.optim.Adam` computes it.

    Args:
        learning_rate: step size, or a schedule of it over updates.
        weight_decay: added to the gradient of kernels before the moments, as `weight_decay * kernel`.

    Returns:
        A transformation whose state carries `learning_rate` and `weight_decay`.
    """

    def build(learning_rate: jax.Array, weight_decay: jax.Array) -> optax.GradientTransformation:
        return optax.chain(optax.add_decayed_weights(weight_decay, mask=kernels_only), optax.adam(learning_rate))

    return held_in_state(build, learning_rate, weight_decay)


def adamw(learning_rate: Rate, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), as `optax.adamw` computes it.

    Args:
        learning_rate: step size, or a schedule of it over updates.
        weight_decay: kernels shrink by `learning_rate * weight_decay * kernel`, whatever their gradients; biases and a
            norm's scale do not, which `torch.optim.AdamW` shrinks too.

    Returns:
        A transformation whose state carries `learning_rate` and `weight_decay`.
    """

    def build(learning_rate: jax.Array, weight_decay: jax.Array) -> optax.GradientTransformation:
        return optax.adamw(learning_rate, weight_decay=weight_decay, mask=kernels_only)

    return held_in_state(build, learning_rate, weight_decay)


OPTIMIZERS: dict[str, Factory] = {"sgd": sgd, "adam": adam, "adamw": adamw}


def rule_called(name: str) -> Factory:
    """The optimizer of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, or one of optax, got {name!r}")
    return OPTIMIZERS[name]


def name_of(optimizer: Any) -> str:
    """What the command line calls an optimizer, or the name of one that it does not know."""
    known = [name for name, rule in OPTIMIZERS.items() if rule is optimizer]
    return known[0] if known else getattr(optimizer, "__qualname__", type(optimizer).__name__)


def with_momentum(optimizer: Any, momentum: float, nesterov: bool) -> Any:
    """The optimizer with a momentum, where it is `sgd`; the same where none is given.

    Raises:
        ValueError: the momentum is out of range, or has no meaning for the optimizer.
    """
    if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        raise ValueError(f"momentum must be a number of at least 0 and below 1, got {momentum!r}")
    if not isinstance(nesterov, bool):
        raise ValueError(f"nesterov must be True or False, got {nesterov!r}")
    if nesterov and not momentum:
        raise ValueError("nesterov looks ahead along the momentum, and there is none; give momentum=0.9, say")
    if momentum and optimizer is not sgd:
        raise ValueError(
            f"momentum {momentum:g} has no meaning with optimizer {name_of(optimizer)}, which has numbers of its own; "
            "leave it out (0), or take sgd"
        )
    return functools.partial(sgd, momentum=momentum, nesterov=nesterov) if momentum else optimizer


def clipped(optimizer: optax.GradientTransformation, clip_norm: float) -> optax.GradientTransformation:
    """The same optimizer on gradients that are scaled down to global L2 norm `clip_norm` where they are longer.

    The state is the optimizer's own, so its hyperparameters stay where they are.
    """
    clip = optax.clip_by_global_norm(clip_norm)
    inner = optax.with_extra_args_support(optimizer)

    def update(gradient: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        shorter, _ = clip.update(gradient, clip.init(params), params)
        updates, new_state = inner.update(shorter, state, params, **extra)
        return updates, new_state

    shortening = type(inner)(optimizer.init, update)
    if isinstance(inner, HyperparametersInState) and isinstance(shortening, HyperparametersInState):
        shortening.given = inner.given
    return shortening
