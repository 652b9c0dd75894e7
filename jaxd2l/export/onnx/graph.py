"""An ONNX graph while it is put together. Shapes are JAX's, the order of the axes in memory is ONNX's.

ONNX convolves and pools with channels first, JAX's networks have them last. So a tensor says in which order its axes
are stored, operations that treat every element alike keep the order, and a `Transpose` stands only where one needs
another order: a network of convolutions has one at its beginning and one at its end.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.nn.kernels.reading import UnknownOperationError

type Operand = Tensor | np.ndarray

_LARGEST = 2_000_000_000  # bytes of weights: a protocol buffer holds no more than 2 GB


class Tensor(NamedTuple):
    """A result of the graph.

    Attributes:
        name: in the graph.
        shape: as JAX has it; the size of the batch is symbolic.
        dtype: of its elements.
        order: `order[i]` is the axis of `shape` that is stored as axis i.
    """

    name: str
    shape: tuple[Any, ...]
    dtype: np.dtype
    order: tuple[int, ...]


class Node(NamedTuple):
    """An operation by its name in ONNX, the names of what it reads and makes, and its attributes."""

    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Graph:
    """Collects nodes and constants.

    Attributes:
        scope: path of the layer that the next nodes belong to.
        who: ONNX, as errors name it.
        given: the graph's input.
        nodes: in order.
        constants: by name.
    """

    def __init__(self, name: str, shape: Sequence[Any], dtype: Any) -> None:
        self.scope, self.who = "", "the ONNX export"
        self.given = Tensor(name, tuple(shape), np.dtype(dtype), tuple(range(len(shape))))
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._bytes = 0
        self._names: dict[str, int] = {name: 1}
        self._made: dict[str, Node] = {}
        self._same: dict[tuple[str, tuple[int, ...]], str] = {}
        self._wide: dict[str, tuple[Tensor, Operand]] = {}

    def result(
        self, operation: str, inputs: Sequence[str], aval: Any, order: Sequence[int] = (), **more: Any
    ) -> Tensor:
        """The result of one more node, of the shape and type of `aval`."""
        rank = len(aval.shape)
        return Tensor(
            self.node(operation, inputs, **more),
            tuple(aval.shape),
            np.dtype(aval.dtype),
            tuple(order) if order else tuple(range(rank)),
        )

    def node(self, operation: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The name of the first result of one more node."""
        return self.several(operation, inputs, 1, **attributes)[0]

    def several(self, operation: str, inputs: Sequence[str], count: int, **attributes: Any) -> tuple[str, ...]:
        """The names of the results of one more node."""
        outputs = tuple(self._new(f"{self.scope}/{operation}" if self.scope else operation) for _ in range(count))
        made = Node(operation, tuple(inputs), outputs, attributes)
        self.nodes.append(made)
        self._made |= dict.fromkeys(outputs, made)
        return outputs

    def made_by(self, operand: Operand | str) -> Node | None:
        """The node whose result this is."""
        name = operand if isinstance(operand, str) else getattr(operand, "name", "")
        return self._made.get(name)

    def constant(self, array: np.ndarray, role: str = "constant") -> str:
        """A known array of this graph, as it is stored; one of few elements is kept once."""
        array = np.ascontiguousarray(array)
        if array.size <= 8:
            for name, other in self.constants.items():
                if other.dtype == array.dtype and other.shape == array.shape and other.tobytes() == array.tobytes():
                    return name
        name = self._new(f"{self.scope}.{role}" if self.scope else role)
        self.constants[name] = array
        self._bytes += array.nbytes
        if self._bytes > _LARGEST:
            raise UnknownOperationError("with more than 2 GB of weights")
        return name

    def integers(self, numbers: Sequence[int]) -> str:
        """A constant of int64, as shapes and axes are given."""
        return self.constant(np.array([int(n) for n in numbers], np.int64), "numbers")

    def stored(self, operand: Operand, order: Sequence[int] = (), role: str = "constant") -> str:
        """The name under which an operand is stored in this order of its axes, by default in JAX's own."""
        order = tuple(order) or tuple(range(len(operand.shape)))
        if isinstance(operand, np.ndarray):
            return self.constant(operand.transpose(order), role)
        if order == operand.order:
            return operand.name
        axes = tuple(operand.order.index(axis) for axis in order)
        if (operand.name, axes) not in self._same:
            self._same[operand.name, axes] = self.node("Transpose", [operand.name], perm=axes)
        return self._same[operand.name, axes]

    def reshape(self, operand: Operand, shape: Sequence[Any]) -> Operand:
        """The same elements in another shape."""
        if isinstance(operand, np.ndarray):
            return operand.reshape(shape)
        if tuple(shape) == operand.shape:
            return operand
        sizes = [size if isinstance(size, int) else -1 for size in shape]
        if sizes.count(-1) > 1:
            raise UnknownOperationError(f"to {tuple(map(str, shape))}")
        name = self.node("Reshape", [self.stored(operand), self.integers(sizes)])
        return Tensor(name, tuple(shape), operand.dtype, tuple(range(len(shape))))

    def transpose(self, operand: Operand, axes: Sequence[int]) -> Operand:
        """Axes in another order, which moves nothing."""
        if isinstance(operand, np.ndarray):
            return operand.transpose(axes)
        shape = tuple(operand.shape[axis] for axis in axes)
        return operand._replace(shape=shape, order=tuple(list(axes).index(axis) for axis in operand.order))

    def widen(self, operand: Operand, shape: Sequence[Any]) -> Operand:
        """An operand of the same rank repeated along its axes of size 1."""
        if tuple(operand.shape) == tuple(shape):
            return operand
        order = tuple(range(len(shape)))
        name = self.node("Expand", [self.stored(operand), self.sizes(shape)])
        wide = Tensor(name, tuple(shape), operand.dtype, order)
        self._wide[name] = wide, operand
        return wide

    def sizes(self, shape: Sequence[Any]) -> str:
        """A shape as a tensor; the batch's size is asked of the input when the graph runs."""
        if all(isinstance(size, int) for size in shape):
            return self.integers(shape)
        size = self.given.shape[0]
        if any(not isinstance(one, int) and one != size for one in shape):
            raise UnknownOperationError(f"to {tuple(map(str, shape))}")
        batch = self.node("Shape", [self.given.name], start=0, end=1)
        return self.node("Concat", [self.integers([s]) if isinstance(s, int) else batch for s in shape], axis=0)

    def narrow(self, operand: Operand) -> Operand:
        """What `widen` was given, or the operand itself; of known arrays what is not repeated."""
        if isinstance(operand, Tensor):
            wide, narrow = self._wide.get(operand.name, (operand, operand))
            operand = narrow if operand == wide else operand  # by name alone it may be the wide one transposed
        if isinstance(operand, np.ndarray):
            once = tuple(slice(0, 1) if step == 0 else slice(None) for step in operand.strides)
            return np.asarray(operand[once])  # a scalar of NumPy is no array
        return operand

    def zero(self, operand: Operand) -> bool:
        """Whether it is known to be nothing but zeros."""
        operand = self.narrow(operand)
        return isinstance(operand, np.ndarray) and not operand.any()

    def needed(self, results: Sequence[str]) -> tuple[list[Node], dict[str, np.ndarray]]:
        """The nodes and constants of which results are made."""
        wanted, kept = set(results), []
        for node in reversed(self.nodes):
            if wanted & set(node.outputs):
                kept.append(node)
                wanted |= set(node.inputs)
        return kept[::-1], {name: array for name, array in self.constants.items() if name in wanted}

    def _new(self, name: str) -> str:
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name] - 1}"
