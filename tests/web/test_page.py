"""The page: what it computes is what the network computes, it fetches nothing, and names are no markup."""

import base64
import json
import re

import jax
import numpy as np
import pytest
from engines import embedded
from model_table import UNOPTIMISED
from web_networks import DARK, NAMES, NETWORKS, pictures, predictor_of

from jaxd2l.prediction import Framing
from jaxd2l.web import document
from jaxd2l.web.document import network_plan, page
from jaxd2l.web.shown import layers_of

pytestmark = pytest.mark.usefixtures("unoptimised")

TOLERANCE = 1e-5  # of a layer's largest value: float32 rounding, summed in another order


def own_results(predictor, stored):
    """Every module's result as the ordinary network gives it, by path."""
    recipe = predictor.recipe

    def apply(variables, stored):
        x = recipe.prepare()(stored)
        return recipe.model.apply(variables, x, train=False, capture_intermediates=True, mutable="intermediates")

    seen = jax.jit(apply, compiler_options=UNOPTIMISED)(predictor.variables, stored)
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(seen[1]["intermediates"]):
        words = [str(key.key) for key in path if hasattr(key, "key")]
        found["/".join(words[:-1])] = np.asarray(leaf)
    return found


def last_of_each_layer(plan):
    """The number of the last result of every path of the network."""
    last = {}
    for step in plan.steps:
        parts = step.scope.split("/") if step.scope else []
        for depth in range(1, len(parts) + 1):
            last["/".join(parts[:depth])] = step.output
    return last


def differences(predictor, plan, stored, array):
    """Layers whose result on the page, `array(number)`, is not the network's."""
    own, last = own_results(predictor, stored), last_of_each_layer(plan)
    checked = {path: (last[path], value) for path, value in own.items() if path in last}
    assert {path for path in own if re.search("(Conv|Dense|BatchNorm)_[0-9]+$", path)} <= set(checked)
    checked["logits"] = plan.outputs[1], predictor.outputs(stored)
    checked["probabilities"] = plan.outputs[2], predictor.predict_proba(stored)
    wrong = {}
    for path, (number, value) in checked.items():
        found = np.array(array(number), np.float64).reshape(value.shape)
        error, largest = np.abs(found - value).max(), np.abs(value).max()
        if not (0 < largest < np.inf and error <= TOLERANCE * largest):
            wrong[path] = error, largest
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_in_node_is_the_networks_own(name, node):
    predictor = predictor_of(name)
    text, plan, stored = page(predictor, DARK), network_plan(predictor), pictures(predictor, 1)
    arrays = node(
        ["kernels.js", "interpreter.js"],
        "const { plan, weights, stored } = given, bytes = Buffer.from(weights, 'base64');"
        "const constants = new Float32Array(new Uint8Array(bytes).buffer);"
        "const network = new interpreter.Network(plan, constants);"
        "for (const _ of network.forward(stored)); return network.arrays.map((array) => Array.from(array));",
        {
            "plan": json.loads(embedded(text, "network"))["plan"],
            "weights": embedded(text, "weights"),
            "stored": stored.ravel().tolist(),
        },
    )
    assert differences(predictor, plan, stored, lambda number: arrays[number]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "resnet"])
def test_every_layer_in_chromium_is_the_networks_own_and_nothing_is_fetched(name, tab, tmp_path):
    predictor = predictor_of(name, classes=("<script>alert(1)</script>", "&amp;", *NAMES[2:]))
    path = tmp_path / "draw.html"
    path.write_text(page(predictor, DARK), encoding="utf-8")
    plan = network_plan(predictor)
    for width in (400, 1400):
        tab.looks(width, "light")
        tab.open(path)
        tab.wait_for("document.readyState === 'complete' && typeof page !== 'undefined' && page.ready()")
        assert tab.wider_than_its_window(width) is None
    for stored in pictures(predictor):
        best = tab.evaluate(f"page.run({stored.ravel().tolist()})")
        assert best[0]["label"] == predictor.predict(stored[None])[0]
        array = lambda number: tab.evaluate(f"Array.from(page.array({number}))")  # noqa: E731
        assert differences(predictor, plan, stored[None], array) == {}
    tab.evaluate("document.getElementById('draw').scrollIntoView({block: 'center'})")
    box = tab.evaluate("document.getElementById('draw').getBoundingClientRect().toJSON()")
    for kind, share in (("mousePressed", 0.3), ("mouseMoved", 0.7), ("mouseReleased", 0.7)):
        at = {"x": box["x"] + share * box["width"], "y": box["y"] + share * box["height"]}
        tab.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)
    tab.wait_for("!page.busy() && document.querySelectorAll('#answer li').length === 3")
    assert tab.evaluate("document.getElementById('steps').textContent").startswith("trimmed to the ")
    names = tab.evaluate("[...document.querySelectorAll('#answer .name span:first-child')].map((e) => e.textContent)")
    assert set(names) <= set(predictor.classes)
    tab.evaluate("document.getElementById('clear').click()")
    tab.wait_for("!page.busy() && document.querySelectorAll('#answer li').length === 0")
    assert tab.said() == []


@pytest.mark.slow
def test_a_page_is_whole_and_no_name_is_markup():
    names = ("<script>alert(1)</script>", "</script><b>", *NAMES[2:])
    text = page(predictor_of("lenet", classes=names), DARK, title="<i>mine</i>")
    assert len(re.findall("<script", text)) == 3
    assert len(re.findall("</script>", text)) == 3
    assert "<b>" not in text
    assert "&lt;i&gt;mine&lt;/i&gt;" in text
    assert not re.findall(r"\{\{\w+\}\}", text)
    code = text.replace(embedded(text, "weights"), "")
    assert not re.findall(r"(?:https?:)?//[a-z]|@import|url\(|\bfetch\b|XMLHttpRequest|WebSocket|importScripts", code)
    assert "default-src 'none'" in text
    about = json.loads(embedded(text, "network"))
    assert tuple(about["classes"]) == names
    assert about["form"] == {"height": 28, "width": 28, "channels": 1, "dark": True, "fill": 0.9, "own": False}
    assert len(text) < 500_000
    plan = network_plan(predictor_of("lenet"))
    assert len(base64.b64decode(embedded(text, "weights"))) == plan.constant_bytes
    assert plan.multiplications == 416_520


@pytest.mark.slow
def test_the_layers_that_are_shown_are_those_of_the_book():
    plan = network_plan(predictor_of("lenet"))
    shown = [(layer.name, plan.shapes[layer.number]) for layer in layers_of(plan, *plan.outputs[:2])]
    assert shown == [
        ("Conv_0", (1, 28, 28, 6)),
        ("sigmoid", (1, 28, 28, 6)),
        ("mean over windows of 2", (1, 14, 14, 6)),
        ("Conv_1", (1, 10, 10, 16)),
        ("sigmoid", (1, 10, 10, 16)),
        ("mean over windows of 2", (1, 5, 5, 16)),
        ("Dense_0", (1, 120)),
        ("sigmoid", (1, 120)),
        ("Dense_1", (1, 84)),
        ("sigmoid", (1, 84)),
        ("Dense_2", (1, 10)),
    ]


@pytest.mark.slow
def test_a_network_that_is_too_large_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr(document, "LARGEST_BYTES", 200_000)
    with pytest.raises(ValueError, match=r"lenet is too large for a page: its 61,7\d\d numbers take 0\.3 MB"):
        page(predictor_of("lenet"), DARK)


@pytest.mark.slow
def test_a_network_trained_in_16_bits_is_computed_in_32_and_the_page_says_so():
    text = page(predictor_of("lenet", precision="bfloat16"), Framing(dark=False, fill=None, own=True))
    assert "trained in bfloat16 and is computed in float32 here" in text
    assert "cut to the middle" in text
