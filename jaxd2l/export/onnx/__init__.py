"""A network as ONNX, written from what plain tracing leaves of it: a dozen of JAX's operations, all of which ONNX has.

- `onnx_model`: a predictor as the bytes of a model, for any number of examples
- `model_of`: any pure function likewise
- `Session`: such bytes read by onnxruntime
"""

from jaxd2l.export.onnx.model import OPSET, model_of, onnx_model
from jaxd2l.export.onnx.session import Session, require_onnx

__all__ = ["OPSET", "Session", "model_of", "onnx_model", "require_onnx"]
