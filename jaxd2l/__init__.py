"""Dive into Deep Learning's models and experiments as pure functions on JAX and Flax Linen."""

__version__ = "0.1.0"
