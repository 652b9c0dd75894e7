"""Strict JAX for every test: implicit rank promotion raises and a key used twice is an error."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
