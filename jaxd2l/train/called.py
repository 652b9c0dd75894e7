"""Networks of other conventions than this package's, called as its own are."""

import inspect

import flax.linen as nn
import jax


class CalledWithTrain(nn.Module):
    """A network of another convention, called as those of this package are; its parameters keep their names.

    Attributes:
        network: as it is.
        keyword: what it calls `train`: "training", "is_training" or "deterministic", the opposite; "" where training
            and prediction are one to it.
    """

    network: nn.Module
    keyword: str = ""

    def setup(self) -> None:
        """Parameters are the network's own."""
        nn.share_scope(self, self.network)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """What the network gives."""
        value = not train if self.keyword == "deterministic" else train
        return self.network(x, **({self.keyword: value} if self.keyword else {}))


def called_with_train(model: nn.Module) -> nn.Module:
    """The network itself where it takes `train`, else one around it that does."""
    parameters = inspect.signature(type(model).__call__).parameters
    if "train" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return model
    keyword = next((name for name in ("training", "is_training", "deterministic") if name in parameters), "")
    return CalledWithTrain(model, keyword)
