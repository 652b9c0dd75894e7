"""The fully connected layer: every output is a weighted sum of every input (D2L 3.1, 5.1)."""

import flax.linen as nn
import jax

from jaxd2l.nn.init import BiasRule, Initializer, xavier_uniform, zero_bias


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Affine map of the last axis: x @ kernel + bias.

    Args:
        x: (..., in).
        kernel: (in, out), the transpose of PyTorch's `Linear.weight`.
        bias: (out,); leave out for a linear map.

    Returns:
        (..., out).

    Raises:
        ValueError: the shapes do not fit.
    """
    if kernel.ndim != 2 or x.ndim < 1 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(
            f"dense: x {x.shape} and kernel {kernel.shape} do not fit; expected x (..., in) and kernel (in, out). "
            "An image has to be flattened, and one network takes one image size."
        )
    y = x @ kernel
    if bias is None:
        return y
    if bias.shape != kernel.shape[1:]:
        raise ValueError(f"dense: bias {bias.shape} does not fit kernel {kernel.shape}; expected {kernel.shape[1:]}")
    return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)


def flatten(x: jax.Array) -> jax.Array:
    """(n, ...) to (n, features), rows of an NHWC image in H, W, C order (PyTorch's order is C, H, W)."""
    return x.reshape(x.shape[0], -1)


class Dense(nn.Module):
    """`dense` with a kernel (in, features) and a bias (features,), in the dtype of the first input.

    `in` is read off the first input too (a lazy shape); every later input has to agree with it.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = xavier_uniform
    bias_init: BiasRule = zero_bias

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., in) to (..., features)."""
        fan_in = x.shape[-1]
        if self.has_variable("params", "kernel"):
            stored = self.get_variable("params", "kernel").shape
            if stored != (fan_in, self.features):
                raise ValueError(
                    f"{'/'.join(self.path) or 'Dense'}: the kernel is {stored}, but the input is {x.shape}, so it has "
                    f"to be {(fan_in, self.features)}. One network takes one size of input: give it the size and "
                    "channels that it was initialised with."
                )
        kernel = self.param("kernel", self.kernel_init, (fan_in, self.features), x.dtype)
        if not self.use_bias:
            return dense(x, kernel)
        bias = self.param("bias", self.bias_init(fan_in), (self.features,), x.dtype)
        return dense(x, kernel, bias)
