"""torchvision's ResNet, VGG and AlexNet as recipes, to be trained on from its published weights (ImageNet).

`jaxd2l import-torch resnet18 FILE --out runs/imagenet` makes a run of one, and
`jaxd2l train jaxd2l.recipes.torchvision:resnet18 --init-from runs/imagenet --data DIR` trains it on. Where the book has
a network of the same name it is another one: its ResNet-18 has biases and shortcuts without a norm, its VGG a quarter
of the width, its AlexNet the paper's widths. Images are 224 pixels a side, three channels, standardised by ImageNet's
mean and deviation.

Predictions are torchvision's. In training one thing differs: AlexNet drops units after its hidden dense layers, and
torchvision before them.
"""

import flax.linen as nn

from jaxd2l.data import ChannelStatistics
from jaxd2l.nn.models import VGG, VGG11, VGG13, VGG16, VGG19, AlexNet, ResNet
from jaxd2l.nn.models import resnet34 as _resnet34
from jaxd2l.nn.models import resnet50 as _resnet50
from jaxd2l.nn.models.resnet import PAPER_RESIDUAL
from jaxd2l.train.recipe import Recipe

IMAGENET = ChannelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLASSES, _PIXELS = 1000, 224
# features, window, stride, padding, whether a maximum follows (Krizhevsky 2014, arXiv:1404.5997)
_ONE_TOWER = ((64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False))
_ALEXNET = AlexNet(_CLASSES, (*_ONE_TOWER, (256, 3, 1, 1, True)))


def _recipe(name: str, model: nn.Module) -> Recipe:
    return Recipe(
        name,
        model,
        "",
        learning_rate=0.01,
        momentum=0.9,
        batch_size=32,
        image_size=_PIXELS,
        statistics=IMAGENET,
        source="torchvision's network of this name",
    )


resnet18 = _recipe("resnet18", ResNet(PAPER_RESIDUAL, (2, 2, 2, 2), _CLASSES, use_bias=False))
resnet34 = _recipe("resnet34", _resnet34(_CLASSES))
resnet50 = _recipe("resnet50", _resnet50(_CLASSES))
vgg11 = _recipe("vgg11", VGG(VGG11, num_classes=_CLASSES))
vgg13 = _recipe("vgg13", VGG(VGG13, num_classes=_CLASSES))
vgg16 = _recipe("vgg16", VGG(VGG16, num_classes=_CLASSES))
vgg19 = _recipe("vgg19", VGG(VGG19, num_classes=_CLASSES))
alexnet = _recipe("alexnet", _ALEXNET)

TORCHVISION = {one.name: one for one in (resnet18, resnet34, resnet50, vgg11, vgg13, vgg16, vgg19, alexnet)}
