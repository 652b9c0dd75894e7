"""The file of a frozen run: a zip in which each entry is a program of `jax.export`, safetensors, JSON or text.

    README.txt                       how to train again with jax alone
    manifest.json                    settings, environment, keys, digests, results; the digest of every other entry
    programs/PLATFORM/NAME           init, shuffle, epoch, evaluation and, with a validation part, test
    weights.safetensors and others   the run's weights, by the names of its folder
    initial.safetensors              the state to begin with, where it was not drawn from the seed
    data.safetensors                 the rows, where they are kept inside

No entry is a pickle. A program is code all the same: thaw a file only from where you would run code from.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l.data import DataError
from jaxd2l.interop.digested import parse

FORMAT, VERSION = "jaxd2l frozen run", 1
MANIFEST, README = "manifest.json", "README.txt"
INITIAL, DATA = "initial.safetensors", "data.safetensors"
PROGRAMS = ("init", "shuffle", "epoch", "evaluation", "test")
WEIGHTS = ("last", "best", "ema")
FILES = ("config", "environment", "metrics", "test", *WEIGHTS)  # of the run's folder, whose names the manifest says
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # equal runs are equal files
_ENTRIES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("recipe", "network"), str),
    **dict.fromkeys(("config", "environment", "keys", "data", "programs", "files", "names", "sha256"), dict),
    **dict.fromkeys(("learning_rate", "weight_decay"), (int, float)),
    **dict.fromkeys(("epochs", "train_steps", "batch_size"), int),
    **dict.fromkeys(("classified", "drawn"), bool),
    "rows": list,
}


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A frozen run, opened.

    Attributes:
        path: of the file.
        facts: its manifest.
        sha256: of the manifest, which holds the digest of everything else.
    """

    path: Path
    facts: dict[str, Any]
    sha256: str

    def read(self, name: str) -> bytes:
        """An entry, compared with its digest.

        Raises:
            DataError: there is none, or it is damaged.
            OSError: the file cannot be read.
        """
        content = _entry(self.path, name)
        if hashlib.sha256(content).hexdigest() != self.facts["sha256"].get(name):
            raise DataError(f"{self.path}: {name} is not what was frozen, its SHA-256 is another; take another copy")
        return content

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of an entry in safetensors, by name.

        Raises:
            DataError, OSError: see `read`.
        """
        return parse(self.read(name), f"{self.path}: {name}")[0]

    def holds(self, name: str) -> bool:
        """Whether there is such an entry."""
        return name in self.facts["sha256"]


def program_entry(platform: str, name: str) -> str:
    """What the entry of a program is called; platforms are those of `jax.export`: cpu, cuda, rocm, tpu."""
    return f"programs/{platform}/{name}"


def pack_frozen(facts: Mapping[str, Any], entries: Mapping[str, bytes], readme: str) -> bytes:
    """The file's bytes.

    Args:
        facts: of the manifest, without format, version and digests.
        entries: content by name.
        readme: text for a person.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in entries.items()}
    manifest = {"format": FORMAT, "version": VERSION, **facts, "sha256": digests}
    texts = {README: readme.encode(), MANIFEST: json.dumps(manifest, indent=1, allow_nan=False).encode()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**texts, **entries}.items():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def read_frozen(path: Path) -> Frozen:
    """Open a frozen run; its programs and numbers are read when they are asked for.

    Raises:
        DataError: it is none, a damaged one, or of a later version.
        OSError: it cannot be read.
    """
    content = _entry(path, MANIFEST)
    try:
        facts = json.loads(content)
        found, version = facts.get("format"), facts.get("version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: no frozen run, its {MANIFEST} cannot be read ({error})") from error
    if found != FORMAT or not isinstance(version, int):
        raise DataError(f"{path}: no frozen run; `jaxd2l freeze RUN_DIR` writes one")
    if version > VERSION:
        raise DataError(f"{path}: frozen by a later jaxd2l, version {version} of the format; this one reads {VERSION}")
    wrong = [name for name, kind in _ENTRIES.items() if not isinstance(facts.get(name), kind)] or _wrong_inside(facts)
    if wrong:
        raise DataError(f"{path}: its {MANIFEST} is not what freezing writes ({', '.join(wrong)})")
    return Frozen(path, facts, hashlib.sha256(content).hexdigest())


def _wrong_inside(facts: dict[str, Any]) -> list[str]:
    """The entries of a manifest, each of its kind, whose content is not what freezing writes."""
    rows, tested, programs = facts["rows"], facts.get("tested"), facts["programs"].values()
    right = {
        **{name: facts[name] > 0 for name in ("epochs", "train_steps", "batch_size")},
        "rows": bool(rows) and len(rows) == facts["epochs"] and _all_are(dict, rows),
        "tested": tested is None or (isinstance(tested, dict) and _all_are(dict, tested.values())),
        "keys": facts["keys"].keys() >= {"init", "shuffle", "noise"}
        and all(isinstance(key, list) and _all_are(int, key) for key in facts["keys"].values()),
        "environment": isinstance(facts["environment"].get("sha256", {}), dict),
        "data": isinstance(facts["data"].get("name"), str) and _are_arrays(facts["data"].get("arrays")),
        "programs": _all_are(dict, programs) and all(_all_are((dict, type(None)), one.values()) for one in programs),
        "files": facts["files"].keys() <= set(WEIGHTS) and _all_are(str, facts["files"].values()),
        "names": facts["names"].keys() == set(FILES) and _are_file_names(list(facts["names"].values())),
    }
    return [name for name, fits in right.items() if not fits]


def _all_are(kind: type | tuple[type, ...], values: Iterable[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _are_arrays(described: Any) -> bool:
    """Whether these are the arrays of a training and a test part, and of a validation part or none."""
    train, validation, test = ({f"x_{part}", f"y_{part}"} for part in ("train", "validation", "test"))
    if not isinstance(described, dict) or described.keys() not in (train | test, train | validation | test):
        return False
    return all(
        isinstance(one, dict)
        and one.keys() == {"dtype", "shape", "sha256"}
        and _is_dtype(one["dtype"])
        and isinstance(one["shape"], list)
        and _all_are(int, one["shape"])
        for one in described.values()
    )


def _is_dtype(name: Any) -> bool:
    try:
        return isinstance(name, str) and str(np.dtype(name)) == name and np.dtype(name).kind in "biufV"
    except Exception:  # NumPy reads such words as Python
        return False


def _are_file_names(names: list[Any]) -> bool:
    """Whether each is another file in one folder, on every system."""
    plain = _all_are(str, names) and not any(name in ("", ".", "..") or set(name) & set("/\\:\0") for name in names)
    return plain and len(set(names)) == len(names)


def _entry(path: Path, name: str) -> bytes:
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return archive.read(name)
        except KeyError:
            what = "no frozen run; `jaxd2l freeze RUN_DIR` writes one" if name == MANIFEST else f"without its {name}"
            raise DataError(f"{path}: {what}") from None
        except MemoryError:
            raise
        except Exception as error:  # damage makes zipfile and the decoders raise nearly everything
            raise DataError(f"{path}: no frozen run, or a copy that was cut short or damaged ({error})") from error
