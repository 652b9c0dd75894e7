"""Digests of a checkpoint: of every file, and of every array by name, since Orbax notices no damage."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxd2l.machine.disk import replace
from jaxd2l.train.mesh import readable

_SUMS = "SHA256SUMS"
_OPTIMIZER = "state.opt_state"


def sum_files(step: Path) -> None:
    """List every file of a committed checkpoint with its digest, as `sha256sum` does."""
    files = sorted(path for path in step.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(step).as_posix()}\n" for path in files
    ]
    temporary = step / f".{_SUMS}"
    temporary.write_bytes("".join(lines).encode())
    replace(temporary, step / _SUMS)


def damaged_file(step: Path) -> str | None:
    """Which file is not the one that was written; None for none, and where a kill came before the list."""
    if not (step / _SUMS).exists():
        return None
    for line in (step / _SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = step / name
        if not name or not path.resolve().is_relative_to(step.resolve()) or not path.is_file():
            return f"{name or _SUMS} is missing"
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return f"{name} does not agree with its SHA-256"
    return None


def document_of(arrays: Mapping[str, np.ndarray | jax.Array], facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON of a checkpoint: its facts, what its arrays are, and the SHA-256 of both.

    None where an array holds a NaN or an infinity, outside the optimizer's state. Of arrays in parts on several
    processes one after another is gathered, so each process calls this.
    """
    described = {}
    for name, a in arrays.items():
        whole = np.asarray(readable(a))
        if not name.startswith(_OPTIMIZER) and not np.isfinite(whole).all():
            return None
        described[name] = describe(whole)
    document: dict[str, Any] = {"facts": dict(facts), "arrays": described}
    return {**document, "sha256": digest_of(document)}


def describe(a: np.ndarray) -> dict[str, Any]:
    """Type, shape and SHA-256 of an array."""
    content = np.ascontiguousarray(a).reshape(-1).view(np.uint8)
    return {"dtype": str(a.dtype), "shape": list(a.shape), "sha256": hashlib.sha256(content).hexdigest()}


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a checkpoint's facts and of what `describe` says of its arrays."""
    text = json.dumps({name: document[name] for name in ("facts", "arrays")}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def disagreement(arrays: Any, document: Any) -> str | None:
    """What does not agree with the digests; None where everything does."""
    if not isinstance(document, dict) or not isinstance(arrays, dict):
        return "not a checkpoint of jaxd2l"
    try:
        digest = digest_of(document)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return f"its JSON has another form ({type(error).__name__}: {error})"
    if digest != document.get("sha256"):
        return "its JSON does not agree with its SHA-256"
    described = document["arrays"]
    if described.keys() != arrays.keys():
        return f"arrays {sorted(described.keys() ^ arrays.keys())} are missing or too many"
    wrong = [name for name, array in arrays.items() if describe(np.asarray(array)) != described[name]]
    return f"{wrong[0]} does not agree with its SHA-256" if wrong else None
