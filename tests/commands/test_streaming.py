"""When data are streamed by themselves, and what is said of it."""

import argparse

import numpy as np
import pytest

from jaxd2l.commands.asked.streaming import told_streaming, told_waiting
from jaxd2l.cost import cost
from jaxd2l.cost.budget import windows_alone
from jaxd2l.data import Dataset, Examples
from jaxd2l.recipes import find
from jaxd2l.train import EpochResult, Run

RECIPE = find("softmax")
PART = Examples(np.broadcast_to(np.uint8(0), (2_000_000, 28, 28, 1)), np.broadcast_to(np.int32(0), (2_000_000,)))
DATA = Dataset("large", PART, PART, tuple("abcdefghij"))
ASKED = argparse.Namespace(stream=True, workers=None)
UNASKED = argparse.Namespace(stream=False, workers=None)
RESIDENT, STREAMED = (cost(RECIPE, data).train.total for data in (DATA, windows_alone(RECIPE, DATA)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "free", "said"),
    [
        (UNASKED, None, None),
        (UNASKED, RESIDENT, None),
        (UNASKED, RESIDENT - 1, "are streamed"),
        (UNASKED, STREAMED, "are streamed"),
        (UNASKED, STREAMED - 1, None),  # no batch fits either way, which is said elsewhere
        (ASKED, RESIDENT, "streaming 2.94 GiB"),
    ],
)
def test_data_are_streamed_where_they_alone_do_not_fit(args, free, said):
    found = told_streaming(args, RECIPE, DATA, free, None)
    assert found is None if said is None else said in found


def test_the_reader_is_named_as_the_limit_where_training_waits_for_it():
    epoch = EpochResult(1, 1.0, 0.5, 1.0, 0.5, 100.0, 100.0)
    fast, slow = (Run(RECIPE, 0, None, (epoch,), 0.0, waited_seconds=waited) for waited in (10.0, 60.0))
    assert told_waiting("streaming", fast) == ["waited 10.0 s for data, 10% of the training"]
    assert told_waiting("streaming", slow)[0].endswith("60% of the training; the reader is the limit")
    assert told_waiting("streaming, decoded by 2 processes", slow)[0].endswith("more --workers or smaller pictures")
    assert told_waiting(None, slow) == []
