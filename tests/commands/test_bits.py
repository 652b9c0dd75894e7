"""What decides bits belongs to the run: a run that goes on has the bits of the unbroken one, or a word says why not."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.machine import conditions
from jaxd2l.report.console import Console
from jaxd2l.train import run_keys

REPOSITORY = Path(__file__).parent.parent.parent
LINEAR = ["train", "linear", "--no-report", "--checkpoint-every", "0", "--quiet"]
CHANGED = [
    {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_THREEFRY_PARTITIONABLE": "0"},
    {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "JAX_RANDOM_SEED_OFFSET": "1"},
    {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2", "NPROC": "1"},
]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert main([*LINEAR, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Console,
            "progress",
            lambda self, what, done, total: (
                signal.raise_signal(signal.SIGTERM) if (self._epoch, what) == (2, "train") else None
            ),
        )
        assert main([*LINEAR, "--out", str(folder)]) == 75
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("changed", CHANGED, ids=lambda changed: " ".join(changed))
def test_a_run_goes_on_with_equal_bits_or_a_word(changed, stopped, unbroken, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    program = [sys.executable, "-m", "jaxd2l", *LINEAR, "--resume", "--out", str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, **changed}, check=True)
    weights = (folder / "weights.safetensors").read_bytes()
    told = "under other conditions" in done.stderr
    assert told or weights == (unbroken / "weights.safetensors").read_bytes()
    if told:
        assert any(f"{name.lower()}: " in done.stderr.lower() for name in changed), "with the setting's name"
        assert main(["check", str(folder)]) == 0
        assert "went on under other conditions" in capsys.readouterr().out


@pytest.mark.slow
def test_under_the_same_conditions_there_is_no_word(stopped, unbroken, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    assert main([*LINEAR, "--resume", "--out", str(folder)]) == 0
    assert capsys.readouterr().err == ""
    assert (folder / "weights.safetensors").read_bytes() == (unbroken / "weights.safetensors").read_bytes()


@pytest.mark.slow
def test_check_says_before_going_on_what_is_different_here(stopped, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    monkeypatch.setenv("NPROC", "3")
    assert main(["check", str(folder)]) == 0
    assert "NPROC: unset, now 3" in capsys.readouterr().out


@pytest.mark.slow
def test_a_record_of_before_these_conditions_were_kept_is_resumed_and_checked(stopped, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    record = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    for name in ("settings", "variables", "processor", "instructions"):
        del record[name]
    (folder / "environment.json").write_text(json.dumps(record), encoding="utf-8")
    assert main(["check", str(folder)]) == 0
    assert main([*LINEAR, "--resume", "--out", str(folder)]) == 0
    assert capsys.readouterr().err == ""


def test_every_setting_of_jax_is_recorded_or_known_to_be_neutral():
    settings = run_folder.conditions()["settings"]
    for name in (
        "jax_enable_x64",
        "jax_threefry_partitionable",
        "jax_default_matmul_precision",
        "jax_random_seed_offset",
    ):
        assert name in settings
    for name in ("jax_use_hlo_logistic_lowering", "jax_softmax_custom_jvp", "jax_numpy_dtype_promotion"):
        assert name in settings
    assert not [n for n in jax.config.values if n not in settings and not conditions._NEUTRAL.search(n)]
    json.dumps(settings)


@pytest.mark.slow
def test_the_generator_of_a_run_is_ours_whatever_the_process_prefers():
    usual = [jax.random.key_data(key) for key in run_keys(3)]
    with jax.default_prng_impl("rbg"):
        other = [jax.random.key_data(key) for key in run_keys(3)]
    assert all((a == b).all() for a, b in zip(usual, other, strict=True))


@pytest.mark.parametrize(
    ("began", "now", "said"),
    [
        ({"jax": "1"}, {"jax": "2"}, ["jax: 1, now 2"]),
        ({"instructions": "avx avx2"}, {"instructions": "avx fma"}, ["instructions: -avx2 +fma"]),
        ({"variables": {}}, {"variables": {"NPROC": "1"}}, ["NPROC: unset, now 1"]),
        ({"settings": {"gone": 1}}, {"settings": {"new": 2}}, []),
        ({}, {"jax": "2", "settings": {"a": 1}}, []),
        ({"settings": "damaged"}, {"settings": {}}, []),
    ],
)
def test_differences_name_both_values(began, now, said):
    assert run_folder.differences(began, now) == said
