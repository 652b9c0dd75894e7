"""The rows of what the notes contain: every item with code, an experiment, a formula or a number, day by day."""

from typing import NamedTuple


class Row(NamedTuple):
    """The days on which the notes treat it, and what it is."""

    days: tuple[int, ...]
    item: str


ROWS: dict[str, Row] = {
    "features": Row((1,), "an image as a feature vector, weighted sums, the sigmoid"),
    "arrays": Row((2,), "updates in place and their functional form; to NumPy and back; scalars"),
    "tables": Row((2,), "house_tiny.csv: reading, imputing, indicator columns"),
    "algebra": Row((2,), "transpose, copy, Hadamard, dot and matrix product, operations with scalars"),
    "sums": Row((2,), "sums and means over axes, kept axes, division by them, running sums"),
    "norms": Row((2,), "L2, L1 and Frobenius norm"),
    "limit": Row((3,), "the derivative of 3x^2 - 4x at 1 as a numerical limit"),
    "plots": Row((3,), "a curve and its tangent"),
    "layout": Row((3,), "layout of gradients, derivatives of vectors, identities"),
    "regression": Row((3, 4), "squared loss, closed form, minibatch descent, Gaussian noise"),
    "backpropagation": Row((4,), "time and memory of backpropagation"),
    "detach": Row((4,), "gradients of vectors, and of what is detached"),
    "start": Row((5,), "first weights, reshaping, shapes that have to agree"),
    "softmax": Row((5,), "one-hot, softmax, cross-entropy, entropy"),
    "losses": Row((5,), "L2, L1 and Huber loss and their gradients"),
    "accuracy": Row((6,), "indexing by two lists, accuracy, the loop of training and evaluation"),
    "perceptron": Row((6,), "a hidden layer, affine of affine, activations and their derivatives"),
    "fitting": Row((7,), "under- and overfitting, the three sets, K-fold cross-validation"),
    "decay": Row((7,), "weight decay and L1"),
    "dropout": Row((8,), "dropout keeps the expectation"),
    "houses": Row((8,), "house prices: standardise, impute, indicators, folds, logarithmic error"),
    "blocks": Row((8, 9), "a multilayer perceptron, blocks of one's own, constant weights, nesting"),
    "access": Row((10,), "parameters by name and path, nested blocks, a gradient for each"),
    "initialise": Row((10,), "initialisation: normal, constant, Xavier, one's own, set directly"),
    "tied": Row((10,), "shared parameters; shapes that the first input decides"),
    "layers": Row((10,), "a layer without parameters and one with"),
    "saving": Row((10,), "saving and loading arrays, parameters, networks and single layers"),
    "devices": Row((10,), "devices, placing arrays, reading the loss back every step"),
    "dataflow": Row((11,), "1, 2, 3, 4 through a network of ones"),
    "to_convolution": Row((11,), "from dense weights to a convolution"),
    "correlation": Row((12,), "cross-correlation, the edge kernel, learning it, one and three dimensions"),
    "padding": Row((13,), "padding and stride"),
    "channels": Row((13,), "several channels; 1x1 convolution as a matrix product"),
    "pooling": Row((13,), "maximum and average pooling"),
    "lenet": Row((14, 15), "LeNet with sigmoid and with ReLU"),
    "alexnet": Row((17,), "convolution over time; AlexNet, and with its sets swapped"),
    "vgg": Row((18,), "VGG-11 from its table"),
    "nin": Row((19,), "network in network"),
    "four_questions": Row((19,), "parameters, computation, memory to train, memory to predict"),
    "cross_entropy": Row((19,), "cross-entropy by hand"),
    "googlenet": Row((20,), "the Inception block, GoogLeNet"),
    "batch_norm": Row((21,), "batch normalisation, training and prediction, a batch of one"),
    "slip_super": Row((12,), "slip: the call that is missing in super.__init__()"),
    "slip_data": Row((10,), "slip: weight.data takes no part in the gradient"),
    "slip_dropout": Row((8,), "slip: when dropout is used"),
    "slip_alexnet": Row((17,), "slip: AlexNet's first kernel"),
    "slip_hidden": Row((11,), "slip: the hidden value of the network of ones"),
    "slip_swapped": Row((17,), "slip: training and test set swapped"),
    "slip_variance": Row((10,), "slip: variance for standard deviation"),
}
