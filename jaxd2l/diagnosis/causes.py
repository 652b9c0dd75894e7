"""What may be wrong with a training: each known mistake in words, and where to look for it."""

from typing import NamedTuple


class Cause(NamedTuple):
    """A way of training.

    Attributes:
        what: was done, as a clause.
        look: where to look for it, or what to do.
        wrong: whether it is a mistake.
    """

    what: str
    look: str
    wrong: bool = True


RIGHT = "right"
CAUSES: dict[str, Cause] = {
    RIGHT: Cause("trained as the recipe says", "", wrong=False),
    "told_after_the_epoch": Cause(
        "trained as the recipe says, loss and training accuracy measured after each epoch instead of during it",
        "compare with figures that are measured the same way",
        wrong=False,
    ),
    "evaluated_in_training_mode": Cause(
        "evaluated in training mode", "call model.eval() before evaluating, or pass train=False"
    ),
    "tested_on_training_set": Cause(
        "the test accuracy is one of training examples", "look which data the evaluation goes through"
    ),
    "swapped_sets": Cause(
        "training and test set swapped: trained on 10,000 and tested on 60,000 examples",
        "look at the order in which the loader returns them",
    ),
    "rate_zero": Cause(
        "a learning rate of 0: nothing is learned",
        "look whether optimizer.step() is called, and on the parameters of this network",
    ),
    "rate_ten_times_lower": Cause("a learning rate ten times too low", "compare it with the recipe's"),
    "rate_ten_times_higher": Cause("a learning rate ten times too high", "compare it with the recipe's"),
    "pixels_0_to_255": Cause("pixels not scaled: 0 to 255", "divide by 255, or use ToTensor()"),
    "softmax_twice": Cause(
        "softmax twice: in the network and in the loss", "give the loss the logits, and the network no last softmax"
    ),
    "gradients_never_cleared": Cause(
        "gradients added up over all updates", "call optimizer.zero_grad() before backward()"
    ),
    "weights_zero": Cause("weights that begin as 0", "draw them at random: all units of a layer stay alike"),
    "labels_shifted": Cause(
        "labels of the training set shifted by one class", "look at how class names become numbers, from 0 or from 1"
    ),
    "labels_of_other_rows": Cause(
        "labels that belong to other images", "look whether images and labels were shuffled or cut together"
    ),
    "not_shuffled": Cause("training examples not shuffled", "shuffle them anew in each epoch"),
    "sorted_not_shuffled": Cause(
        "training examples sorted by class and not shuffled", "shuffle them anew in each epoch"
    ),
    "loss_summed": Cause(
        "loss summed over the batch instead of averaged", "take its mean, or a rate smaller by the batch size"
    ),
    "loss_summed_told_as_mean": Cause(
        "gradient of the loss summed over the batch, the loss printed as a mean",
        "take the gradient of the mean, or a rate smaller by the batch size",
    ),
    "adam_at_this_rate": Cause("Adam at the learning rate of plain SGD", "take plain SGD, or a rate such as 0.001"),
    "no_activation": Cause("no activation between the layers", "put one after each layer but the last"),
    "relu_in_convolutions": Cause(
        "ReLU instead of sigmoid in the convolutions", "this is recipe lenet_conv_relu, if it was meant"
    ),
    "relu_throughout": Cause("ReLU instead of sigmoid throughout", "it needs a lower rate: see recipe lenet_relu"),
}
_OF_RECIPE = {"no_activation": "mlp", "relu_in_convolutions": "lenet", "relu_throughout": "lenet"}
ALIKE = {"evaluated_in_training_mode": RIGHT}  # without dropout and batch norm a network has one mode
"""Mistakes that change no number of a recipe that has stored curves -> what they are like."""

TOLD_OF = {
    "told_after_the_epoch": RIGHT,
    "tested_on_training_set": RIGHT,
    "loss_summed_told_as_mean": "loss_summed",
}
"""Variants that are other figures of the same trainings, seed by seed -> those trainings."""


def compared(recipe: str) -> list[str]:
    """The variants that a curve of a recipe is compared with, once their trainings are stored."""
    return [name for name in CAUSES if name not in ALIKE and _OF_RECIPE.get(name, recipe) == recipe]
