"""How a benchmark drives its peers: a folder with the same numbers for all, and one process each that works when told.

Needs nothing but what training needs, so that `gpu.py` runs on a bare machine.
"""

import json
import os
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import load
from jaxd2l.interop.torch import to_torch
from jaxd2l.train.state import run_keys

STOCHASTIC = (
    "alexnet",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "nin",
    "dropout_mlp",
)  # dropout draws other masks elsewhere
TOLERANCE = 2e-3  # of the mean loss over the first round: float32 sums in another order, a few dozen updates


def write_task(folder, recipe, batch, steps, rounds):
    """Everything a peer needs, so that all start from the same numbers."""
    data = load(recipe.dataset).train
    n = steps * batch
    rng = np.random.default_rng(0)
    rows = np.stack([rng.permutation(n).reshape(steps, batch) for _ in range(rounds + 1)]).astype(np.int32)
    shape = recipe.input_shape(data.x)
    variables = jax.jit(lambda key: recipe.model.init(key, jnp.zeros((1, *shape)), train=False))(run_keys(0).init)
    weights = to_torch(recipe.model, variables["params"], variables.get("batch_stats", {}), shape)
    task = {
        "recipe": recipe.name,
        "image_size": recipe.image_size,
        "learning_rate": min(recipe.learning_rate, 0.02),  # so low that rounding does not grow within a round
    }
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    np.savez(folder / "data.npz", x=data.x[:n], y=data.y[:n])
    np.savez(folder / "rows.npz", rows=rows)
    np.savez(folder / "weights.npz", **{k: np.asarray(v) for k, v in weights.items()})


class Peer:
    """A process that trains one round when told to.

    Attributes:
        ready: what it said once everything was compiled, None before `wait` and where it failed.
        rounds: what it said of each round.
        failure: why it ended too early, None while it works.
    """

    def __init__(self, name, command, environment=()):
        self.name, self.rounds, self.failure = name, [], None
        everything = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0", **dict(environment)}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=everything,
        )
        self.ready = None

    def wait(self):
        """Until everything is compiled."""
        self.ready = self.read()
        self.start_seconds = time.perf_counter() - self.began
        return self

    def read(self):
        """The next message, or None with `failure` set."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        said = self.process.stderr.read().strip().splitlines()
        self.failure = self.failure or (said[-1][:200] if said else "ended without a word")
        return None

    def train(self, i, mode=""):
        """One round of `mode`, the peer's only one unless named; the message, None where it failed."""
        if self.failure:
            return None
        try:
            self.process.stdin.write(f"{i} {mode}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: reading tells why
        message = self.read()
        if message:
            self.rounds.append(message)
        return message

    def end(self, kill=False):
        """Close the peer's input, which ends it."""
        if kill:
            self.failure = self.failure or "out of time"
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.process.wait(timeout=60)


def same_work(recipe, ready, base_ready, losses, tolerance=TOLERANCE):
    """Whether two peers computed the same: parameters, the first loss and the mean loss of the first round.

    Args:
        recipe: its name.
        ready: parameters and first loss of the one.
        base_ready: of the other.
        losses: mean loss of the first round of each.
        tolerance: of them; half as much for the first loss.
    """
    (parameters, first), (base_parameters, base_first) = ready, base_ready
    same = parameters == base_parameters and abs(first - base_first) < tolerance / 2 * abs(base_first)
    return bool(same and (recipe in STOCHASTIC or abs(losses[0] - losses[1]) < tolerance * abs(losses[1])))
