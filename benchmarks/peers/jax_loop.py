"""Peer: a plain jitted JAX and Flax step in a Python loop, batches gathered on the host.

The same networks, on XLA's own convolution, `flax.linen` pooling and JAX's sigmoid and autodiff: what one gets without
jaxd2l's kernels and compiled epoch.
"""

import functools
import sys
import time
from unittest import mock

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from protocol import Task, Trainer, serve

from jaxd2l.nn import pool
from jaxd2l.nn.kernels import direct as conv_direct
from jaxd2l.nn.kernels import plan as conv_plan
from jaxd2l.recipes import find
from jaxd2l.train.state import run_keys


def plain_convolution(x, kernel, at):
    """`lax.conv_general_dilated`, with the gradients that JAX derives."""
    return conv_direct.convolve(x, kernel, *at)


def flax_pool(function, x, at):
    """`flax.linen`'s pool for the windows `at`."""
    return function(x, at.window, at.strides, at.borders)


def main():
    """Jit one step and serve a loop over it."""
    began = time.perf_counter()
    task = Task(sys.argv[1])
    recipe = find(task.recipe)
    model, prepare, optimizer = recipe.model, recipe.prepare(), optax.sgd(task.learning_rate)
    plain = [
        mock.patch.object(conv_plan, "convolve", plain_convolution),
        mock.patch.object(pool, "_largest", functools.partial(flax_pool, nn.max_pool)),
        mock.patch.object(pool, "_mean", functools.partial(flax_pool, nn.avg_pool)),
    ]

    def mean_loss(params, stats, x, y, key, train):
        variables = {"params": params, "batch_stats": stats}
        rngs = {"dropout": key}
        logits, updated = model.apply(variables, prepare(x), train=train, rngs=rngs, mutable=["batch_stats"])
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y)), updated.get("batch_stats", {})

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, stats, x, y, key):
        (loss, stats), gradient = jax.value_and_grad(mean_loss, has_aux=True)(params, stats, x, y, key, True)
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        return optax.apply_updates(params, updates), stats, loss

    first, keys = task.rows[0, 0], run_keys(0)
    for patch in plain:
        patch.start()
    variables = jax.jit(functools.partial(model.init, train=False))(keys.init, jnp.asarray(prepare(task.x[:1])))
    params, stats = variables["params"], variables.get("batch_stats", {})
    first_loss = mean_loss(params, stats, task.x[first], task.y[first], keys.noise, False)[0]
    compiling = time.perf_counter()
    compiled = step.lower(params, stats, task.x[first], task.y[first], keys.noise).compile()
    compile_seconds = time.perf_counter() - compiling

    def train_round(i):
        nonlocal params, stats
        losses = []
        for t, rows in enumerate(task.rows[i]):
            key = jax.random.fold_in(keys.noise, t)
            params, stats, loss = compiled(params, stats, task.x[rows], task.y[rows], key)
            losses.append(loss)
        return np.mean(jax.device_get(losses))

    parameters = sum(p.size for p in jax.tree.leaves(params))
    versions = {"jax": jax.__version__, "flax": flax.__version__}
    serve(began, parameters, {"float32": Trainer(first_loss, train_round, compile_seconds)}, versions)


if __name__ == "__main__":
    main()
