"""The tuned recipes are what was measured, and what is measured is what they say."""

import json

import numpy as np
import pytest
import tuned

import jaxd2l
from jaxd2l.catalogue import TUNED

KEPT = json.loads(tuned.OUT.read_text(encoding="utf-8"))


def test_the_last_step_of_the_ladder_is_the_recipe():
    last = tuned.ladder()[[*tuned.STEPS][-1]]
    found = jaxd2l.find("lenet_tuned")
    assert (last.model, last.settings()) == (found.model, found.settings())
    assert {last.parameters, jaxd2l.find("lenet").parameters} == {61_706}


def test_every_training_has_its_seeds_and_was_made_with_these_settings():
    assert set(KEPT) == set(tuned.trainings())
    for words, recipe in tuned.trainings().items():
        assert KEPT[words]["settings"] == json.loads(json.dumps({**recipe.settings(), "model": repr(recipe.model)}))
        assert set(KEPT[words]["seeds"]) == {str(seed) for seed in range(tuned.SEEDS)}
        assert all(len(one["epochs"]) == recipe.epochs for one in KEPT[words]["seeds"].values())


@pytest.mark.parametrize("name", TUNED)
def test_published_figures_are_the_means_of_the_stored_seeds(name):
    words = {"lenet_tuned": [*tuned.STEPS][-1], "convnet": "convnet"}[name]
    (published,) = TUNED[name].published
    means = np.mean(tuned.finished(tuned.OUT)[words], axis=0)
    assert published[1:] == tuple(round(float(mean), 3) for mean in means)
