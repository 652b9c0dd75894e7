"""A network as StableHLO: one program for any number of examples, on CPU, CUDA and TPU (`jax.export`).

The network is traced plainly (`jaxd2l.nn.kernels.tracing`): a convolution is one convolution, on every platform. The
weights are constants of the program.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.frozen.programs import load_program, require_flatbuffers
from jaxd2l.nn.kernels.tracing import plain_tracing
from jaxd2l.prediction import Predictor

__all__ = ["PLATFORMS", "exported", "for_any_number", "load_program", "prediction_program", "require_flatbuffers"]

PyTree = Any
PLATFORMS = ("cpu", "cuda", "tpu")


def prediction_program(predictor: Predictor, *, prepared: bool = False) -> bytes:
    """What a network puts out, as a program of `jax.export`.

    Args:
        predictor: the network with its weights.
        prepared: its input is what the network sees, float32, prepared by the caller; otherwise it is stored examples,
            bytes for images, and scaling, resizing and standardising are inside.

    Returns:
        `call(x)`: (b, ...) for any b >= 1 to float32 (b, outputs): logits, or values of a regression.

    A network that asks for the number of examples as an integer, by `len(x)`, is written for one example and mapped
    over the others: in prediction none depends on another.

    Raises:
        ValueError: the network's shapes cannot be computed for any number of examples, or flatbuffers is missing.
    """
    like = jax.ShapeDtypeStruct((1, *predictor.input_shape), predictor.input_dtype)
    if prepared:
        like = jax.eval_shape(lambda x: predictor.recipe.prepare()(x).astype(jnp.float32), like)
    apply = predictor.apply_prepared if prepared else predictor.apply
    variables = jax.tree.map(np.asarray, predictor.variables)
    x = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("b"), *like.shape[1:]), like.dtype)
    try:
        return exported(lambda x: apply(variables, x), (x,))
    except AnyNumberError:
        return exported(jax.vmap(lambda one: apply(variables, one[None])[0]), (x,))


class AnyNumberError(ValueError):
    """A program that cannot be written for any number of examples."""


def exported(function: Callable[..., PyTree], arguments: Sequence[PyTree]) -> bytes:
    """A pure function, traced plainly for all platforms, as bytes.

    Raises:
        AnyNumberError: its shapes cannot be computed for any number of examples.
        ValueError: flatbuffers is missing.
    """
    require_flatbuffers()
    with for_any_number(), plain_tracing():
        program = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*arguments)
    return bytes(program.serialize())


@contextmanager
def for_any_number() -> Iterator[None]:
    """Around a trace for a batch whose size is a symbol.

    Raises:
        AnyNumberError: shapes cannot be computed for any number of examples.
    """
    try:
        yield
    except Exception as error:
        inconclusive = "InconclusiveDimension" in type(error).__name__ or isinstance(error, jax.errors.JAXTypeError)
        integer = "_DimExpr" in str(error)  # len(x), range(x.shape[0]), int(x.shape[0])
        if not (inconclusive or integer):
            raise
        reason = "the network asks for it by len(x) or int(...); x.shape[0] works" if integer else str(error)
        raise AnyNumberError(
            f"the program cannot be written for any number of examples: {reason.splitlines()[0]}"
        ) from error
