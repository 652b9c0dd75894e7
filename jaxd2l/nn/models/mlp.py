"""Multilayer perceptron, with dropout where asked for (D2L sec_mlp, sec_dropout)."""

from collections.abc import Callable

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.init import Initializer, normal, zero_bias
from jaxd2l.nn.linear import Dense, Flatten
from jaxd2l.nn.stochastic import Dropout


class MLP(nn.Module):
    """Fully connected layers with an activation after each but the last (D2L sec_mlp_scratch).

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 28, 28, 1) | |
    | Flatten_0 | (n, 784) | |
    | Dense_0, relu | (n, 256) | 200,960 |
    | Dense_1 | (n, 10) | 2,570 |

    Total: 203,530 parameters. With `hidden=(256, 256), dropout=(0.2, 0.5)`, the book's network (D2L sec_dropout),
    269,322. Weights N(0, 0.01^2), biases 0.

    Attributes:
        hidden: width of each hidden layer.
        dropout: share of units dropped after each hidden layer: one per layer, or () for none.
    """

    hidden: tuple[int, ...] = (256,)
    num_outputs: int = 10
    activation: Callable[[jax.Array], jax.Array] = relu
    dropout: tuple[float, ...] = ()
    kernel_init: Initializer = normal(0.01)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, ...) to (n, num_outputs).

        Raises:
            ValueError: `dropout` has neither no entry nor one per hidden layer.
        """
        if len(self.dropout) not in (0, len(self.hidden)):
            raise ValueError(
                f"dropout {self.dropout} does not fit hidden {self.hidden}: "
                "give one rate per hidden layer, or () for none"
            )
        x = Flatten()(x)
        for features, rate in zip(self.hidden, self.dropout or (0.0,) * len(self.hidden), strict=True):
            x = self.activation(Dense(features, kernel_init=self.kernel_init, bias_init=zero_bias)(x))
            x = Dropout(rate)(x, train=train)
        return Dense(self.num_outputs, kernel_init=self.kernel_init, bias_init=zero_bias)(x)
