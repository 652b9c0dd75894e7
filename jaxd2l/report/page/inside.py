"""Inside a network on the page: kernels, feature maps, units that never answer, and what it all costs."""

import numpy as np

from jaxd2l.cost import Cost
from jaxd2l.report.inspection import Inspection
from jaxd2l.report.page.figures import amount, in_bytes
from jaxd2l.report.page.html import Markup, element, figure, paragraph, table
from jaxd2l.report.page.picture import feature_maps, image, kernels, viewable
from jaxd2l.wording import counted


def first_layer(found: Inspection) -> list[Markup]:
    """Kernels of the first convolution; [] for a network without one."""
    if found.kernel is None:
        return []
    name, kernel = found.kernel
    high, wide, _, features = kernel.shape
    shown = min(features, 64)
    caption = (
        f"{name}: {shown} of {features} kernels of {high}x{wide} pixels. Middle grey is a weight of 0, white the "
        "largest, black the most negative."
    )
    alternative = f"{shown} kernels of {name}, weights from {kernel.min():.3g} to {kernel.max():.3g}"
    return [element("h3", "Kernels of the first convolution"), _wide(kernels(kernel), alternative, caption)]


def maps_of_example(found: Inspection, example: np.ndarray, name: str) -> list[Markup]:
    """Feature maps of one example after the first activations; [] where there is none."""
    pixels = viewable(example)
    if not found.feature_maps or pixels is None:
        return []
    parts: list[Markup] = [
        element("h3", "Feature maps of one example"),
        figure(image(pixels, f"Test example 0, a {name}", class_="one"), f"Test example 0: {name}", class_="maps"),
    ]
    for layer, values in found.feature_maps:
        high, wide, channels = values.shape
        shown = min(channels, 32)
        caption = (
            f"After {layer}: {shown} of {channels} maps of {high}x{wide}, each from its least to its greatest value."
        )
        parts.append(_wide(feature_maps(values), f"{shown} feature maps after {layer}", caption))
    return parts


def _wide(pixels: np.ndarray, alternative: str, caption: str) -> Markup:
    return figure(image(pixels, alternative), caption, class_="maps")


def silent_units(found: Inspection) -> list[Markup]:
    """How many units never answer, layer by layer; [] for a network without ReLU or sigmoid."""
    if not found.layers:
        return []
    rows = [
        (
            *(layer.name, layer.kind, "x".join(map(str, layer.shape)), amount(len(layer.active))),
            *(amount(layer.silent), f"{layer.silent / len(layer.active):.1%}", f"{layer.active.mean():.1%}"),
        )
        for layer in found.layers
    ]
    header = ("after", "activation", "output", "units", "silent units", "of all", "active values")
    text = (
        f"Over {counted(found.examples, 'test example')}. A ReLU unit is silent (dead) if it is 0 for all of them, a "
        "sigmoid unit (saturated) if it stays within 0.01 of 0 or 1, where its gradient vanishes; a channel of feature "
        "maps is one unit."
    )
    total, units = (sum(values) for values in zip(*[(x.silent, len(x.active)) for x in found.layers], strict=True))
    lead = f"{amount(total)} of {amount(units)} units are silent. "
    return [
        element("h3", "Units that never answer"),
        paragraph(lead, text),
        table("Silent units by layer", header, rows),
    ]


def cost_table(cost: Cost) -> list[Markup]:
    """Layers with parameters and multiply-adds, and totals."""
    rows = [
        (
            *(layer.name, "x".join(map(str, layer.output_shape)), amount(layer.parameters), amount(layer.macs)),
            *(f"{layer.macs / max(cost.macs, 1):.1%}", in_bytes(layer.activation_bytes)),
            "x".join(map(str, layer.receptive_field)),
        )
        for layer in cost.layers
    ]
    header = ("layer", "output", "parameters", "multiply-adds", "share", "output bytes", "receptive field")
    text = (
        f"{counted(cost.parameters, 'parameter')}, {amount(cost.macs)} multiply-adds to predict one example, "
        f"{amount(cost.step_flops)} FLOPs an update with {counted(cost.recipe.batch_size, 'example')}, "
        f"{in_bytes(cost.train.total)} of memory to train and {in_bytes(cost.predict.total)} to predict, by count."
    )
    return [paragraph(text), table("Cost of one example, layer by layer", header, rows, class_="wide")]
