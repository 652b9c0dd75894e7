"""Everything that is worth knowing of a GPU in one call of a few minutes: right, repeatable, fast, and what it learns.

    python benchmarks/gpu.py                      # all of it, at most 540 seconds
    python benchmarks/gpu.py --recipes lenet resnet18 --train lenet --seconds 300
    python benchmarks/gpu.py --tiny               # the same parts on a CPU, as the tests run it

Needs jax, flax, optax and NumPy; PyTorch where the same interpreter has it. It writes one JSON,
benchmarks/results/<device>-<date>.json, with

- parity: loss, predictions and gradient of every network against the CPU in float32, products in full precision
- determinism: whether two processes under `--xla_gpu_deterministic_ops=true` end with the same weights
- inside_an_epoch: programs compiled and arrays read back while an epoch runs, which must be none
- speed: milliseconds a step of every recipe in float32 and bfloat16 beside PyTorch eager and `torch.compile`
- profile: the kernels that the largest network spends its time in
- training: the book's recipes for all their epochs, with seconds and figures

What does not fit into the time is named under `missing`. Whatever compiles runs side by side first; whatever is timed
runs alone after it.
"""

import argparse
import dataclasses
import datetime
import functools
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRECISIONS = ("float32", "bfloat16")
TORCH_MODES = ("eager", "compile", "eager-bfloat16", "compile-bfloat16")
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
GRADIENT = 2e-2  # a ReLU or a maximum on the other side of its edge moves the gradient; without one it is 1e-5
OUTPUTS = 1e-3


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much each part does."""

    recipes: tuple[str, ...]
    train: tuple[str, ...]
    steps: int = 20
    rounds: int = 5
    batch: int | None = None
    rows: int | None = None
    epochs: int = 10
    profiled: str = "resnet50"


def tiny():
    """So little that a CPU does it within a test."""
    return Sizes(("mlp",), ("softmax",), 2, 1, 8, 64, 1, "mlp")


# --- parts, each in a process of its own -----------------------------------------------------------------------------


def parity(sizes):
    """Every network on this device against the CPU: the same weights, images and dropout masks."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxd2l.data import load
    from jaxd2l.nn.loss import cross_entropy
    from jaxd2l.recipes import find

    device, cpu = jax.devices()[0], jax.devices("cpu")[0]
    images, labels = load("fashion_mnist").train

    def results(recipe, params, stats, x, y):
        def loss_of(params):
            variables, rngs = {"params": params, "batch_stats": stats}, {"dropout": jax.random.key(1)}
            out, updated = recipe.model.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])
            return jnp.mean(cross_entropy(out, y)), (out, updated)

        (loss, (out, updated)), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
        return {"loss": loss, "outputs": out, "statistics": updated, "gradient": gradient}

    def differences(name):
        recipe = find(name)
        batch = sizes.batch or (2 if recipe.image_size > 96 else 4)
        with jax.default_device(cpu), jax.default_matmul_precision("highest"):
            x = recipe.prepare()(jnp.asarray(images[:batch]))
            variables = jax.jit(functools.partial(recipe.model.init, train=False))(jax.random.key(0), x)
            given = (variables["params"], variables.get("batch_stats", {}), x, jnp.asarray(labels[:batch]))
            on = {}
            for where in (cpu, device):
                put = jax.device_put(given, where)
                on[where] = jax.device_get(jax.jit(functools.partial(results, recipe))(*put))
        found = {}
        for part in on[cpu]:
            there, here = (
                np.concatenate([np.ravel(a).astype(np.float64) for a in jax.tree.leaves(on[where][part])] or [[0.0]])
                for where in (device, cpu)
            )
            found[part] = float(np.linalg.norm(there - here) / max(np.linalg.norm(here), 1e-30))
        found["equal"] = found["gradient"] < GRADIENT and max(found["loss"], found["outputs"]) < OUTPUTS
        return found

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        return dict(zip(sizes.recipes, pool.map(_tried(differences), sizes.recipes), strict=True))


def inside_an_epoch(sizes):
    """What is compiled or read back while a compiled epoch runs; every argument is on the device before."""
    import jax
    import numpy as np

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )

    def count(name):
        program, given = _first_epoch(name, sizes)
        before = len(compiled)
        with jax.transfer_guard("disallow"):
            _, record = jax.block_until_ready(program.epoch(*given))
        steps = program.train_steps
        return {"steps": steps, "compiled": len(compiled) - before, "finite": bool(np.isfinite(record.loss).all())}

    return {name: _tried(count)(name) for name in sizes.recipes[:2]}


def profile(sizes):
    """Milliseconds a step in each kernel of one epoch of the largest network, the longest first."""
    import jax

    program, given = _first_epoch(sizes.profiled, sizes)
    steps = program.train_steps
    state, record = program.epoch(*given)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(program.epoch(state, record, *given[2:]))
        traces = sorted(Path(folder).rglob("*.trace.json.gz"))
        events = json.loads(gzip.decompress(traces[0].read_bytes()))["traceEvents"] if traces else []
    processes = {e["pid"]: e["args"]["name"] for e in events if e.get("name") == "process_name"}
    device = {pid for pid, name in processes.items() if "GPU" in name or "TPU" in name} or set(processes)
    total = {}
    for event in events:
        if event.get("ph") == "X" and event.get("pid") in device:
            total[event["name"]] = total.get(event["name"], 0.0) + event["dur"] / 1e3 / steps
    longest = sorted(total.items(), key=lambda item: -item[1])[:20]
    return {"recipe": sizes.profiled, "steps": steps, "ms_a_step": {name[:120]: round(ms, 4) for name, ms in longest}}


def weights(sizes):
    """Digests of the weights after a short training: two processes have to agree."""
    import jax
    import numpy as np

    from jaxd2l.train import fit

    digests = {}
    for name in sizes.recipes[-2:]:
        recipe, data = _recipe_and_data(name, sizes)
        done = fit(dataclasses.replace(recipe, epochs=1), data, seed=0)
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves((done.state.params, done.state.batch_stats)):
            digest.update(np.ascontiguousarray(leaf))
        digests[name] = digest.hexdigest()
    return digests


def training(sizes):
    """The book's recipes as `jaxd2l train` runs them."""
    from jaxd2l.data import Examples, load
    from jaxd2l.recipes import find
    from jaxd2l.train import fit

    def run(name):
        recipe = find(name)
        recipe = dataclasses.replace(recipe, epochs=sizes.epochs, batch_size=sizes.batch or recipe.batch_size)
        data = load(recipe.dataset)
        if sizes.rows:
            data = data._replace(train=Examples(*(a[: sizes.rows] for a in data.train)))
        began = time.perf_counter()
        done = fit(recipe, data, seed=0)
        return {
            "seconds": time.perf_counter() - began,
            "compile_seconds": done.compile_seconds,
            "train_seconds": done.train_seconds,
            "images_per_second": done.images_per_second,
            "epochs": [result._asdict() for result in done.epochs],
            "published": [figures._asdict() for figures in recipe.published],
        }

    return {name: _tried(run)(name) for name in sizes.train}


def device(sizes):
    """What this runs on."""
    import jax

    found = {
        "device": jax.devices()[0].device_kind,
        "platform": jax.devices()[0].platform,
        "versions": {name: _version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy", "torch")},
    }
    try:
        shown = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
        found["driver_and_memory"] = shown.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return found


def task(sizes, name, folder):
    """Write what the peers of one recipe share; on the CPU, so that it does not wait for the device."""
    from peers.driver import write_task

    from jaxd2l.recipes import find

    recipe = find(name)
    write_task(Path(folder), recipe, sizes.batch or recipe.batch_size, sizes.steps, sizes.rounds)


PARTS = {part.__name__: part for part in (parity, inside_an_epoch, profile, weights, training, device)}


def _recipe_and_data(name, sizes):
    from jaxd2l.data import Examples, load
    from jaxd2l.recipes import find

    recipe = find(name)
    recipe = dataclasses.replace(recipe, batch_size=sizes.batch or recipe.batch_size)
    data, rows = load(recipe.dataset), sizes.steps * recipe.batch_size
    first = [Examples(*(a[:rows] for a in part)) for part in (data.train, data.test)]
    return recipe, data._replace(train=first[0], test=first[1])


def _first_epoch(name, sizes):
    """A compiled program, and the arguments of its whole first epoch, all on the device."""
    import jax
    import numpy as np

    from jaxd2l.train import compile_program
    from jaxd2l.train.program import initial_state
    from jaxd2l.train.state import run_keys

    recipe, data = _recipe_and_data(name, sizes)
    program, keys = compile_program(recipe, data), run_keys(0)
    state = initial_state(program, 0, recipe.learning_rate, recipe.weight_decay)
    rows, steps = program.shuffle(keys.shuffle, np.int32(1)), program.train_steps
    given = (state, program.record(steps), *data.train, rows, keys.noise, np.int32(0), np.int32(steps))
    return program, jax.block_until_ready(jax.device_put(given))


def _tried(function):
    """The function, with what went wrong as its answer: one network that fails does not end the others."""

    @functools.wraps(function)
    def run(name):
        try:
            return function(name)
        except Exception as error:
            return {"failure": f"{type(error).__name__}: {error}"[:300]}

    return run


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


# --- the driver, which itself touches no device ----------------------------------------------------------------------


class Clock:
    """The time that is left."""

    def __init__(self, seconds):
        self.end = time.perf_counter() + seconds

    def left(self, kept=0.0):
        """Seconds until the end, less what is kept for later; at least one."""
        return max(1.0, self.end - kept - time.perf_counter())


def child(arguments, part, environment=()):
    """Start this script for one part of the work."""
    command = [sys.executable, __file__, "--part", part, *arguments]
    everything = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", **dict(environment)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=everything)


def answer(process, seconds):
    """What a child printed as JSON, or why there is none."""
    try:
        out, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"failure": "out of time"}
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        last = said.strip().splitlines()[-1:] or ["ended without a word"]
        return {"failure": last[0][:300]}
    return json.loads(lines[-1])


def start_peers(name, sizes, passed, folder, torch_python):
    """The peers of one recipe, each compiling; the task is written first."""
    from peers.driver import Peer

    written = subprocess.run(
        [sys.executable, __file__, "--part", "task", "--task", name, str(folder), *passed],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    if written.returncode:
        raise RuntimeError((written.stderr.strip().splitlines() or ["ended without a word"])[-1][:300])
    memory = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    peers = [Peer("jaxd2l", [sys.executable, HERE / "peers" / "jaxd2l_scan.py", folder, *PRECISIONS], memory)]
    if torch_python:
        modes = TORCH_MODES[:1] if sizes.rows else TORCH_MODES
        peers.append(Peer("torch", [torch_python, HERE / "peers" / "torch_peer.py", folder, *modes], memory))
    return peers


def compile_peers(sizes, passed, folder, torch_python, clock, kept):
    """Every recipe's peers, compiled at most a few at a time, as `{recipe: peers or a failure}`."""
    slots = threading.Semaphore(max(1, (os.cpu_count() or 2) // 3))
    ready, started = {}, []

    def one(name):
        place = folder / name
        place.mkdir()
        with slots:
            if clock.left(kept) <= 1:
                ready[name] = "out of time"
                return
            try:
                peers = start_peers(name, sizes, passed, place, torch_python)
            except RuntimeError as error:
                ready[name] = str(error)
                return
            started.extend(peers)
            for peer in peers:
                peer.wait()
            ready[name] = peers

    threads = [threading.Thread(target=one, args=(name,), daemon=True) for name in sizes.recipes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(clock.left(kept))
    for peer in started:
        if peer.ready is None and peer.failure is None:
            peer.end(kill=True)
    for thread in threads:
        thread.join(5)
    return ready


def speed(name, peers, sizes, clock):
    """One recipe: rounds in turn, `{mode: figures}`."""
    from peers.driver import same_work

    modes = [(peer, mode) for peer in peers if peer.ready for mode in peer.ready["modes"]]
    rounds = {(peer.name, mode): [] for peer, mode in modes}
    for i in range(sizes.rounds + 1):
        if i > 1 and clock.left() <= 1:
            break
        for peer, mode in modes:
            if message := peer.train(i, mode):
                rounds[peer.name, mode].append(message)
    found = {peer.name: {"failure": peer.failure} for peer in peers if peer.failure}
    base = rounds.get(("jaxd2l", "float32")) or []
    base_ready = peers[0].ready
    for peer, mode in modes:
        mine = rounds[peer.name, mode]
        if len(mine) < 2 or len(base) < 2:
            continue
        ms = 1e3 * statistics.median(r["seconds"] for r in mine[1:]) / sizes.steps
        same_precision = rounds.get(("jaxd2l", "bfloat16" if mode.endswith("bfloat16") else "float32")) or base
        ours = 1e3 * statistics.median(r["seconds"] for r in same_precision[1:]) / sizes.steps
        first = peer.ready["parameters"], peer.ready["modes"][mode]["first_loss"]
        base_first = base_ready["parameters"], base_ready["modes"]["float32"]["first_loss"]
        found[f"{peer.name} {mode}"] = {
            "ms_a_step": ms,
            "ratio": ms / ours,
            "rounds": len(mine) - 1,
            "compile_seconds": peer.ready["modes"][mode]["compile_seconds"],
            "same_work": same_work(name, first, base_first, (mine[0]["loss"], base[0]["loss"]))
            if not mode.endswith("bfloat16")
            else None,
        }
    return found


def measure(sizes, passed, seconds, torch_python=None):
    """All parts, in an order that keeps what is timed alone on the machine."""
    clock = Clock(seconds)
    on_trainings = min(0.2 * seconds, 90.0)
    record = answer(child(passed, "device"), 60)
    if "failure" in record:
        raise SystemExit(f"no device: {record['failure']}")
    flags = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {DETERMINISTIC}".strip()}
    checks = {part: child(passed, part) for part in ("parity", "inside_an_epoch")}
    twice = [child(passed, "weights", flags) for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        kept = on_trainings + 0.2 * seconds
        compiled = compile_peers(sizes, passed, Path(folder), torch_python, clock, kept)
        record |= {part: answer(process, clock.left(kept)) for part, process in checks.items()}
        digests = [answer(process, clock.left(kept)) for process in twice]
        record["determinism"] = {
            "flag": DETERMINISTIC,
            "equal": digests[0] == digests[1] and "failure" not in digests[0],
            "weights": digests[0],
        }
        record["speed"] = {"steps": sizes.steps, "recipes": {}}
        for name in sizes.recipes:
            peers = compiled.get(name, "out of time")
            if isinstance(peers, str):
                record["speed"]["recipes"][name] = {"failure": peers}
                continue
            record["speed"]["recipes"][name] = speed(name, peers, sizes, Clock(clock.left(on_trainings)))
            for peer in peers:
                peer.end()
    record["training"] = answer(child(passed, "training"), clock.left())
    record["profile"] = answer(child(passed, "profile"), clock.left())
    if not torch_python:
        record["torch"] = "not installed"
    record["missing"] = [
        "/".join(path) for path, value in _leaves(record) if path[-1] == "failure" and "out of time" in str(value)
    ]
    return record


def _leaves(tree, path=()):
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, (*path, name))
    else:
        yield path, tree


def show(record):
    """The answers in a few lines."""
    print(f"{record['device']}, jax {record['versions']['jax']}, torch {record['versions']['torch']}")
    unequal = [name for name, found in record["parity"].items() if not (isinstance(found, dict) and found.get("equal"))]
    print(f"equal to the CPU: {len(record['parity']) - len(unequal)} of {len(record['parity'])}; not: {unequal}")
    print(f"deterministic: {record['determinism']['equal']}; inside an epoch: {record['inside_an_epoch']}")
    for name, modes in record["speed"]["recipes"].items():
        for mode, row in modes.items():
            if isinstance(row, dict) and "ms_a_step" in row:
                same = {True: "", False: "  other work", None: ""}[row["same_work"]]
                print(f"{name:16} {mode:24} {row['ms_a_step']:9.3f} ms a step {row['ratio']:6.2f}{same}")
            else:
                print(f"{name:16} {mode:24} {row if isinstance(row, str) else row.get('failure')}")
    for name, run in record["training"].items():
        last = run["epochs"][-1] if isinstance(run, dict) and "epochs" in run else None
        print(f"{name}: {run if last is None else (round(run['seconds'], 1), last['test_accuracy'])}")
    if record["missing"]:
        print(f"missing: {', '.join(record['missing'])}")


def save(record, out):
    """Write the JSON; the path."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    kind = re.sub(r"[^a-z0-9]+", "-", record["device"].lower()).strip("-")
    path = out or HERE / "results" / f"{kind}-{date[:10]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"date": date, "commit": commit.stdout.strip(), "python": platform.python_version()}
    path.write_text(json.dumps({**head, **record}, indent=1) + "\n", encoding="utf-8", newline="\n")
    return path


def main():
    """Read the command line; measure all parts, or be the child that does one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", help="checked and timed (default: all on images)")
    parser.add_argument("--train", nargs="*", metavar="RECIPE", help="trained for all epochs (lenet googlenet)")
    parser.add_argument("--seconds", type=float, default=540.0, help="for everything together (540)")
    parser.add_argument(
        "--torch-python",
        default=sys.executable if importlib.util.find_spec("torch") else None,
        help="interpreter that has PyTorch (default: this one, where it has)",
    )
    parser.add_argument("--tiny", action="store_true", help="so little that a CPU does it in a minute")
    parser.add_argument("--out", type=Path, help="where the JSON goes (benchmarks/results/DEVICE-DATE.json)")
    parser.add_argument("--part", choices=(*PARTS, "task"), help=argparse.SUPPRESS)
    parser.add_argument("--task", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    from jaxd2l.catalogue import EXPERIMENTS

    for name in (*(arguments.recipes or ()), *(arguments.train or ())):
        if EXPERIMENTS.get(name) is None or EXPERIMENTS[name].image_size is None:
            parser.error(f"no recipe on images is called {name!r}; see `jaxd2l list`")
    if arguments.tiny:
        sizes = tiny()
    else:
        images = [name for name, experiment in EXPERIMENTS.items() if experiment.image_size is not None]
        sizes = Sizes(tuple(arguments.recipes or images), ("lenet", "googlenet"))
    if arguments.recipes:
        sizes = dataclasses.replace(sizes, recipes=tuple(arguments.recipes), profiled=arguments.recipes[-1])
    if arguments.train is not None:
        sizes = dataclasses.replace(sizes, train=tuple(arguments.train))
    if arguments.part == "task":
        task(sizes, *arguments.task)
    elif arguments.part:
        print(json.dumps(PARTS[arguments.part](sizes)))
    else:
        passed = ["--tiny"] if arguments.tiny else []
        passed += ["--recipes", *sizes.recipes, "--train", *sizes.train]
        record = measure(sizes, passed, arguments.seconds, arguments.torch_python)
        show(record)
        print(save(record, arguments.out))


if __name__ == "__main__":
    main()
