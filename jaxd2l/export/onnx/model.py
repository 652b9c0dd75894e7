"""The model: a network read into a graph, with its facts beside it, checked by ONNX's own rules."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l import __version__
from jaxd2l.export.onnx.graph import Graph, Node, Tensor
from jaxd2l.export.onnx.operations import OPERATIONS
from jaxd2l.export.onnx.session import require_onnx
from jaxd2l.export.program import AnyNumberError, for_any_number
from jaxd2l.nn.kernels.reading import read_network
from jaxd2l.prediction import Predictor

PyTree = Any

OPSET = 18  # of 2022: onnxruntime 1.14 and what else reads ONNX knows it
INPUT = "examples"


def onnx_model(
    predictor: Predictor, *, prepared: bool = False, facts: Mapping[str, Any] = MappingProxyType({})
) -> bytes:
    """What a network puts out, as a model of ONNX in float32.

    Args:
        predictor: the network with its weights.
        prepared: its input is what the network sees, float32, prepared by the caller; otherwise it is stored examples,
            bytes for images, and scaling, resizing and standardising are inside.
        facts: plain values that its metadata say as JSON under "jaxd2l".

    Returns:
        A model of one input `examples`, (batch, ...), and one output, (batch, outputs): `logits`, or `values` of a
        regression. Batch may be any number from 1, as with `prediction_program`.

    Raises:
        ValueError: the network holds an operation that is not written, its shapes cannot be computed for any number of
            examples, or onnx is missing.
    """
    require_onnx()
    recipe = predictor.recipe
    prepare: Callable[..., Any] = recipe.prepare()
    like = jax.ShapeDtypeStruct((1, *predictor.input_shape), predictor.input_dtype)
    if prepared:
        like = jax.eval_shape(lambda x: prepare(x).astype(jnp.float32), like)

    def answer(variables: PyTree, x: jax.Array) -> jax.Array:
        seen = jnp.asarray(x if prepared else prepare(x), jnp.float32)
        return jnp.asarray(recipe.model.apply(variables, seen, train=False), jnp.float32)

    x = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("batch"), *like.shape[1:]), like.dtype)
    name = "logits" if recipe.hits is not None else "values"
    write = partial(model_of, variables=predictor.variables, x=x, names=[name], network=recipe.name, facts=facts)
    try:
        return write(answer)
    except AnyNumberError:
        return write(lambda variables, x: jax.vmap(lambda one: answer(variables, one[None])[0])(x))


def model_of(
    function: Callable[..., Any],
    variables: PyTree,
    x: jax.ShapeDtypeStruct,
    names: Sequence[str],
    *,
    network: str = "network",
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> bytes:
    """`function(variables, x)` as a model of ONNX.

    Args:
        function: pure; an array or a list of arrays.
        variables: known numbers.
        x: shape and dtype of the input; the size of the first axis may be symbolic.
        names: of the results.
        network: what the graph is called.
        facts: see `onnx_model`.

    Raises:
        ValueError: see `onnx_model`.
    """
    import onnx
    from onnx import helper, numpy_helper

    graph = Graph(INPUT, x.shape, x.dtype)
    with for_any_number():
        results = read_network(function, variables, x, graph.given, graph, OPERATIONS)
    graph.scope = ""
    made = [graph.node("Identity", [graph.stored(result)]) for result in results]
    nodes, constants = graph.needed(made)
    for old, new in zip(made, names, strict=True):
        nodes = _renamed(nodes, old, new)
    outputs = [Tensor(name, tuple(r.shape), np.dtype(r.dtype), ()) for name, r in zip(names, results, strict=True)]
    inside = helper.make_graph(
        [helper.make_node(n.operation, n.inputs, n.outputs, name=n.outputs[0], **n.attributes) for n in nodes],
        network,
        [_value(graph.given)],
        list(map(_value, outputs)),
        [numpy_helper.from_array(array, key) for key, array in constants.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        inside,
        opset_imports=opset,
        ir_version=helper.find_min_ir_version_for(opset),
        producer_name="jaxd2l",
        producer_version=__version__,
    )
    helper.set_model_props(model, {"jaxd2l": json.dumps(dict(facts), allow_nan=False)})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _value(tensor: Tensor) -> Any:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
    return helper.make_tensor_value_info(
        tensor.name, kind, [size if isinstance(size, int) else str(size) for size in tensor.shape]
    )


def _renamed(nodes: Sequence[Node], old: str, new: str) -> list[Node]:
    """A result under its public name: what made it, where nobody else reads it, or the `Identity` after it."""
    [last] = [node for node in nodes if node.outputs == (old,)]
    maker = next((node for node in nodes if node.outputs == last.inputs), None)
    if maker is None or sum(last.inputs[0] in node.inputs for node in nodes) > 1:
        return [node._replace(outputs=(new,)) if node is last else node for node in nodes]
    return [node._replace(outputs=(new,)) if node is maker else node for node in nodes if node is not last]
