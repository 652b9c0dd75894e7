"""One run on many devices: what they exchange, that the numbers agree, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxd2l.selection.spread import divided_axis
from jaxd2l.train.mesh import collectives, data_mesh, local_devices, most_devices, nearest_batches, require_divisible


def _on_eight(programs, **asked):
    """What `eight_devices.py` tells in a process of its own, where there are 8 devices: all that is asked at once.

    What is asked is how programs are divided and that they agree, not how they compute; none is compiled twice.
    """
    program = [sys.executable, str(Path(__file__).parent / "eight_devices.py"), json.dumps(asked)]
    quickly = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_COMPILATION_CACHE_DIR": str(programs)}
    quickly["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    variables = {**os.environ, "NPROC": "2", **quickly}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# recipes at the smallest size that has all of their layers; of those below few blocks, see `eight_devices.SHALLOW`
IMAGES = {"lenet_bn": None, "nin": 67, "resnext50": 8}


@pytest.mark.slow
def test_on_eight_devices(tmp_path, subtests):
    """One process answers everything: it takes seconds to begin."""
    told = _on_eight(
        tmp_path / "programs",
        exchanges=[[name, size] for name, size in IMAGES.items()],
        agreement=[["data", "fsdp"]],
        parts=[[]],
        goes_on=[[str(tmp_path / "run")]],
        members=[["loop"]],
        refusals=[[]],
        commands=[[]],
    )
    for name, facts in zip(IMAGES, told["exchanges"], strict=True):
        with subtests.test("devices exchange the gradient once and never the batch", recipe=name):
            the_gradient_once_and_never_the_batch(facts)
    laws = {
        "agreement": eight_devices_train_as_one_does,
        "parts": parameters_in_parts_take_the_memory_that_is_foreseen,
        "goes_on": a_run_goes_on_on_other_devices,
        "members": devices_share_members,
        "refusals": what_cannot_be_divided_is_refused,
        "commands": the_command_takes_as_many_devices_as_the_batch_can_be_divided_over,
    }
    for name, law in laws.items():
        with subtests.test(law.__name__.replace("_", " ")):
            law(*told[name])


def the_gradient_once_and_never_the_batch(facts):
    """Of the compiled step on CPU, and of the step as exported for CUDA once XLA has divided it.

    Batch normalisation reduces a few numbers a channel for mean, variance and their two gradients beside it.
    """
    for platform in ("cpu", "cuda"):
        found = facts[platform]
        assert {kind for kind, *_ in found} == {"all-reduce"}, platform
        assert 1 <= len(found) <= 1 + 4 * facts["norms"], platform
        whole, sent = 4 * facts["parameters"], sum(size for _, size, *_ in found)
        assert whole <= sent <= 1.05 * whole + 8 * 4 * facts["statistics"] + 4096, platform


def eight_devices_train_as_one_does(apart):
    """In float64 over an epoch with batch statistics, dropout and augmentation: but for the order of sums."""
    assert max(apart.values()) < 1e-12, apart


def parameters_in_parts_take_the_memory_that_is_foreseen(told):
    for _, resident, foreseen, *_ in told.values():
        assert foreseen <= resident <= 1.05 * foreseen + 4096
    (_, whole, *_), (exchanged, part, _, reduced, gathered) = told.values()
    assert part < whole / 6
    assert sorted({kind for kind, *_ in exchanged}) == ["all-gather", "all-reduce"]
    for kind, bytes_of_all in (("all-reduce", reduced), ("all-gather", gathered)):
        assert bytes_of_all <= sum(size for k, size, *_ in exchanged if k == kind) <= 1.05 * bytes_of_all + 4096, kind


def a_run_goes_on_on_other_devices(facts):
    assert len(facts["stops"]) == 2
    assert facts["apart"] < 1e-5
    assert facts["used"] == facts["placed"] == 8
    assert facts["differing"] == [["devices_used: 8, now 1"], []]
    assert len(facts["warnings"]) == 1
    assert "devices_used: 8, now 1" in facts["warnings"][0]


def devices_share_members(facts):
    """Those of a sweep, and those of K-fold validation."""
    assert facts["sweep"] < 1e-5
    assert facts["kfold"] < 1e-4
    assert [said[:3] for said in facts["said"]] == [["loop", 1, 1], ["loop", 4, 1]]
    assert facts["said"][1][3].startswith("a loop over 4 members at a time, one a device")


def what_cannot_be_divided_is_refused(told):
    assert told["indivisible"] == (
        "a batch of 20 cannot be divided over 8 devices; the nearest batch sizes that can are 16 and 24, "
        "and it can be over 5 devices"
    )
    assert "a batch of 16 in 4 pieces" in told["pieces"]
    assert "the nearest batch size that can is 32, and it can be over 4 devices" in told["pieces"]
    assert "got the axes data, model" in told["two axes"]
    assert "got none" in told["none"]
    assert "different devices" in told["twice"]


def the_command_takes_as_many_devices_as_the_batch_can_be_divided_over(told):
    code, out, _, made = told["default"]
    assert (code, made) == (0, True)
    assert "batch 20 on 5 of the 8 devices here, 4 rows on each; one of 16 or 24 can be divided over all" in out
    assert "5 devices, cpu" in told["check"]
    assert [told[name][0] for name in ("all", "nine")] == [2, 2]
    assert not any(told[name][3] for name in ("all", "nine"))
    assert "a batch of 20 cannot be divided over 8 devices" in told["all"][2]
    assert "--devices 9: there are 8 cpu devices here; JAX_NUM_CPU_DEVICES=9 simulates" in told["nine"][2]


@pytest.mark.parametrize(
    ("sizes", "devices", "cut"),
    [((4, 3), 8, (0, 4)), ((5, 2, 18), 8, (2, 6)), ((5, 2, 18), 5, (0, 5)), ((1, 1), 8, (0, 1)), ((7, 13), 2, (0, 1))],
)
def test_members_are_cut_along_the_axis_that_gives_most_devices_an_equal_part(sizes, devices, cut):
    assert divided_axis(sizes, devices) == cut


def test_the_default_device_alone_is_no_mesh():
    assert data_mesh(None) is None
    assert data_mesh(local_devices()[:1]) is None


@pytest.mark.parametrize("batch_size", range(1, 40))
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_batches_that_are_named_can_be_divided(batch_size, accumulate):
    unit = 4 * accumulate
    near = nearest_batches(4, batch_size, accumulate)
    assert all(size % unit == 0 and abs(size - batch_size) < unit for size in near)
    assert (near == [batch_size]) == (batch_size % unit == 0)
    used = most_devices(4, batch_size, accumulate)
    assert used == 1 or batch_size % (used * accumulate) == 0
    if near == [batch_size]:
        require_divisible(4, 100, batch_size, accumulate)
        assert used == 4
    else:
        with pytest.raises(ValueError, match=f"batch of {batch_size} .*{near[-1]}"):
            require_divisible(4, 100, batch_size, accumulate)


def test_exchanges_are_read_off_a_program():
    text = """
  %all-reduce.1 = (f32[5,5,1,6]{3,2,1,0}, bf16[16]{0}, /*index=2*/f32[]) all-reduce(%a, %b, %c), channel_id=1
  %all-gather.1 = u8[14400,1]{1,0} all-gather(%d), channel_id=9
  ROOT %ag = (s32[2]{0}, s32[16]{0}) all-gather-start(%e)
  %add = f32[3]{0} add(%all-reduce.1, %f)
"""
    assert collectives(text) == [
        ("all-reduce", 636, 150, 3),
        ("all-gather", 14400, 14400, 1),
        ("all-gather", 72, 16, 2),
    ]
