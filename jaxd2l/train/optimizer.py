"""Optimizers: optax, with the numbers that a sweep varies kept as arrays in the state.

Because learning rate and weight decay live in `opt_state.hyperparams`, one compiled epoch serves
every value of them, and `vmap` over states trains many at once.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any


def kernels_only(params: PyTree) -> PyTree:
    """Which leaves weight decay shrinks: kernels, not biases, not a norm's scale (D2L sec_weight_decay)."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def sgd(
    learning_rate: float, weight_decay: float = 0.0, *, momentum: float = 0.0, clip_norm: float | None = None
) -> optax.GradientTransformation:
    """Minibatch stochastic gradient descent, as `torch.optim.SGD` computes it.

        g <- gradient + weight_decay * kernel;  m <- momentum * m + g;  w <- w - learning_rate * m

    Args:
        learning_rate: step size.
        weight_decay: lambda of the penalty lambda / 2 |kernel|^2; biases are not decayed.
        momentum: share of the last step kept; 0 is plain SGD and keeps no state.
        clip_norm: scale the gradient down to this global L2 norm where it is longer; None never does.

    Returns:
        A transformation whose state carries `learning_rate` and `weight_decay`.
    """

    def build(learning_rate: jax.Array, weight_decay: jax.Array) -> optax.GradientTransformation:
        return optax.chain(
            optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm),
            optax.add_decayed_weights(weight_decay, mask=kernels_only),
            optax.sgd(learning_rate, momentum=momentum or None),
        )

    return optax.inject_hyperparams(build)(learning_rate=learning_rate, weight_decay=weight_decay)


def adam(learning_rate: float, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) with coupled weight decay, as `torch.optim.Adam` computes it.

    Args:
        learning_rate: step size.
        weight_decay: added to the gradient of kernels before the moments, as `weight_decay * kernel`.

    Returns:
        A transformation whose state carries `learning_rate` and `weight_decay`.
    """

    def build(learning_rate: jax.Array, weight_decay: jax.Array) -> optax.GradientTransformation:
        return optax.chain(optax.add_decayed_weights(weight_decay, mask=kernels_only), optax.adam(learning_rate))

    return optax.inject_hyperparams(build)(learning_rate=learning_rate, weight_decay=weight_decay)


def clipped(optimizer: optax.GradientTransformation, clip_norm: float) -> optax.GradientTransformation:
    """The same optimizer on gradients that are scaled down to global L2 norm `clip_norm` where they are longer.

    The state is the optimizer's own, so its hyperparameters stay where they are.
    """
    clip = optax.clip_by_global_norm(clip_norm)

    def update(gradient: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        shorter, _ = clip.update(gradient, clip.init(params), params)
        updates, new_state = optimizer.update(shorter, state, params)
        return updates, new_state

    return optax.GradientTransformation(optimizer.init, update)


def with_hyperparameters(opt_state: PyTree, **values: float | jax.Array) -> PyTree:
    """The same state with other hyperparameters; each keeps its dtype.

    Raises:
        ValueError: a name that the optimizer does not have.
    """
    known = opt_state.hyperparams
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"unknown hyperparameter {unknown[0]!r}, this optimizer has {', '.join(sorted(known))}")
    replaced = {name: jnp.asarray(values.get(name, old), old.dtype) for name, old in known.items()}
    return opt_state._replace(hyperparams=replaced)
