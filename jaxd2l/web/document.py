"""The page as one file: template, looks, scripts, plan and weights put together."""

import base64
import hashlib
import html
import json
import re
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.nn import softmax
from jaxd2l.nn.parameters import count
from jaxd2l.prediction import Framing, Predictor
from jaxd2l.report.page.style import variables
from jaxd2l.web.plan import Plan
from jaxd2l.web.shown import layers_of
from jaxd2l.web.trace import plan_of
from jaxd2l.wording import counted

LARGEST_BYTES = 100_000_000  # of a page: more is slow to open and to send
SCRIPTS = ("kernels.js", "interpreter.js", "convert.js", "drawing.js", "inside.js", "page.js")


def page(predictor: Predictor, frame: Framing, *, title: str | None = None) -> str:
    """A page to draw on, with a network inside.

    Args:
        predictor: the network; it classifies pictures of 1 or 3 channels.
        frame: how its data show their things.
        title: of the page; by default the recipe's name says.

    Returns:
        HTML that needs nothing but itself.

    Raises:
        ValueError: it takes no pictures, holds an operation that a page cannot compute, or is too large.
    """
    _check(predictor)
    plan = network_plan(predictor)
    expected = plan.constant_bytes * 4 // 3
    if expected > LARGEST_BYTES:
        raise ValueError(
            f"{predictor.recipe.name} is too large for a page: its {plan.constant_bytes // 4:,} numbers take "
            f"{expected / 1e6:,.1f} MB, and a page may have {LARGEST_BYTES / 1e6:g} MB"
        )
    described, constants = plan.packed()
    height, width, channels = predictor.input_shape
    about = {
        "plan": described,
        "outputs": plan.outputs,
        "layers": [layer._asdict() for layer in layers_of(plan, *plan.outputs[:2])],
        "classes": predictor.classes,
        "form": {
            "height": height,
            "width": width,
            "channels": channels,
            "dark": frame.dark,
            "fill": frame.fill,
            "own": frame.own,
        },
    }
    script, style = "\n".join(map(_asset, SCRIPTS)), variables(":root") + _asset("page.css")
    heading = title or f"{predictor.recipe.name}: draw, and see what the network answers"
    parts = {
        "title": html.escape(heading),
        "rules": f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        "lead": html.escape(_lead(predictor, plan)),
        "waiting": "Nothing is drawn yet.",
        "rule": html.escape(_rule(frame, height, width, channels)),
        "style": style,
        "script": script,
        # text of a script element ends at the first "</", so no "<" is left in it
        "network": json.dumps(about, allow_nan=False).replace("<", "\\u003c"),
        "weights": base64.b64encode(constants).decode(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def network_plan(predictor: Predictor) -> Plan:
    """From a stored example (1, h, w, c) to what the network sees, its logits and the probabilities; in float32."""
    recipe = predictor.recipe
    prepare = recipe.prepare()

    def answer(variables: Any, stored: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        x = prepare(stored)
        logits = jnp.asarray(recipe.model.apply(variables, x, train=False), jnp.float32)
        return x, logits, softmax(logits)

    like = jax.ShapeDtypeStruct((1, *predictor.input_shape), predictor.input_dtype)
    return plan_of(answer, predictor.variables, like)


def _check(predictor: Predictor) -> None:
    shape = predictor.input_shape
    if predictor.recipe.hits is None or not predictor.classes:
        raise ValueError(f"{predictor.recipe.name} has no classes to name; a page needs a network that classifies")
    if len(shape) != 3 or shape[-1] not in (1, 3) or predictor.input_dtype != np.uint8:
        raise ValueError(
            f"a page needs pictures, bytes of (height, width, 1 or 3 channels); {predictor.recipe.name} takes "
            f"{predictor.input_dtype} of {shape}"
        )


def _lead(predictor: Predictor, plan: Plan) -> str:
    recipe = predictor.recipe
    parameters = count(predictor.variables["params"])
    narrow = (
        f" It was trained in {recipe.precision} and is computed in float32 here."
        if recipe.precision != "float32"
        else ""
    )
    return (
        f"A network of {counted(parameters, 'parameter')}, trained on {recipe.dataset} to tell "
        f"{counted(len(predictor.classes), 'class')} apart, {plan.multiplications:,} multiplications a picture. It "
        f"runs in this page.{narrow}"
    )


def _rule(frame: Framing, height: int, width: int, channels: int) -> str:
    size, kind = f"{width} by {height} pixels", "grey" if channels == 1 else "colour"
    if frame.own:
        return (
            f"As the pictures of the training were: laid on white where it is transparent, made {kind}, cut to the "
            f"middle and resized to {size}."
        )
    if not frame.dark or frame.fill is None:
        return f"It is made {kind} and brought to {size} whole, with more of its own ground where its shape is another."
    return (
        f"The network knows things on a dark ground that fill about {frame.fill:.0%} of the frame. So a picture is "
        f"made {kind}, trimmed to what differs from its ground, resized to fill as much of {size}, and inverted if its "
        "border is light. A picture that has this size already is not trimmed."
    )


def _asset(name: str) -> str:
    return resources.files("jaxd2l.web").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a content security policy allows: this text alone."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
