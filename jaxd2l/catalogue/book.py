"""What the book and the founding notes say of each experiment: settings and published figures, as plain values.

Settings and figures are those of the executed notebooks of *Dive into Deep Learning*: `zh` is the official PyTorch run
of the second Chinese edition (V100), `en` a second official run, and `notes` one learner's own run of the same recipe.
Each is a single run without a deviation.
"""

from jaxd2l.catalogue.experiment import Experiment, Published

AMES_CITATION = "Ames housing: Dean De Cock, Journal of Statistics Education 19(3), 2011"


def _at_28(learning_rate: float, source: str, parameters: int, macs: float, *published: Published) -> Experiment:
    return Experiment("fashion_mnist", learning_rate, source, 10, 256, 28, parameters, macs, published)


def _at_96(
    learning_rate: float, source: str, parameters: int, macs: float | None, *published: Published, batch_size: int = 256
) -> Experiment:
    return Experiment("fashion_mnist", learning_rate, source, 10, batch_size, 96, parameters, macs, published)


def _at_224(
    learning_rate: float, source: str, parameters: int, macs: float | None, *published: Published
) -> Experiment:
    return Experiment("fashion_mnist", learning_rate, source, 10, 128, 224, parameters, macs, published)


BOOK: dict[str, Experiment] = {
    "linear": Experiment(
        dataset="synthetic_linear",
        learning_rate=0.03,
        source="D2L sec_linear_scratch: w = [2, -3.4], b = 4.2, noise 0.01, 1,000 examples",
        epochs=3,
        batch_size=10,
        parameters=3,
        macs=2,
        published=(Published("zh", train_loss=0.000051),),
    ),
    "softmax": _at_28(
        0.1,
        "D2L sec_softmax_concise",
        7_850,
        7_840,
        Published("zh", 0.448, 0.848, 0.828),
        Published("en", None, None, 0.832),
    ),
    "mlp": _at_28(
        0.1,
        "D2L sec_mlp_scratch",
        203_530,
        203_264,
        Published("zh", 0.382, 0.865, 0.838),
        Published("en", None, None, 0.834),
    ),
    "dropout_mlp": _at_28(
        0.5,
        "D2L sec_dropout",
        269_322,
        268_800,
        Published("zh", 0.344, 0.875, 0.844),
        Published("en", None, None, 0.842),
    ),
    "lenet": _at_28(
        0.9,
        "D2L sec_lenet: sigmoid, average pooling",
        61_706,
        416_520,
        Published("zh", 0.469, 0.823, 0.779),
        Published("en", 0.457, 0.829, 0.809),
        Published("notes", 0.469, 0.823, 0.822),
    ),
    "lenet_relu": _at_28(
        0.1,
        "founding notes, day 15: ReLU throughout; at learning rate 0.9 it does not learn",
        61_706,
        416_520,
        Published("notes", 0.332, 0.877, 0.863),
    ),
    "lenet_conv_relu": _at_28(
        0.9,
        "founding notes, day 15: ReLU in the convolutions, sigmoid in the dense layers",
        61_706,
        416_520,
        Published("notes", 0.308, 0.885, 0.870),
    ),
    "lenet_bn": _at_28(
        1.0,
        "D2L sec_batch_norm: batch norm before every sigmoid, 5x5 unpadded",
        44_878,
        281_640,
        Published("zh", 0.267, 0.902, 0.708),
        Published("en", 0.277, 0.897, 0.838),
    ),
    "conv3d": Experiment(
        dataset="moving_squares",
        learning_rate=0.2,
        source="founding notes, day 17: convolution over time; 2,000 clips in which only the motion tells the class",
        batch_size=32,
        parameters=3_764,
    ),
    "alexnet": _at_224(
        0.01,
        "D2L sec_alexnet",
        46_764_746,
        938e6,
        Published("zh", 0.331, 0.878, 0.883),
        Published("en", 0.330, 0.879, 0.884),
        Published("notes", 0.328, 0.880, 0.882),
    ),
    "vgg11": _at_224(
        0.05,
        "D2L sec_vgg: VGG-11, convolutions a quarter as wide",
        43_093_322,
        512e6,
        Published("zh", 0.178, 0.935, 0.920),
        Published("en", 0.187, 0.930, 0.916),
        Published("notes", 0.195, 0.928, 0.918),
    ),
    "vgg13": _at_224(0.05, "VGG-13, a quarter as wide (arXiv:1409.1556)", 43_104_890, None),
    "vgg16": _at_224(0.05, "VGG-16, a quarter as wide (arXiv:1409.1556)", 43_436_986, None),
    "vgg19": _at_224(0.05, "VGG-19, a quarter as wide (arXiv:1409.1556)", 43_769_082, None),
    "nin": _at_224(
        0.1,
        "D2L sec_nin",
        1_992_166,
        762e6,
        Published("zh", 0.563, 0.786, 0.790),
        Published("en", 0.336, 0.874, 0.867),
        Published("notes", 0.338, 0.875, 0.845),
    ),
    "googlenet": _at_96(
        0.1,
        "D2L sec_googlenet",
        5_977_530,
        276e6,
        Published("zh", 0.262, 0.900, 0.886),
        Published("en", 0.248, 0.905, 0.889),
        Published("notes", 0.246, 0.906, 0.874),
        batch_size=128,
    ),
    "resnet18": _at_96(
        0.05,
        "D2L sec_resnet: 7x7/2 stem",
        11_178_378,
        319e6,
        Published("zh", 0.012, 0.997, 0.893),
        Published("en", 0.011, 0.997, 0.865),
    ),
    "resnet34": _at_96(0.05, "ResNet-34 (arXiv:1512.03385)", 21_283_530, None),
    "resnet50": _at_96(0.05, "ResNet-50 (arXiv:1512.03385)", 23_522_250, None),
    "resnext50": _at_96(0.05, "ResNeXt-50 32x4d (arXiv:1611.05431)", 22_994_122, None),
    "densenet": _at_96(
        0.1,
        "D2L sec_densenet: four blocks of four, growth 32",
        758_226,
        129e6,
        Published("zh", 0.140, 0.948, 0.885),
        Published("en", 0.142, 0.948, 0.882),
    ),
}
