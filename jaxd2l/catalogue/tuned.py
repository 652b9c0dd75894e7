"""The same data trained as practitioners do today: settings and figures of this library's own.

What was searched was chosen on 6,000 training pictures held out (docs/use/tuned.md); the figures are means over five
seeds of 10,000 test pictures after the last epoch, made by `python benchmarks/tuned.py` and stored with every epoch in
`benchmarks/results/tuned.json`.
"""

from jaxd2l.catalogue.experiment import Experiment, Published

TUNED: dict[str, Experiment] = {
    "lenet_tuned": Experiment(
        dataset="fashion_mnist",
        learning_rate=0.1,
        source="the book's LeNet with ReLU, trained for 20 epochs with momentum, a cosine and weight decay",
        epochs=20,
        image_size=28,
        parameters=61_706,
        macs=416_520,
        weight_decay=0.0005,
        momentum=0.9,
        nesterov=True,
        schedule="cosine",
        warmup=1.0,
        published=(Published("jaxd2l", 0.154, 0.945, 0.912),),
    ),
    "convnet": Experiment(
        dataset="fashion_mnist",
        learning_rate=0.1,
        source="three convolutions with batch norm, for accuracy in minutes on two cores",
        epochs=12,
        batch_size=128,
        image_size=28,
        parameters=104_426,
        macs=7_462_656,
        weight_decay=0.0005,
        momentum=0.9,
        nesterov=True,
        schedule="cosine",
        warmup=1.0,
        augment="flip",
        published=(Published("jaxd2l", 0.079, 0.976, 0.932),),
    ),
}
