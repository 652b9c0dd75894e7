"""Strict JAX for every test: implicit rank promotion raises and a key used twice is an error."""

import os

import jax

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"  # also for commands run as processes: nothing outside the test folders

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
