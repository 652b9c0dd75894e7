"""The state before the first update, as one program: by itself JAX would compile each operation of a network alone."""

import jax
from model_table import UNOPTIMISED

from jaxd2l.train import init_state

begun = jax.jit(init_state, static_argnames=("model", "optimizer", "averaged", "freeze"), compiler_options=UNOPTIMISED)
