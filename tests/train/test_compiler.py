import dataclasses
import platform

import jax
import numpy as np
import psutil
import pytest

from jaxd2l import kept
from jaxd2l.data import Dataset, Examples
from jaxd2l.machine.compiling import compile_each
from jaxd2l.nn.models import VGG
from jaxd2l.recipes import find
from jaxd2l.train import compiler, fit, program

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _forget():
    compiler.compiler_options.cache_clear()
    yield
    compiler.compiler_options.cache_clear()


def _data():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (64, 28, 28, 1)).astype(np.uint8), rng.integers(0, 10, 64).astype(np.int32)
    return Dataset("noise", Examples(x, y), Examples(x[:32], y[:32]))


def _recipe():
    return dataclasses.replace(
        find("vgg11"), model=VGG(((1, 24), (1, 24)), dense_features=()), image_size=28, epochs=2, batch_size=16
    )


def test_options_are_those_that_this_build_takes_and_make_the_epoch_call_onednn():
    options = compiler.compiler_options()
    compiled = program.compile_program(_recipe(), _data())
    assert ("onednn" in compiled.epoch.as_text()) == (options is not None)


def test_a_network_of_matrix_products_is_compiled_without_options_and_so_can_be_kept():
    compiled = program.compile_program(dataclasses.replace(find("lenet"), batch_size=16), _data())
    assert "onednn" not in compiled.epoch.as_text()


def test_an_option_that_xla_does_not_know_means_no_options(monkeypatch):
    monkeypatch.setattr(compiler, "_ONEDNN", {"xla_cpu_no_such_option": True})
    assert compiler.compiler_options() is None


def test_no_options_for_another_device(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiler.compiler_options() is None


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


def test_training_with_options_repeats_bit_for_bit_and_agrees_with_training_without_to_float32(
    compiled_anew, monkeypatch
):
    usual = fit(_recipe(), _data(), seed=0, with_test=False)
    kept.forget()
    again = fit(_recipe(), _data(), seed=0, with_test=False)
    for ours, theirs in zip(jax.tree.leaves(usual.state.params), jax.tree.leaves(again.state.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    monkeypatch.setattr(compiler, "compiler_options", lambda platform: None)
    plain = fit(_recipe(), _data(), seed=0, with_test=False)
    for ours, theirs in zip(jax.tree.leaves(usual.state.params), jax.tree.leaves(plain.state.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
