"""What `cost` answers: the four numbers of a network, and what each is made up of."""

import dataclasses
import math
from typing import NamedTuple

from jaxd2l.cost.layers import Layer
from jaxd2l.notebook_table import html_table
from jaxd2l.train.recipe import Recipe


class Memory(NamedTuple):
    """Bytes on the device at the worst moment, by what they hold.

    Attributes:
        parameters: of the network.
        gradients: alive at that moment, waiting for the update.
        optimizer_state: what the optimizer carries from step to step, and the average of the weights where one is kept.
        batch_statistics: running means and variances of batch normalisation.
        activations: made in the forward pass and kept for the backward pass; in prediction, whatever is alive.
        workspace: what an operation needs while it runs, and what the backward pass makes on its way.
        data: examples on the device, the rows of each batch and the record of the epoch.
        set_aside: the last finite state, and the test and validation parts, which `fit` keeps beside the compiled loop.
    """

    parameters: int
    gradients: int
    optimizer_state: int
    batch_statistics: int
    activations: int
    workspace: int
    data: int
    set_aside: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


@dataclasses.dataclass(frozen=True)
class Cost:
    """The answers to the four questions, and where they come from.

    Attributes:
        recipe: with the settings that were asked about.
        layers: those with parameters or that multiply, in order; their counts are for one example.
        forward_flops: of the prediction of one example: 2 a multiply-add, and 1 an element of everything else.
        step_flops: of one update with the whole batch, recomputation included.
        padding_flops: how many of `step_flops` multiply the zeros of paddings; XLA does not count these.
        predict: memory to predict one batch.
        train: memory to train.
        kept_activations: bytes that wait for the backward pass at the moment when the loss is known.
        steps: updates an epoch.
    """

    recipe: Recipe
    layers: tuple[Layer, ...]
    forward_flops: int
    step_flops: int
    padding_flops: int
    predict: Memory
    train: Memory
    kept_activations: int
    steps: int

    @property
    def parameters(self) -> int:
        """Trained numbers in the network."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of the prediction of one example, of all layers."""
        return sum(layer.macs for layer in self.layers)

    def epoch_seconds(self, flops_per_second: float) -> float:
        """How long the updates of one epoch take at a rate.

        Raises:
            ValueError: the rate is not positive, or so low that the time is beyond the range of floats.
        """
        seconds = self.step_flops * self.steps / flops_per_second if flops_per_second > 0 else math.inf
        if not math.isfinite(seconds):
            raise ValueError(f"the rate must be a positive number of FLOP a second, got {flops_per_second!r}")
        return seconds

    def _repr_html_(self) -> str:
        rows = [(layer.name, layer.parameters, layer.macs) for layer in self.layers]
        mebibytes = [round(memory.total / 2**20, 1) for memory in (self.predict, self.train)]
        caption = f"{self.recipe.name}: {mebibytes[0]} MiB to predict, {mebibytes[1]} MiB to train a batch"
        header = ("layer", "parameters", "multiply-adds an example")
        return html_table(caption, header, [*rows, ("all", self.parameters, self.macs)])
