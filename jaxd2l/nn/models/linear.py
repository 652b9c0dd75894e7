"""Linear regression and softmax regression: one fully connected layer (D2L chap_linear)."""

import flax.linen as nn
import jax

from jaxd2l.nn.init import normal, zero_bias
from jaxd2l.nn.linear import Dense, Flatten


class Linear(nn.Module):
    """Linear regression: one weighted sum per output (D2L sec_linear_concise).

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 2) | |
    | Dense_0 | (n, 1) | 3 |

    Total: 3 parameters. Weights N(0, 0.01^2), bias 0. Inputs of any rank are flattened to (n, features).
    """

    num_outputs: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, features) to (n, num_outputs); `train` changes nothing."""
        return Dense(self.num_outputs, kernel_init=normal(0.01), bias_init=zero_bias)(Flatten()(x))


class SoftmaxRegression(nn.Module):
    """Softmax regression: one logit per class, linear in the pixels (D2L sec_softmax_concise).

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 28, 28, 1) | |
    | Flatten_0 | (n, 784) | |
    | Dense_0 | (n, 10) | 7,850 |

    Total: 7,850 parameters. Weights N(0, 0.01^2), bias 0.
    """

    num_classes: int = 10

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, ...) to logits (n, num_classes); `train` changes nothing."""
        return Dense(self.num_classes, kernel_init=normal(0.01), bias_init=zero_bias)(Flatten()(x))
