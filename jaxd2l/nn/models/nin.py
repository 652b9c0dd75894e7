"""Network in network: a small MLP at every pixel (Lin et al. 2014, arXiv:1312.4400; D2L sec_nin)."""

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import global_avg_pool, max_pool
from jaxd2l.nn.stochastic import Dropout


class NiNBlock(nn.Module):
    """A convolution and two 1x1 convolutions, each with ReLU: (n, h, w, c) to (n, h', w', features)."""

    features: int
    window: int
    stride: int
    padding: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The 1x1 convolutions are a fully connected layer applied to the channels of each pixel."""
        for window, stride, padding in ((self.window, self.stride, self.padding), (1, 1, 0), (1, 1, 0)):
            x = relu(Conv(self.features, window, stride=stride, padding=padding)(x))
        return x


class NiN(nn.Module):
    """NiN blocks and maxima; the last block has one feature per class, and their means over the image are the logits.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 224, 224, 1) | |
    | NiNBlock_0 11x11, stride 4 | (n, 54, 54, 96) | 30,336 |
    | max_pool 3x3, stride 2 | (n, 26, 26, 96) | |
    | NiNBlock_1 5x5, padding 2 | (n, 26, 26, 256) | 746,240 |
    | max_pool 3x3, stride 2 | (n, 12, 12, 256) | |
    | NiNBlock_2 3x3, padding 1 | (n, 12, 12, 384) | 1,180,800 |
    | max_pool 3x3, stride 2 | (n, 5, 5, 384) | |
    | dropout 0.5 | (n, 5, 5, 384) | |
    | NiNBlock_3 3x3, padding 1 | (n, 5, 5, 10) | 34,790 |
    | global_avg_pool | (n, 10) | |

    Total: 1,992,166 parameters. The last ReLU makes the logits nonnegative, as in the book.
    Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        features: of the blocks before the last, whose features are the classes.
        dropout: share of units dropped before the last block.
    """

    num_classes: int = 10
    features: tuple[int, int, int] = (96, 256, 384)
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes).

        Raises:
            ValueError: x is not a batch of images of at least 67 pixels.
        """
        require_images(self, x, smallest=67)
        for features, (window, stride, padding) in zip(self.features, ((11, 4, 0), (5, 1, 2), (3, 1, 1)), strict=True):
            x = max_pool(NiNBlock(features, window, stride, padding)(x), 3, stride=2)
        x = Dropout(self.dropout)(x, train=train)
        return global_avg_pool(NiNBlock(self.num_classes, 3, 1, 1)(x))
