"""LeNet-5 as the book has it, with batch norm too (LeCun et al. 1998, doi:10.1109/5.726791; D2L sec_lenet)."""

from collections.abc import Callable

import flax.linen as nn
import jax

from jaxd2l.nn.activation import sigmoid
from jaxd2l.nn.block import Identity, Normalisation
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense, Flatten
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import avg_pool


class LeNet(nn.Module):
    """Two convolutions that halve the image, then three fully connected layers.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 28, 28, 1) | |
    | Conv_0 5x5, padding 2, sigmoid | (n, 28, 28, 6) | 156 |
    | avg_pool 2x2 | (n, 14, 14, 6) | |
    | Conv_1 5x5, sigmoid | (n, 10, 10, 16) | 2,416 |
    | avg_pool 2x2 | (n, 5, 5, 16) | |
    | Flatten_0 | (n, 400) | |
    | Dense_0, sigmoid | (n, 120) | 48,120 |
    | Dense_1, sigmoid | (n, 84) | 10,164 |
    | Dense_2 | (n, 10) | 850 |

    Total: 61,706 parameters. With `padding=0, normalisation=BatchNorm` (before every activation, D2L sec_batch_norm)
    44,878. Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        padding: of the first convolution, in pixels.
        normalisation: makes the module called as `(x, train=train)` before every activation.
        pool: `avg_pool` or `max_pool`.
    """

    num_classes: int = 10
    conv_features: tuple[int, int] = (6, 16)
    dense_features: tuple[int, ...] = (120, 84)
    conv_activation: Callable[[jax.Array], jax.Array] = sigmoid
    dense_activation: Callable[[jax.Array], jax.Array] = sigmoid
    normalisation: Normalisation = Identity
    pool: Callable[..., jax.Array] = avg_pool
    padding: int = 2

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes).

        Raises:
            ValueError: x is not a batch of images of at least 16 pixels (12 with `padding=2`).
        """
        require_images(self, x, smallest=16 - 2 * self.padding)
        for features, padding in zip(self.conv_features, (self.padding, 0), strict=True):
            x = Conv(features, 5, padding=padding)(x)
            x = self.conv_activation(self.normalisation()(x, train=train))
            x = self.pool(x, 2)
        x = Flatten()(x)
        for features in self.dense_features:
            x = self.dense_activation(self.normalisation()(Dense(features)(x), train=train))
        return Dense(self.num_classes)(x)
