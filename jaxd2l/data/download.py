"""Fetching what is not embedded, with tensorflow-datasets' download manager and no TensorFlow.

The manager checks size and SHA-256 of what is published. Its image builders would need TensorFlow, so the bytes are
read by our own readers. It is imported only when something is really missing: the import takes a second and 50 MB.
"""

import hashlib
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

_PROBE_SECONDS = 5.0


class DownloadError(OSError):
    """The host of a data set cannot be reached or did not send what was published."""


def user_cache() -> Path | None:
    r"""Our folder among the user's caches, which need not exist; None for a user without a home.

    `jaxd2l` in `$XDG_CACHE_HOME`, which counts only where it is absolute (as its specification says), or where the
    system keeps such: `~/.cache/jaxd2l`, on macOS `~/Library/Caches/jaxd2l`, on Windows
    `%LOCALAPPDATA%\jaxd2l\Cache`.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(root):
        return Path(root) / "jaxd2l"
    import platformdirs  # here alone: training needs no cache of ours

    try:
        folder = platformdirs.user_cache_path("jaxd2l", appauthor=False)
    except (RuntimeError, OSError, KeyError):  # without HOME and without an entry in the user database
        return None
    return folder if folder.is_absolute() else None


def data_dir(name: str) -> Path:
    """Where the files of data set `name` are looked for and kept.

    `$JAXD2L_DATA_DIR/<name>`, or `<name>` in `user_cache()`; for a user without one in a folder for temporary files.
    """
    if root := os.environ.get("JAXD2L_DATA_DIR"):
        return Path(root) / name
    return (user_cache() or _shared_cache()) / name


def _shared_cache() -> Path:
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""  # on Windows the folder is the user's own
    return Path(tempfile.gettempdir()) / f"jaxd2l{user}"


def fetch(url: str, sha256: str, size: int, folder: Path) -> Path:
    """Download one file unless `folder` has it, under its name or where earlier versions left it.

    Args:
        url: published address.
        sha256: digest of the file as published.
        size: its bytes.
        folder: the cache.

    Returns:
        Path of the verified file.

    Raises:
        DownloadError: the host does not answer within 5 s, or the transfer failed. Without the
            probe an unreachable host would take minutes to fail; where a proxy leads out, nothing is probed.
    """
    from urllib.request import getproxies, proxy_bypass  # brings HTTP and mail along

    parts = urlsplit(url)
    name = Path(parts.path).name
    for path in (folder / name, *(folder / "downloads").rglob("*")):
        if path.is_file() and path.stat().st_size == size and _digest(path) == sha256:
            return path
    advice = f"fetch {url} elsewhere and put it into {folder}, or set JAXD2L_DATA_DIR to the parent of such a folder"
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        if proxy_bypass(host) or not {parts.scheme, "all"} & getproxies().keys():
            socket.create_connection((host, port), timeout=_PROBE_SECONDS).close()
    except OSError as error:
        raise DownloadError(f"cannot reach {host} ({error}); {advice}") from error

    from tensorflow_datasets.core import units
    from tensorflow_datasets.core.download import checksums, download_manager, util

    info = checksums.UrlInfo(size=units.Size(size), checksum=sha256, filename=name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="downloading-") as place:
            manager = download_manager.DownloadManager(
                download_dir=place, url_infos={url: info}, force_checksums_validation=True
            )
            return Path(manager.download(url)).replace(folder / name)
    except (OSError, util.DownloadError, download_manager.NonMatchingChecksumError) as error:
        raise DownloadError(f"downloading {name} failed ({error}); {advice}") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
