"""The table of data sets: what their arrays look like, where each file comes from, its digest, what labels mean.

Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747; MIT licence) is part of the package. MNIST (LeCun et
al. 1998), Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv:1812.01718; CC BY-SA 4.0) and CIFAR-10 (Krizhevsky 2009) are
published elsewhere. The others are generated.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxd2l.data.examples import Examples
from jaxd2l.data.synthetic import DIRECTIONS, linear_regression, moving_squares


class File(NamedTuple):
    """One published file; `unpacked` is the digest of what it holds, where that has been published."""

    name: str
    sha256: str = ""
    size: int = 0
    unpacked: str = ""


class Source(NamedTuple):
    """One data set: what its arrays look like, and where they come from.

    Attributes:
        shape: of one input.
        train, test: how many examples each part has.
        classes: the name of each label, empty for regression.
        url: what the names of the files are appended to; "" where they are part of the package.
        files: as published.
        generate: makes the examples of a part from a seed and their number, where there are no files.
    """

    shape: tuple[int, ...]
    train: int
    test: int
    classes: tuple[str, ...] = ()
    url: str = ""
    files: tuple[File, ...] = ()
    generate: Callable[[int, int], Examples] | None = None

    @property
    def images(self) -> bool:
        """Whether inputs are uint8 images (height, width, channels)."""
        return len(self.shape) == 3

    @property
    def embedded(self) -> bool:
        """Whether the files are part of the package."""
        return bool(self.files) and not self.url


_DIGITS = tuple("0123456789")
_LIKE_MNIST = ((28, 28, 1), 60_000, 10_000)

DATASETS: dict[str, Source] = {
    "fashion_mnist": Source(
        *_LIKE_MNIST,
        files=(
            File(
                "train-images-idx3-ubyte.gz",
                unpacked="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            File(
                "train-labels-idx1-ubyte.gz",
                unpacked="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            File(
                "t10k-images-idx3-ubyte.gz", unpacked="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            File(
                "t10k-labels-idx1-ubyte.gz", unpacked="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        ),
        classes=(
            *("t-shirt", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
    ),
    "mnist": Source(
        *_LIKE_MNIST,
        url="https://storage.googleapis.com/cvdf-datasets/mnist/",
        files=(
            File(
                "train-images-idx3-ubyte.gz",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                9912422,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            File(
                "train-labels-idx1-ubyte.gz",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                28881,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            File(
                "t10k-images-idx3-ubyte.gz",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                1648877,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            File(
                "t10k-labels-idx1-ubyte.gz",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                4542,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        classes=_DIGITS,
    ),
    "kmnist": Source(
        *_LIKE_MNIST,
        url="http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        files=(
            File(
                "train-images-idx3-ubyte.gz",
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                18165135,
            ),
            File(
                "train-labels-idx1-ubyte.gz",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                29497,
            ),
            File(
                "t10k-images-idx3-ubyte.gz",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                3041136,
            ),
            File(
                "t10k-labels-idx1-ubyte.gz",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                5120,
            ),
        ),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "cifar10": Source(
        *((32, 32, 3), 50_000, 10_000),
        url="https://www.cs.toronto.edu/~kriz/",
        files=(
            File(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170052171,
            ),
        ),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "synthetic_linear": Source((2,), 1_000, 1_000, generate=linear_regression),
    "moving_squares": Source((8, 28, 28, 1), 2_000, 500, DIRECTIONS, generate=moving_squares),
}
