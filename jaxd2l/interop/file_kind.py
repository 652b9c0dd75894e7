"""What a file is that was given as weights but is no safetensors file, by its first bytes, and what to do about it.

Nothing is unpacked, unpickled or executed: of a zip archive only the table of contents is read.
"""

import re
import zipfile
from pathlib import Path

_SAVE = "safetensors.torch.save_file(net.state_dict(), path)"
_REFUSED = (
    "loading one runs whatever code it holds, so it is refused. "
    f"Where it was trained, write the same weights with {_SAVE}."
)
_PICKLE = f"is a pickle, as torch.save writes it: {_REFUSED}"
_TEXT_PICKLE = re.compile(rb"\(?c[\w.]+\n[\w.]+\n|\(dp?\d*\n|\(lp?\d*\n|[}\]]q.")  # protocols 0 and 1

_MAGIC = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it", f"write the weights in PyTorch with {_SAVE}"),
    (0, b"\x93NUMPY", "one NumPy array (.npy)", "give all arrays by name: safetensors.numpy.save_file(arrays, path)"),
    (0, b"GGUF", "a GGUF file of a language model", f"write the weights in PyTorch with {_SAVE}"),
    (4, b"TFL3", "a TensorFlow Lite model", f"write the weights in PyTorch with {_SAVE}"),
    (257, b"ustar", "a tar archive", "unpack it and give the .safetensors file in it"),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it with gunzip"),
    (0, b"BZh", "compressed with bzip2", "unpack it with bunzip2"),
    (0, b"\xfd7zXZ\x00", "compressed with xz", "unpack it with unxz"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with unzstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and give the .safetensors file in it"),
    (0, b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` where it is"),
)


def kind_of(head: bytes, path: Path) -> str:
    """The rest of a sentence that begins with the file's name: what it is and what to do.

    Args:
        head: its first bytes, 300 or more where it has them.
        path: to look into a zip archive's table of contents.

    Returns:
        For bytes of no known kind only what to do.
    """
    if not head:
        return "is empty, so it is not a safetensors file: save it again, or copy or download it again"
    if re.match(rb"\x80[\x02-\x05]", head) or _TEXT_PICKLE.match(head):
        return _PICKLE
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_of(path)
    for place, magic, what, advice in _MAGIC:
        if head[place : place + len(magic)] == magic:
            return f"is {what}, not a safetensors file: {advice}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not a safetensors file: download the file itself"
    if b'"weight_map"' in text:
        return "is the index of weights cut into several files, not a safetensors file: save them as one file"
    if text.startswith(b"{"):
        return f"is JSON, not a safetensors file: write the weights with {_SAVE}"
    if path.suffix == ".onnx":
        return f"is an ONNX model, not a safetensors file: write the weights in PyTorch with {_SAVE}"
    if len(head) < 10:
        return f"is not a safetensors file: {len(head)} bytes are fewer than any has; save, copy or download it again"
    return f"is not a safetensors file, nor of another kind that is known: write the weights with {_SAVE}"


def _zip_of(path: Path) -> str:
    try:
        if not path.is_file():
            raise ValueError("a pipe cannot be read twice")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # damage shows as nearly any exception of zipfile
        return f"is a zip archive cut short, most likely a pickle, as torch.save writes it: {_REFUSED}"
    if any(name.endswith(".pkl") for name in names):
        return _PICKLE
    if names and all(name.endswith(".npy") for name in names):
        advice = "write its arrays with safetensors.numpy.save_file(dict(numpy.load(path)), new_path)"
        return f"is a NumPy archive (.npz), not a safetensors file: {advice}"
    if any(name.endswith(".h5") for name in names):
        return f"is a Keras model, not a safetensors file: write the weights in PyTorch with {_SAVE}"
    return "is a zip archive, not a safetensors file: unpack it and give the .safetensors file in it"
