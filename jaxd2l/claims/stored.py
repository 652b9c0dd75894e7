"""Trainings that take minutes, as kept results: each with the command, the device and the versions that made it."""

import functools
import importlib.resources
import json
from typing import Any

from jaxd2l.claims.claim import Seeds, seeds
from jaxd2l.diagnosis import curves_of

_FILE = "trainings.json"


@functools.cache
def _kept() -> dict[str, Any]:
    text = importlib.resources.files("jaxd2l.claims").joinpath(_FILE).read_text(encoding="utf-8")
    kept: dict[str, Any] = json.loads(text)
    return kept


def is_there(name: str) -> bool:
    """Whether a training of this name is kept."""
    return name in _kept()["trainings"]


def curves(name: str) -> Seeds:
    """Training loss, training accuracy and test accuracy after every epoch of every seed: (seeds, epochs, 3)."""
    return seeds(_kept()["trainings"][name]["curves"])


def last(name: str) -> Seeds:
    """The same after the last epoch: (seeds, 3)."""
    return seeds(curves(name)[:, -1])


def provenance(name: str) -> str:
    """What made a kept training: command, device, versions, day and the file with everything."""
    made = _kept()["made"][_kept()["trainings"][name]["made"]]
    return f"{made['command']} on {made['device']}, jax {made['jax']}, {made['date']} ({made['file']})"


def many(recipe: str, variant: str) -> Seeds:
    """The curves that `jaxd2l diagnose` compares with, of more seeds: (seeds, epochs, 3)."""
    return seeds(curves_of(recipe).curves[variant])


def provenance_of_many(recipe: str, variant: str) -> str:
    """What made them, a place after another."""
    places = [made for made in curves_of(recipe).made if made["trainings"].get(variant)]
    told = [
        made["command"]
        if "device" not in made
        else f"{made['command']} on {made['device']}, jax {made['jax']}, {made['ended'][:10]} "
        f"(jaxd2l/diagnosis/curves/{recipe}.json)"
        for made in places
    ]
    return "; ".join(dict.fromkeys(told))
