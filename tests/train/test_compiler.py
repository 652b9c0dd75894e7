import dataclasses
import platform

import jax
import numpy as np
import psutil
import pytest
from jax.experimental.serialize_executable import serialize

from jaxd2l import kept
from jaxd2l.data import Dataset, Examples
from jaxd2l.machine.compiling import compile_each
from jaxd2l.nn.models import VGG
from jaxd2l.recipes import find
from jaxd2l.train import fit, program

pytestmark = pytest.mark.slow


def _data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (64, 28, 28, 1)).astype(np.uint8), rng.integers(0, 10, 64).astype(np.int32)
    return Dataset("noise", Examples(x, y), Examples(x[:32], y[:32]))


def _recipe():
    return dataclasses.replace(
        find("vgg11"), model=VGG(((1, 24), (1, 24)), dense_features=()), image_size=28, epochs=2, batch_size=16
    )


def test_a_program_that_convolves_can_be_written_down_and_so_be_kept():
    compiled = program.compile_program(_recipe(), _data())
    assert "convolution" in compiled.epoch.as_text()
    content, *_ = serialize(compiled.epoch)  # raises where XLA calls a library that has no words for it
    assert content


def _lowerings(*steps):
    """Programs that add a number, each made when it is asked for; or an error at once."""
    for number in steps:
        if isinstance(number, Exception):
            raise number
        yield f"add {number}", jax.jit(lambda x, number=number: x + number).lower(np.float32(0)), None


def test_programs_are_compiled_beside_the_tracing_of_others_by_their_names():
    compiled = compile_each(_lowerings(1, 2, 3))
    assert {name: float(add(np.float32(10))) for name, add in compiled.items()} == {
        "add 1": 11,
        "add 2": 12,
        "add 3": 13,
    }
    assert compile_each(_lowerings()) == {}


def test_memory_freed_while_compiling_goes_back_to_the_system():
    """Small pieces below one that is still in use, as compiling leaves them; only glibc keeps them and can let go."""

    def resident():
        return psutil.Process().memory_info().rss

    def lowerings():
        pieces = [bytes(2_000) for _ in range(100_000)]
        holes.append(resident())
        last.append(pieces.pop())
        pieces.clear()
        yield "add", jax.jit(lambda x: x + 1).lower(1.0), None

    holes, last = [], []
    assert set(compile_each(lowerings())) == {"add"}
    if platform.libc_ver()[0] == "glibc":
        assert resident() < holes[0] - 100_000_000


def test_an_error_of_tracing_or_compiling_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        compile_each(_lowerings(1, ZeroDivisionError(), 2))
    lowered = jax.jit(lambda x: x + 1).lower(np.float32(0))
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        compile_each([("one", lowered, None), ("two", lowered, {"xla_cpu_no_such_option": True})])


def test_training_repeats_bit_for_bit_when_compiled_again(compiled_anew):
    usual = fit(_recipe(), _data(), seed=0, with_test=False)
    kept.forget()
    again = fit(_recipe(), _data(), seed=0, with_test=False)
    for ours, theirs in zip(jax.tree.leaves(usual.state.params), jax.tree.leaves(again.state.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)
