"""The fully connected layer: every output is a weighted sum of every input (D2L sec_linear_regression, sec_mlp)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.init import BiasRule, Initializer, torch_bias, xavier_uniform
from jaxd2l.nn.kernels.precision import widened
from jaxd2l.nn.kernels.product import multiply
from jaxd2l.nn.parameters import kernel_and_bias


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Affine map of the last axis: x @ kernel + bias.

    Args:
        x: (..., in).
        kernel: (in, out), the transpose of PyTorch's `Linear.weight`.
        bias: (out,); leave out for a linear map.

    Returns:
        (..., out), in the promoted dtype; 16-bit floats are summed in float32 and rounded once.

    Raises:
        ValueError: the shapes do not fit, or neither x nor kernel is floating point.
    """
    if kernel.ndim != 2 or x.ndim < 1 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(f"dense: expected x (..., in) and kernel (in, out), got {x.shape} and {kernel.shape}")
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dense takes floating-point arrays, got {x.dtype} and {kernel.dtype}: convert them first")
    y = multiply(x, kernel)
    if bias is None:
        return y.astype(dtype)
    if bias.shape != kernel.shape[1:]:
        raise ValueError(f"dense: bias {bias.shape} does not fit kernel {kernel.shape}; expected {kernel.shape[1:]}")
    y = y + widened(bias).reshape((1,) * (y.ndim - 1) + bias.shape)
    return y.astype(jnp.promote_types(dtype, bias.dtype))


def flatten(x: jax.Array) -> jax.Array:
    """(n, ...) to (n, features), the rows of an NHWC image in H, W, C order (PyTorch's order is C, H, W)."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class Dense(nn.Module):
    """`dense` with a kernel (in, features) and a bias (features,), in the dtype of the first input.

    `in` is read off the first input too (a lazy shape); every later input has to agree with it.

    Attributes:
        features: width of the output.
        use_bias: whether a bias is added.
        kernel_init: draws the kernel.
        bias_init: draws the bias: an initialiser, or a rule that takes `in` and gives one.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = xavier_uniform
    bias_init: BiasRule | Initializer = torch_bias

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., in) to (..., features).

        Raises:
            ValueError: the stored kernel takes another number of inputs.
        """
        return dense(x, *kernel_and_bias(self, (x.shape[-1], self.features), x))


class Flatten(nn.Module):
    """`flatten` as a layer, so that its place in a network shows."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, ...) to (n, features)."""
        return flatten(x)
