"""Operations that treat every element alike: they keep the order in which axes are stored."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxd2l.export.onnx.graph import Graph, Operand, Tensor
from jaxd2l.nn.kernels.reading import UnknownOperationError

type Translation = Callable[..., Any]

ONE = {
    **{
        name: name.capitalize() for name in ("exp", "log", "tanh", "erf", "sqrt", "neg", "abs", "sign", "floor", "ceil")
    },
    **{name: name.capitalize() for name in ("sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan")},
    **{name: name.capitalize() for name in ("asinh", "acosh", "atanh")},
    "logistic": "Sigmoid",
}
TWO = {
    **{name: name.capitalize() for name in ("mul", "max", "min", "pow", "and", "or")},
    "eq": "Equal",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "add_any": "Add",
}
_ROLES = {"Add": "bias", "Mul": "scale"}  # what a constant of such an operation usually is


def elementwise(graph: Graph, equation: Any, operation: str, *operands: Operand) -> Tensor:
    """A node whose operands repeat along axes of size 1, as NumPy's do."""
    out = equation.outvars[0].aval
    rank, narrow = len(out.shape), [graph.narrow(operand) for operand in operands]
    shapes = [operand.shape for operand in narrow if len(operand.shape) == rank]
    if all(any(shape[axis] == out.shape[axis] for shape in shapes) for axis in range(rank)):
        operands = tuple(narrow)
    order = next((o.order for o in operands if isinstance(o, Tensor) and len(o.shape) == rank), tuple(range(rank)))
    names = [_repeated(graph, operand, order, _ROLES.get(operation, "constant")) for operand in operands]
    return graph.result(operation, names, out, order)


def _repeated(graph: Graph, operand: Operand, order: tuple[int, ...], role: str) -> str:
    if isinstance(operand, np.ndarray) and operand.size == 1:
        return graph.constant(operand.reshape(()), role)
    return graph.stored(operand, order if operand.shape else (), role)


def one(operation: str) -> Translation:
    """Of one operand, by ONNX's name."""
    return lambda graph, equation, x: elementwise(graph, equation, operation, x)


def two(operation: str) -> Translation:
    """Of two operands, by ONNX's name."""

    def translate(graph: Graph, equation: Any, x: Operand, y: Operand) -> Tensor:
        out = equation.outvars[0].aval
        if operation in ("And", "Or") and out.dtype != bool:
            raise UnknownOperationError(f"of {out.dtype}")
        return elementwise(graph, equation, operation, x, y)

    return translate


def logical_not(graph: Graph, equation: Any, x: Operand) -> Tensor:
    """`not` of truth values."""
    if equation.outvars[0].aval.dtype != bool:
        raise UnknownOperationError(f"of {equation.outvars[0].aval.dtype}")
    return elementwise(graph, equation, "Not", x)


def not_equal(graph: Graph, equation: Any, x: Operand, y: Operand) -> Tensor:
    """`ne`."""
    return elementwise(graph, equation, "Not", elementwise(graph, equation, "Equal", x, y))


def add(graph: Graph, equation: Any, x: Operand, y: Operand) -> Tensor:
    """`add`; a bias goes into the convolution or product that is before it."""
    for operand, bias in ((x, y), (y, x)):
        if isinstance(bias, np.ndarray) and (fused := _with_bias(graph, equation, operand, bias)):
            return fused
    return elementwise(graph, equation, "Add", x, y)


def sub(graph: Graph, equation: Any, x: Operand, y: Operand) -> Tensor:
    """`sub`; likewise, since x - y is x + (-y) to the bit."""
    if isinstance(y, np.ndarray) and (fused := _with_bias(graph, equation, x, np.asarray(-y))):
        return fused
    return elementwise(graph, equation, "Sub", x, y)


def div(graph: Graph, equation: Any, x: Operand, y: Operand) -> Tensor:
    """`div`; a sum over windows divided by their size is the mean that it was made of."""
    times = graph.made_by(x)
    mean = graph.made_by(times.inputs[0]) if times and times.operation == "Mul" else None
    if isinstance(x, Tensor) and times and mean and mean.operation == "AveragePool" and isinstance(y, np.ndarray):
        count = graph.constants.get(times.inputs[1])
        if count is not None and count.size == y.size == 1 and count == y:
            return x._replace(name=mean.outputs[0])
    return elementwise(graph, equation, "Div", x, y)


def _with_bias(graph: Graph, equation: Any, x: Operand, bias: np.ndarray) -> Tensor | None:
    """The convolution or product again, with its bias."""
    made, bias, out = graph.made_by(x), np.asarray(graph.narrow(bias)), equation.outvars[0].aval
    if made is None or not isinstance(x, Tensor) or len(made.inputs) != 2 or bias.ndim != len(x.shape):
        return None
    channels = {"Conv": 1, "ConvTranspose": 1, "MatMul": 1 if len(x.shape) == 2 and x.order == (0, 1) else None}
    axis = channels.get(made.operation)
    weight = graph.constants.get(made.inputs[1])
    if axis is None or weight is None or bias.dtype != weight.dtype or bias.size != x.shape[x.order[axis]]:
        return None
    if bias.shape[x.order[axis]] != bias.size:
        return None
    operation = "Gemm" if made.operation == "MatMul" else made.operation
    inputs = [*made.inputs, graph.constant(bias.reshape(-1), "bias")]
    return graph.result(operation, inputs, out, x.order, **made.attributes)


def convert(graph: Graph, equation: Any, x: Operand) -> Operand:
    """`convert_element_type`."""
    return cast(graph, x, equation.outvars[0].aval.dtype)


def cast(graph: Graph, x: Operand, dtype: Any) -> Operand:
    """The elements as another type."""
    from onnx.helper import np_dtype_to_tensor_dtype

    if x.dtype == dtype or isinstance(x, np.ndarray):
        return x.astype(dtype) if isinstance(x, np.ndarray) else x
    name = graph.node("Cast", [x.name], to=np_dtype_to_tensor_dtype(np.dtype(dtype)))
    return x._replace(name=name, dtype=np.dtype(dtype))


def select(graph: Graph, equation: Any, which: Operand, *cases: Operand) -> Operand:
    """`select_n` between two."""
    if len(cases) != 2 or equation.invars[0].aval.dtype != bool:
        raise UnknownOperationError(f"among {len(cases)} cases")
    otherwise, chosen = cases
    if isinstance(which, np.ndarray) and which.size == 1:
        return cases[int(which.item())]
    made = graph.made_by(which)
    if isinstance(which, Tensor) and made and made.operation == "LessOrEqual" and graph.zero(chosen):
        limit = graph.constants.get(made.inputs[1])
        compared = which._replace(name=made.inputs[0], dtype=otherwise.dtype)  # transposed as the truth values are
        if isinstance(otherwise, Tensor) and compared == otherwise and limit is not None and not limit.any():
            return elementwise(graph, equation, "Relu", otherwise)
    return elementwise(graph, equation, "Where", which, chosen, otherwise)


def clamp(graph: Graph, equation: Any, low: Operand, x: Operand, high: Operand) -> Tensor:
    """`clamp`."""
    return elementwise(graph, equation, "Min", elementwise(graph, equation, "Max", x, low), high)


def integer_pow(graph: Graph, equation: Any, x: Operand) -> Tensor:
    """`integer_pow`."""
    if equation.params["y"] == 2:
        return elementwise(graph, equation, "Mul", x, x)
    return elementwise(graph, equation, "Pow", x, np.asarray(equation.params["y"], x.dtype))


def round_(graph: Graph, equation: Any, x: Operand) -> Tensor:
    """`round`, halves to even or away from zero."""
    if int(equation.params["rounding_method"]):
        return elementwise(graph, equation, "Round", x)
    up = elementwise(graph, equation, "Add", elementwise(graph, equation, "Abs", x), _number(0.5, x))
    floor = elementwise(graph, equation, "Floor", up)
    return elementwise(graph, equation, "Mul", elementwise(graph, equation, "Sign", x), floor)


def composed(*parts: tuple[str, Any, Any] | str) -> Translation:
    """Nodes one after another: by a name, or a name and what stands before and after "x", a number or None."""

    def translate(graph: Graph, equation: Any, x: Operand) -> Operand:
        for part in parts:
            if isinstance(part, str):
                x = elementwise(graph, equation, part, x)
            else:
                name, before, after = part
                numbers = [None if n is None else _number(n, x) for n in (before, after)]
                around = [numbers[0], x, numbers[1]]
                x = elementwise(graph, equation, name, *(o for o in around if o is not None))
        return x

    return translate


def cube_root(graph: Graph, equation: Any, x: Operand) -> Tensor:
    """`cbrt`."""
    root = elementwise(graph, equation, "Pow", elementwise(graph, equation, "Abs", x), _number(1 / 3, x))
    return elementwise(graph, equation, "Mul", elementwise(graph, equation, "Sign", x), root)


def is_finite(graph: Graph, equation: Any, x: Operand) -> Tensor:
    """`is_finite`."""
    wrong = [elementwise(graph, equation, name, x) for name in ("IsInf", "IsNaN")]
    return elementwise(graph, equation, "Not", elementwise(graph, equation, "Or", *wrong))


def square(graph: Graph, equation: Any, x: Operand) -> Tensor:
    """`square`."""
    return elementwise(graph, equation, "Mul", x, x)


def _number(value: float, like: Operand) -> np.ndarray:
    return np.asarray(value, like.dtype)


COMPOSED = {
    "rsqrt": composed("Sqrt", "Reciprocal"),
    "log1p": composed(("Add", None, 1), "Log"),
    "expm1": composed("Exp", ("Sub", None, 1)),
    "exp2": composed(("Pow", 2, None)),
    "erfc": composed("Erf", ("Sub", 1, None)),
}
