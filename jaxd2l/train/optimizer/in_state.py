"""Learning rate and weight decay as arrays in an optimizer's state.

Because they live in `opt_state.hyperparams`, one compiled epoch serves every value of them, and `vmap` over states
trains many at once. `bound` brings any optimizer of optax into this form, where its factory lets itself be traced.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any
Schedule = Callable[[Any], Any]
Rate = float | jax.Array | Schedule
Factory = Callable[[Any, Any], optax.GradientTransformation]


class HyperparametersInState(optax.GradientTransformationExtraArgs):
    """A transformation whose state holds `learning_rate` and `weight_decay` in `hyperparams`.

    Attributes:
        given: the two numbers that it was made with, the objects themselves.
    """

    given: tuple[Any, Any]


def bound(
    optimizer: Factory | optax.GradientTransformation, learning_rate: Rate, weight_decay: float | jax.Array
) -> optax.GradientTransformation:
    """The transformation that an optimizer is at a learning rate and weight decay.

    Args:
        optimizer: `f(learning_rate, weight_decay)`, or a finished transformation, whose numbers are its own.
        learning_rate: a number, or a schedule over updates; a factory gets what was given.
        weight_decay: a number.

    Returns:
        Of type `HyperparametersInState` for `sgd`, `adam` and every factory that can be traced at a number: one program
        serves all numbers. A factory that computes with its numbers in Python keeps those it was given.

    Raises:
        ValueError: no optimizer of optax, or a factory that does not take the two numbers.
    """
    if not callable(optimizer):
        return _transformation(optimizer)
    _require_factory(optimizer)

    def build(learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        return _transformation(optimizer(learning_rate, weight_decay))

    try:
        plain = build(learning_rate, weight_decay)
    except TypeError:
        if not callable(learning_rate):
            raise
        return held_in_state(build, learning_rate, weight_decay)  # it computes with the rate: give it one at a time
    if callable(learning_rate):
        return plain  # optax's own optimizers keep a schedule's place in their state
    traced, handed_on = _lets_itself_be_traced(build)
    if traced:
        return plain if handed_on else held_in_state(build, learning_rate, weight_decay)
    return optax.GradientTransformationExtraArgs(*plain) if isinstance(plain, HyperparametersInState) else plain


def _lets_itself_be_traced(build: Factory) -> tuple[bool, bool]:
    """Whether a factory computes with its numbers in JAX alone, and whether it hands them to `sgd` or `adam` as is."""
    handed_on = False

    def made(learning_rate: jax.Array, weight_decay: jax.Array) -> None:
        nonlocal handed_on
        given = getattr(build(learning_rate, weight_decay), "given", (None, None))
        handed_on = given[0] is learning_rate and given[1] is weight_decay

    def first_update(learning_rate: jax.Array, weight_decay: jax.Array, params: PyTree) -> PyTree:
        optimizer = held_in_state(build, learning_rate, weight_decay)
        extra = {"value": learning_rate, "grad": params, "value_fn": lambda params: learning_rate}
        return optimizer.update(params, optimizer.init(params), params, **extra)

    number, kernel, bias = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((), (2, 3), (3,)))
    in_python = (jax.errors.JAXTypeError, jax.errors.JAXIndexError, TypeError)
    try:
        jax.eval_shape(made, number, number)
    except (*in_python, ValueError):
        return False, False
    try:
        if not handed_on:
            jax.eval_shape(first_update, number, number, {"Dense_0": {"kernel": kernel, "bias": bias}})
    except in_python:
        return False, False
    except Exception:  # it may ask for a layer that only the real network has, which will tell
        return True, False
    return True, handed_on


def held_in_state(build: Factory, learning_rate: Rate, weight_decay: float | jax.Array) -> HyperparametersInState:
    """What `build` makes, with its two numbers in the state; parts that keep numbers of their own follow them."""

    def following(learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        made = optax.with_extra_args_support(build(learning_rate, weight_decay))

        def update(gradient: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
            if any(map(holds_hyperparameters, jax.tree.leaves(state, is_leaf=holds_hyperparameters))):
                state = jax.tree.map(_following, state, made.init(params), is_leaf=holds_hyperparameters)
            return made.update(gradient, state, params, **extra)

        return optax.GradientTransformationExtraArgs(made.init, update)

    injected = optax.inject_hyperparams(following)(learning_rate=learning_rate, weight_decay=weight_decay)
    optimizer = HyperparametersInState(injected.init, injected.update)
    optimizer.given = (learning_rate, weight_decay)
    return optimizer


def _following(node: Any, begun: Any) -> Any:
    """A part of the state with the numbers that it would begin with now."""
    if not holds_hyperparameters(node):
        return node
    inner = jax.tree.map(_following, node.inner_state, begun.inner_state, is_leaf=holds_hyperparameters)
    return node._replace(hyperparams=begun.hyperparams, inner_state=inner)


def _transformation(optimizer: Any) -> optax.GradientTransformation:
    if isinstance(optimizer, optax.MultiSteps):
        return optimizer.gradient_transformation()
    if isinstance(optimizer, optax.GradientTransformation):
        return optimizer
    raise ValueError(
        "optimizer must be a transformation of optax, or f(learning_rate, weight_decay) that gives one, "
        f"got {optimizer!r}"
    )


def _require_factory(optimizer: Factory) -> None:
    try:
        signature = inspect.signature(optimizer)
    except (TypeError, ValueError):  # not written in Python: it says itself what it takes
        return
    try:
        second = list(signature.bind(0.1, 0.0).arguments)[-1]
    except TypeError as error:
        raise ValueError(f"optimizer must take (learning_rate, weight_decay), but {error}") from error
    if getattr(optimizer, "__module__", "").startswith("optax") and second != "weight_decay":
        name = f"optax.{getattr(optimizer, '__name__', '')}"
        raise ValueError(
            f"{name} takes {second} where a weight decay is given; write optimizer=lambda rate, decay: {name}(rate)"
        )


def with_hyperparameters(opt_state: PyTree, **values: float | jax.Array) -> PyTree:
    """The same state with other hyperparameters; each keeps its dtype.

    Raises:
        ValueError: a name that the optimizer does not have, or whose value a schedule decides.
    """
    if not values:
        return opt_state
    known = getattr(opt_state, "hyperparams", {})
    for name in sorted(values):
        if name not in known:
            raise ValueError(
                f"unknown hyperparameter {name!r}, this optimizer has {', '.join(sorted(known)) or 'none in its state'}"
            )
        if name in getattr(opt_state, "hyperparams_states", {}):
            raise ValueError(f"{name} follows a schedule in this optimizer, so no other value can be given")
    new = {name: jnp.asarray(values.get(name, old), old.dtype) for name, old in known.items()}
    return opt_state._replace(hyperparams=new)


def holds_hyperparameters(node: Any) -> bool:
    """Whether a node of an optimizer's state is that of `optax.inject_hyperparams`."""
    return hasattr(node, "hyperparams")
