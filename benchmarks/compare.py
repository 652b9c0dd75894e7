"""jaxd2l and its peers side by side: the same weights, rows and images, one round each in turn.

    python benchmarks/compare.py lenet mlp --torch-python ~/torch/bin/python
    python benchmarks/compare.py alexnet:16 --steps 2 --rounds 3 --torch-python ~/torch/bin/python
    python benchmarks/compare.py lenet_bn --peers "jaxd2l bfloat16" "torch bfloat16" --torch-python ~/torch/bin/python

A recipe may carry a batch size after a colon. Prints the ratio of times, peer / jaxd2l (above 1: jaxd2l is faster), as
the median over rounds with the least and the largest, and writes benchmarks/results/<device>-<date>.json, where a CPU
is named with its widest vectors. A peer that is not installed, or computes something else, is reported as such. The
load of the machine is written down: a ratio taken while others compute means little, most of all for PyTorch, whose
threads wait by spinning.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import psutil
from peers.driver import TOLERANCE, Peer, same_work, write_task

from jaxd2l.machine.processor import model_name, vector_instructions, visible_cores
from jaxd2l.recipes import find

HERE = Path(__file__).resolve().parent
PEERS = ["jax loop", "torch eager", "torch.compile", "keras"]
NARROW = ["jaxd2l bfloat16", "torch bfloat16"]  # PyTorch's by autocast
NARROW_TOLERANCE = 0.02  # of their losses, where bfloat16 rounds to 2^-9


def peers(arguments, folder):
    """Names and commands; a name without a command is reported as not installed."""
    here, torch_python, keras_python = sys.executable, arguments.torch_python, arguments.keras_python
    commands = {
        "jaxd2l": [here, HERE / "peers" / "jaxd2l_scan.py", folder],
        "jax loop": [here, HERE / "peers" / "jax_loop.py", folder],
        "torch eager": torch_python and [torch_python, HERE / "peers" / "torch_peer.py", folder],
        "torch.compile": torch_python and [torch_python, HERE / "peers" / "torch_peer.py", folder, "compile"],
        "jaxd2l bfloat16": [here, HERE / "peers" / "jaxd2l_scan.py", folder, "bfloat16"],
        "torch bfloat16": torch_python and [torch_python, HERE / "peers" / "torch_peer.py", folder, "eager-bfloat16"],
        "keras": keras_python and [keras_python, HERE / "peers" / "keras_peer.py", folder],
    }
    return {name: command for name, command in commands.items() if name == "jaxd2l" or name in arguments.peers}


def compare(name, batch, arguments):
    """One recipe: a dictionary for the results file."""
    recipe = find(name)
    batch = batch or recipe.batch_size
    with tempfile.TemporaryDirectory() as folder:
        write_task(Path(folder), recipe, batch, arguments.steps, arguments.rounds)
        found, running = {}, []
        for peer_name, command in peers(arguments, folder).items():
            if not command:
                found[peer_name] = {"failure": "not installed: give its interpreter"}
                continue
            running.append(Peer(peer_name, command).wait())
        for i in range(arguments.rounds + 1):
            for peer in running:
                peer.train(i)
        for peer in running:
            peer.end()
    ours = running[0]
    if ours.failure:
        raise SystemExit(f"jaxd2l itself failed on {name}: {ours.failure}")
    for peer in running:
        found[peer.name] = {"failure": peer.failure} if peer.failure else summary(name, peer, ours, arguments.steps)
    return {
        "recipe": name,
        "batch_size": batch,
        "steps": arguments.steps,
        "rounds": arguments.rounds,
        "load": psutil.getloadavg(),
        "peers": found,
    }


def summary(name, peer, ours, steps):
    """Times and ratios over the rounds after the first, and whether it did the same work."""
    seconds, base = ([r["seconds"] for r in p.rounds[1:]] for p in (peer, ours))
    processor, processor_base = ([r["processor_seconds"] for r in p.rounds[1:]] for p in (peer, ours))
    ratios = [a / b for a, b in zip(seconds, base, strict=True)]
    ready, base_ready = ((p.ready["parameters"], p.ready["first_loss"]) for p in (peer, ours))
    losses = peer.rounds[0]["loss"], ours.rounds[0]["loss"]
    tolerance = NARROW_TOLERANCE if peer.name in NARROW else TOLERANCE
    return {
        "same_work": same_work(name, ready, base_ready, losses, tolerance),
        "parameters": peer.ready["parameters"],
        "first_loss": peer.ready["first_loss"],
        "loss_of_first_round": peer.rounds[0]["loss"],
        "ms_a_step": 1e3 * statistics.median(seconds) / steps,
        "ms_a_step_min": 1e3 * min(seconds) / steps,
        "processor_ms_a_step": 1e3 * statistics.median(processor) / steps,
        "ratio": statistics.median(seconds) / statistics.median(base),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "processor_ratio": statistics.median(processor) / statistics.median(processor_base),
        "compile_seconds": peer.ready["compile_seconds"],
        "start_seconds": peer.start_seconds,
        "peak_mb": peer.rounds[-1]["peak_mb"],
        "versions": peer.ready["versions"],
    }


def show(result):
    """The table of one recipe."""
    what = f"batch {result['batch_size']}, {result['rounds']} rounds of {result['steps']} steps"
    print(f"\n{result['recipe']}, {what}, load {result['load'][0]:.1f}")
    print(f"{'':16} {'ms/step':>9} {'ratio':>6} {'min':>6} {'max':>6} {'cpu':>6} {'compile s':>9} {'peak MB':>8} same")
    for name, row in result["peers"].items():
        if row.get("failure"):
            print(f"{name:16} {row['failure']}")
            continue
        print(
            f"{name:16} {row['ms_a_step']:9.2f} {row['ratio']:6.2f} {row['ratio_min']:6.2f} {row['ratio_max']:6.2f} "
            f"{row['processor_ratio']:6.2f} {row['compile_seconds']:9.1f} {row['peak_mb']:8.0f}  "
            f"{'yes' if row['same_work'] else 'NO'}"
        )


def first_epoch(name):
    """Seconds from the shell to the end of one epoch with its evaluation, without and with compiled programs kept."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        for when in ("cold", "warm"):
            out = str(Path(folder) / f"run-{when}")
            command = [
                sys.executable,
                "-m",
                "jaxd2l",
                "train",
                name,
                "--epochs",
                "1",
                "--quiet",
                "--no-report",
                "--out",
                out,
            ]
            began = time.perf_counter()
            subprocess.run(command, check=True, env=environment, capture_output=True)
            seconds[when] = time.perf_counter() - began
    return seconds


def save(results):
    """Everything measured, with what it was measured on; the path written.

    Results of the same day and kind of device stay in the file unless the same recipe and batch were measured again.
    """
    device = re.sub(r"[^a-z0-9]+", "-", jax.devices()[0].device_kind.lower()).strip("-")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout
    record = {
        "device": jax.devices()[0].device_kind,
        "processor": model_name(),
        "cores": visible_cores(),
        "python": platform.python_version(),
        "commit": commit.strip(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    path = HERE / "results" / f"{'-'.join([device, *vectors()])}-{record['date'][:10]}.json"
    path.parent.mkdir(exist_ok=True)
    earlier = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    new = {(r["recipe"], r["batch_size"]) for r in results}
    record["results"] = [r for r in earlier if (r["recipe"], r["batch_size"]) not in new] + results
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8", newline="\n")
    return path


def vectors():
    """The widest vectors of a processor, by the name of their instructions; [] on another device or where unknown."""
    known = vector_instructions().split() if jax.devices()[0].platform == "cpu" else []
    return [name for name in ("avx512f", "avx2", "asimd") if name in known][:1]


def main():
    """Read the command line, compare, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", metavar="RECIPE[:BATCH]")
    parser.add_argument("--steps", type=int, default=40, help="updates a round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds after the first, which warms up")
    parser.add_argument(
        "--peers", nargs="*", default=PEERS, choices=PEERS + NARROW, metavar="PEER", help=", ".join(PEERS + NARROW)
    )
    parser.add_argument("--torch-python", help="interpreter that has PyTorch and NumPy")
    parser.add_argument("--keras-python", help="interpreter that has Keras 3, JAX and NumPy")
    parser.add_argument("--first-epoch", action="store_true", help="also time the first epoch from the shell")
    arguments = parser.parse_args()
    results = []
    if psutil.getloadavg()[0] > 0.5:
        print(f"the machine is busy (load {psutil.getloadavg()[0]:.1f}): ratios will wander", file=sys.stderr)
    for recipe in arguments.recipes:
        name, _, batch = recipe.partition(":")
        results.append(compare(name, int(batch or 0), arguments))
        if arguments.first_epoch:
            results[-1]["first_epoch_seconds"] = first_epoch(name)
        show(results[-1])
        path = save(results)
    print(f"\n{path}")


if __name__ == "__main__":
    main()
