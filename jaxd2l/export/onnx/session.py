"""ONNX read back by onnxruntime, on the CPU."""

import numpy as np

from jaxd2l.data import DataError


def require_onnx() -> None:
    """Refuse where a library is missing.

    Raises:
        ValueError: with the line that installs them.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "ONNX is written with onnx and checked by onnxruntime: pip install 'jaxd2l[export]'"
        ) from error


class Session:
    """A model that answers.

    Attributes:
        inputs, outputs: their types, shapes and names, such as "uint8[batch,28,28,1]".
        facts: the model's metadata.
    """

    def __init__(self, content: bytes) -> None:
        """Read a model.

        Raises:
            DataError: it is none, or one that this onnxruntime does not run.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors alone: they are raised too
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no class in common
            reason = " ".join(str(error).split())
            raise DataError(f"no ONNX model that onnxruntime {onnxruntime.__version__} runs ({reason})") from error
        self.inputs = tuple(map(_described, self._session.get_inputs()))
        self.outputs = tuple(map(_described, self._session.get_outputs()))
        self.facts: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The one output for examples (n, ...)."""
        [found] = self._session.run(None, {self._session.get_inputs()[0].name: x})
        return np.asarray(found)


def _described(one: object) -> str:
    kind = one.type.removeprefix("tensor(").removesuffix(")").replace("float", "float32")  # type: ignore[attr-defined]
    return f"{kind}[{','.join(map(str, one.shape))}]"  # type: ignore[attr-defined]
