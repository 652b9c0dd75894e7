"""`--devices`, `--dist` and what belongs to them: on how many devices and processes to run."""

import argparse

from jaxd2l.cli.options import integer

DISTRIBUTED = ("none", "auto", "mpi4py")


def number_of_devices(text: str) -> int | str:
    """A number of at least 1, or "all"; argparse's one-line error for anything else."""
    if text == "all":
        return text
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of devices from 1 on, or all, got {text!r}")
    return int(text)


def add_shard_option(parser: argparse._ActionsContainer) -> None:
    """Whether each device holds a part of the parameters only."""
    parser.add_argument(
        "--shard-parameters",
        action="store_true",
        help="divide large kernels and what the optimizer keeps of them over the devices too (ZeRO, FSDP): less memory "
        "on each, the same numbers, and each step they ask each other for the kernels",
    )


def add_devices_option(parser: argparse._ActionsContainer, what: str) -> None:
    """Over how many devices to spread `what`."""
    parser.add_argument("--devices", type=number_of_devices, metavar="N|all", help=what)


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """How several processes, of one machine or many, become one run."""
    group = parser.add_argument_group(
        "several processes and machines (default: one process)",
        "the same command in every process; each takes all devices that it sees, the first one writes and prints",
    )
    group.add_argument(
        "--dist",
        choices=DISTRIBUTED,
        default="none",
        help="auto: as Slurm, Open MPI's mpirun, a TPU pod or Kubernetes started it, or as JAX_COORDINATOR_ADDRESS, "
        "JAX_NUM_PROCESSES and JAX_PROCESS_ID say; mpi4py: as another MPI did",
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens, on that address alone")
    group.add_argument("--num-processes", type=integer, metavar="N", help="how many there are")
    group.add_argument("--process-id", type=integer, metavar="I", help="which one this is, from 0 on")
