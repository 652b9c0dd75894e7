"""The stored trainings are made one at a time, each kept at once, and are gone on with."""

import dataclasses
import json

import mistakes
import numpy as np
import pytest

from jaxd2l.data import Dataset, Examples
from jaxd2l.diagnosis import CAUSES, RECIPES
from jaxd2l.diagnosis.causes import ALIKE, TOLD_OF, compared


def test_what_is_made_is_what_has_words():
    names = {name for recipe in mistakes.RECIPES for name in mistakes.order_of(recipe)}
    assert names | set(ALIKE) == set(CAUSES)
    assert all(set(mistakes.order_of(recipe)) == set(compared(recipe)) for recipe in mistakes.RECIPES)
    assert set(RECIPES) <= set(mistakes.RECIPES)
    told = {
        other: name for recipe in RECIPES for name, one in mistakes.mistakes_of(recipe).items() for other in one.told
    }
    assert told == TOLD_OF


@pytest.mark.slow
def test_a_making_that_was_broken_off_goes_on(tmp_path, monkeypatch, capsys):
    draw = np.random.default_rng(0)
    part = Examples(draw.integers(0, 256, (300, 28, 28, 1), dtype=np.uint8), draw.integers(0, 10, 300, dtype=np.int32))
    small = dataclasses.replace(mistakes.jaxd2l.find("softmax"), epochs=2)
    monkeypatch.setattr(mistakes.jaxd2l, "load_data", lambda recipe: Dataset("small", part, part))
    monkeypatch.setattr(mistakes.jaxd2l, "find", lambda name: small)
    later = float("inf")
    assert mistakes.make("softmax", ["right", "weights_zero"], 2, 0.0, tmp_path) == [
        "softmax right: seeds 0 to 1",
        "softmax weights_zero: seeds 0 to 1",
    ]
    assert mistakes.make("softmax", ["right"], 1, later, tmp_path) == []
    first = (tmp_path / "softmax.json").read_text(encoding="utf-8")
    assert mistakes.make("softmax", ["right"], 1, later, tmp_path) == []
    assert (tmp_path / "softmax.json").read_text(encoding="utf-8") == first, "nothing was trained again"
    assert mistakes.make("softmax", ["right", "rate_zero"], 2, later, tmp_path) == []
    kept = json.loads((tmp_path / "softmax.json").read_text(encoding="utf-8"))
    assert list(kept["variants"]) == ["right", "told_after_the_epoch", "tested_on_training_set", "rate_zero"]
    assert kept["variants"]["right"]["0"] == json.loads(first)["variants"]["right"]["0"]
    assert [one["trainings"] for one in kept["made"]] == [{"right": [0, 1], "rate_zero": [0, 1]}]
    right, told, zero = (
        np.array(kept["variants"][name]["0"]) for name in ("right", "told_after_the_epoch", "rate_zero")
    )
    assert right.shape == (2, 3)
    assert (told[:, 0] != right[:, 0]).all()
    np.testing.assert_array_equal(told[:, 1], right[:, 2])  # training and test part are the same here
    np.testing.assert_array_equal(zero[0], zero[1])
