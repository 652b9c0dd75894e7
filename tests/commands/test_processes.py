"""Where a process stands among others, by options and variables; and two processes as one command."""

import socket

import pytest

from jaxd2l.commands.asked.processes import Place, _require_bindable, local_devices_of, place_of

KUBEFLOW = {"JAX_COORDINATOR_ADDRESS": "trainer-0:1234", "JAX_NUM_PROCESSES": "3", "JAX_PROCESS_ID": "2"}
OLDER = {"COORDINATOR_ADDRESS": "worker-0", "COORDINATOR_PORT": "6666", "NUM_PROCESSES": "3", "PROCESS_ID": "0"}


@pytest.mark.parametrize(
    ("given", "variables", "found"),
    [
        (Place("node1:12355", 2, 1), {}, Place("node1:12355", 2, 1)),
        (Place("[fe80::1]:12355", 2, 0), {}, Place("[fe80::1]:12355", 2, 0)),
        (Place(), KUBEFLOW, Place("trainer-0:1234", 3, 2)),
        (Place(), OLDER, Place("worker-0:6666", 3, 0)),
        (Place(process=1), KUBEFLOW, Place("trainer-0:1234", 3, 1)),
        (Place("node1:12355", 2, 1), KUBEFLOW, Place("node1:12355", 2, 1)),
        (Place(), {"JAX_COORDINATOR_ADDRESS": "node1:12355"}, Place()),  # of an engine that JAX knows
        (Place(), {}, Place()),
    ],
)
def test_options_come_before_variables(given, variables, found):
    assert place_of(given, variables) == found


@pytest.mark.parametrize(
    ("given", "variables", "said"),
    [
        (Place("node1:12355", 2, None), {}, "name all of --coordinator"),
        (Place(None, 2, 0), {}, "name all of --coordinator"),
        (Place("node1", 2, 0), {}, "HOST:PORT"),
        (Place(":12355", 2, 0), {}, "HOST:PORT"),
        (Place("node1:port", 2, 0), {}, "HOST:PORT"),
        (Place("node1:99999", 2, 0), {}, "HOST:PORT"),
        (Place("node1:12355", 2, 2), {}, "got 2 of 2"),
        (Place("node1:12355", 0, 0), {}, "got 0 of 0"),
        (Place("node1:12355", 2, -1), {}, "got -1 of 2"),
        (Place(), {**KUBEFLOW, "JAX_PROCESS_ID": "two"}, "JAX_PROCESS_ID must be a number"),
    ],
)
def test_a_place_that_is_none_is_refused(given, variables, said):
    with pytest.raises(ValueError, match=said):
        place_of(given, variables)


def _slurm(tasks, node, rank, **others):
    return {"SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_NODEID": node, "SLURM_LOCALID": rank, **others}


@pytest.mark.parametrize(
    ("variables", "taken"),
    [
        ({}, []),
        (_slurm("1(x2)", "1", "0", CUDA_VISIBLE_DEVICES="0,1,2,3"), []),
        (_slurm("4(x2)", "1", "3", CUDA_VISIBLE_DEVICES="0,1,2,3"), [3]),
        (_slurm("1,2", "1", "1", CUDA_VISIBLE_DEVICES="0,1,2,3"), [2, 3]),
        (_slurm("4", "0", "3", CUDA_VISIBLE_DEVICES="0"), []),  # each is shown its own
        (_slurm("2", "0", "1", CUDA_VISIBLE_DEVICES="0,1", SLURM_GPUS_PER_TASK="2"), []),
        (_slurm("4(x2)", "1", "3"), None),
        (_slurm("1", "0", "0", JAX_LOCAL_DEVICE_IDS="1"), None),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}, []),
        (
            {"OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,5,6,7"},
            [2, 3],
        ),
    ],
)
def test_every_device_of_a_machine_is_some_process_s(variables, taken):
    assert local_devices_of(variables) == taken


def test_an_address_that_is_taken_or_another_machine_s_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", "192.0.2.1:12355"):
            with pytest.raises(ValueError, match=f"process 0 cannot listen on {address}"):
                _require_bindable(address)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    _require_bindable(address)
