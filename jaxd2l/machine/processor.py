"""The CPU as far as it decides which code XLA makes for it, and so which bits come out."""

import os
import platform
import re
from pathlib import Path

import psutil

_VECTOR = re.compile(r"(sse|ssse|avx|fma|f16c|amx|vnni|asimd|sve|sme(?!p)|neon|bf16|i8mm|fphp)")


def visible_cores() -> int:
    """How many cores this process may use; XLA splits sums by it unless `NPROC` says another number."""
    try:
        return len(psutil.Process().cpu_affinity() or ()) or 1
    except (AttributeError, OSError, psutil.Error):  # macOS binds no process to cores
        return os.cpu_count() or 1


def model_name() -> str:
    """What the maker calls it; the architecture where nobody says."""
    found = sorted({text for name, text in _described() if name == "model name"})
    return found[0] if found else platform.processor() or platform.machine()


def vector_instructions() -> str:
    """Its instruction sets for vectors, matrices and short floats, by name; "" where nobody says."""
    names = {word for name, text in _described() if name in ("flags", "Features") for word in text.split()}
    return " ".join(sorted(name for name in names if _VECTOR.match(name)))


def fingerprint() -> str:
    """All of this as text, for the name of a folder of compiled programs."""
    described = {f"{name}:{text}" for name, text in _described() if name in ("model name", "flags", "Features")}
    parts = sorted(described or {platform.machine(), platform.processor()})
    pinned = [os.environ.get("PJRT_NPROC")]
    return "\n".join([*parts, str(visible_cores()), os.environ.get("NPROC", ""), *filter(None, pinned)])


def _described() -> list[tuple[str, str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    pairs = (line.partition(":") for line in text.splitlines())
    return [(name.strip(), value.strip()) for name, _, value in pairs]
