"""A file given as weights: every number format of safetensors is read or named, other files are told and refused."""

import collections
import gzip
import io
import json
import os
import pickle
import threading
import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from jaxd2l.data import DataError
from jaxd2l.interop.safetensors_file import parse
from jaxd2l.interop.torch import read_state_dict

EXAMPLES = int(os.environ.get("JAXD2L_FUZZ", "200"))
VALUES = np.array([[0.0, 1.0, -2.0], [0.5, -0.25, 4.0]], np.float32)  # exact in every float below
FLOATS = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
OTHERS = {**{f"{k}{n}": np.dtype(f"{k.lower()}{n // 8}") for k in "IU" for n in (8, 16, 32, 64)}, "BOOL": np.bool_}
PACKED = {"F4": (8, 4), "F6_E2M3": (4, 3), "F6_E3M2": (4, 3)}  # numbers, bytes


def file_of(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def one(dtype, shape, body, name="a"):
    return file_of({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, len(body)]}}, body)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_float_is_read_with_its_values(dtype):
    tensors, _ = parse(one(dtype, [2, 3], VALUES.astype(FLOATS[dtype]).tobytes()))
    assert tensors["a"].dtype == FLOATS[dtype]
    np.testing.assert_array_equal(tensors["a"].astype(np.float32), VALUES)


@pytest.mark.parametrize("dtype", OTHERS)
def test_integers_and_truth_values_are_read(dtype):
    expected = np.array([1, 0, 1], OTHERS[dtype])
    tensors, _ = parse(one(dtype, [3], expected.tobytes()))
    np.testing.assert_array_equal(tensors["a"], expected, strict=True)


@pytest.mark.parametrize("dtype", PACKED)
def test_formats_that_pack_numbers_into_bytes_are_named(dtype):
    numbers, size = PACKED[dtype]
    with pytest.raises(ValueError, match=f"a is {dtype}, a type that cannot be read here; save it in float32"):
        parse(one(dtype, [numbers], bytes(size)))


def test_tensors_come_in_the_order_of_the_file():
    state = {f"{i}.weight": np.full(2, i, np.float32) for i in range(30)}
    data = save(state)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(parse(data)[0]) == list(header)


def test_a_sound_file_is_read_whatever_the_size_of_its_header(tmp_path):
    """The first byte is the header's size mod 256, so it may be that of a pickle, of a zip archive, of anything."""
    first = set()
    for length in range(64):
        data = save({"a": np.ones(2, np.float32)}, metadata={"padding": "x" * 8 * length})
        first.add(data[0])
        (tmp_path / "sound.safetensors").write_bytes(data)
        assert list(read_state_dict(tmp_path / "sound.safetensors")) == ["a"]
    assert 0x80 in first


def _zip(*names, content=b"\x80\x02}q\x00."):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


def _npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


SOUND = save({"b": np.arange(5, dtype=np.float32), "a": np.ones((2, 3), np.float32)})
SIZE = int.from_bytes(SOUND[:8], "little")
ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
TWICE = b'{"a":%s,"a":%s}' % ((json.dumps(ENTRY).encode(),) * 2)
STATE = collections.OrderedDict(a=1)
REFUSED = {
    "empty": (b"", "is empty.*again"),
    "shorter than any": (SOUND[:5], "5 bytes are fewer than any has; save, copy or download it again"),
    "cut in the header": (SOUND[:40], r"a header of \d+ bytes should follow its first 8, and 32 are there: cut short"),
    "cut in the numbers": (SOUND[:-3], "describes 44 bytes of numbers and 41 follow: cut short, so copy or save it"),
    "longer than its header": (SOUND + b"\0", "describes 44 bytes of numbers and 45 follow: something was added"),
    "a name that stands twice": (file_of(TWICE, bytes(4)), "the name a stands in its header more than once"),
    "places that overlap": (file_of({"a": ENTRY, "b": ENTRY}, bytes(4)), "invalid offset"),
    "a shape that is a lie": (one("F32", [2], bytes(4)), "invalid shape"),
    "a shape beyond all memory": (one("F32", [2**62, 2**62], bytes(4)), "overflow"),
    "no numbers and a shape beyond NumPy": (one("F32", [0, 2**62, 2**60], b""), "cannot have a shape of 3 axes"),
    "more axes than NumPy has": (one("F32", [1] * 70, bytes(4)), "cannot have a shape of 70 axes"),
    "a header beyond all memory": ((2**40).to_bytes(8, "little") + b"{" * 99, "not a safetensors file"),
    "an unknown type": (one("F99", [1], bytes(4)), "unknown variant `F99`"),
    "a header that nests": (file_of(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"), "recursion limit"),
    "a header that is no JSON": (file_of(b"{abc}"), "invalid JSON"),
    "a header that is no UTF-8": (file_of(b'{"\xff":1}'), "invalid UTF-8"),
    "text": (b"not weights at all", "nor of another kind that is known: write the weights with safetensors"),
    "zeros": (bytes(99), "not a safetensors file"),
    "ones": (b"\xff" * 99, "not a safetensors file"),
    **{
        f"a pickle of protocol {p}": (pickle.dumps(STATE, p), "is a pickle.*safetensors.torch.save_file")
        for p in range(6)
    },
    **{f"a dict's pickle {p}": (pickle.dumps({"a": 1}, p), "is a pickle.*refused") for p in range(6)},
    "torch.save": (_zip("net/data.pkl", "net/version"), "is a pickle.*safetensors.torch.save_file"),
    "torch.save, cut short": (_zip("net/data.pkl")[:50], "cut short, most likely a pickle.*refused"),
    "numpy.savez": (_npz(a=VALUES), r"a NumPy archive \(.npz\).*safetensors.numpy.save_file"),
    "numpy.save": (_npy(VALUES), r"one NumPy array \(.npy\)"),
    "numpy.save of objects": (_npy(np.array([STATE], object)), r"one NumPy array \(.npy\)"),
    "Keras": (_zip("config.json", "model.weights.h5"), "a Keras model"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
    "zip": (_zip("net.safetensors", content=SOUND), "a zip archive.*unpack it and give the .safetensors file"),
    "gzip": (gzip.compress(SOUND), "compressed with gzip.*gunzip"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
    "a web page": (b"\n<!DOCTYPE html><html>", "a web page.*download the file itself"),
    "an index": (b'{"metadata": {}, "weight_map": {}}', "index of weights cut into several files"),
    "JSON": (b'{"0.weight": [1, 2]}', "is JSON"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_of_another_kind_is_told_in_one_line_with_what_to_do(what, tmp_path):
    content, message = REFUSED[what]
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_state_dict(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value).isprintable()


def test_a_folder_is_told_with_the_file_in_it(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(SOUND)
    with pytest.raises(OSError, match=r"is a folder; name a .safetensors file, such as net.safetensors in it"):
        read_state_dict(tmp_path)


@pytest.mark.posix
def test_a_pipe_is_read_as_a_file_is(tmp_path):
    for content, refused in ((SOUND, None), (_zip("net/data.pkl"), "pickle")):
        pipe = tmp_path / f"{refused}.pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        if refused:
            with pytest.raises(DataError, match=refused):
                read_state_dict(pipe)
        else:
            assert list(read_state_dict(pipe)) == ["a", "b"]
        writer.join()


@st.composite
def mutations(draw):
    """A sound file with bytes changed, cut out, doubled or put in, most often in its header."""
    content = bytearray(SOUND)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.one_of(st.integers(0, 8 + SIZE), st.integers(0, len(content))))
        how = draw(st.sampled_from(("change", "bit", "cut", "double", "insert", "number")))
        if how == "change" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif how == "bit" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del content[at : at + draw(st.integers(1, 40))]
        elif how == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 40))]
        elif how == "number":
            content[at:at] = str(draw(st.integers(0, 2**70))).encode()
        else:
            content[at:at] = draw(st.binary(max_size=9))
    return bytes(content)


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutations())
def test_whatever_is_changed_in_a_file_it_is_read_whole_or_refused_in_one_line(tmp_path, content):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    try:
        tensors, message = read_state_dict(path), ""
    except DataError as error:
        tensors, message = {}, str(error)
    assert message.isprintable()
    assert sum(a.nbytes for a in tensors.values()) <= len(content), "nothing is made up"
    assert all(isinstance(name, str) for name in tensors)
