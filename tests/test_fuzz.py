"""Whatever the bytes, the readers return data or raise our own errors, and never run what they read."""

import gzip
import io
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from jaxd2l import run_folder
from jaxd2l.data import DataError, cifar, idx
from jaxd2l.data.houses import read_houses, write_submission
from jaxd2l.data.table import apply_table, fit_table, read_table, typed
from jaxd2l.run_folder import weights

# JAXD2L_FUZZ=20000 runs as many examples of each test; CI a few hundred.
EXAMPLES = int(os.environ.get("JAXD2L_FUZZ", "200"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def outcome_of(read, *arguments):
    """What `read` returns; None where it refuses, with one line of its own."""
    try:
        return read(*arguments)
    except DataError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    return None


@st.composite
def damaged(draw, whole):
    """Bytes near `whole`: some changed, cut out, doubled or put in."""
    content = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        how = draw(st.sampled_from(("change", "cut", "double", "insert")))
        if how == "change" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del content[at : at + draw(st.integers(1, 40))]
        elif how == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 40))]
        else:
            content[at:at] = draw(st.binary(max_size=9))
    return bytes(content)


@st.composite
def idx_files(draw):
    """IDX files of any rank and type, whose sizes may be lies."""
    shape = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    claimed = draw(st.one_of(st.just(shape), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)))
    kind = draw(st.sampled_from((0x08, 0x08, 0x08, 0x09, 0x0B, 0x0D)))
    header = bytes((0, 0, kind, len(claimed))) + struct.pack(f">{len(claimed)}I", *claimed)
    return header + bytes(int(np.prod(shape)))


@pytest.mark.slow
@fuzz
@given(st.one_of(st.binary(max_size=64), idx_files(), damaged(idx_files())), st.sampled_from((1, 3)))
def test_idx_is_read_whole_or_refused(data, ndim):
    for packed in (data, gzip.compress(data, 1)):
        array = outcome_of(lambda packed: idx.parse(idx.unpack(packed, "fuzz"), "fuzz", ndim), packed)
        if array is None:
            continue
        assert (array.ndim, array.dtype) == (ndim, np.uint8)
        assert 4 + 4 * ndim + array.size == len(data), "every byte is accounted for"


@pytest.mark.slow
@fuzz
@given(damaged(idx_files().map(lambda data: gzip.compress(data, 1))))
def test_a_damaged_gzip_is_refused_or_unpacks(packed):
    unpacked = outcome_of(idx.unpack, packed, "fuzz", 1000)
    assert unpacked is None or len(unpacked) <= 1000 or unpacked == packed


@pytest.mark.slow
@fuzz
@given(st.one_of(st.binary(max_size=99), st.integers(0, 4).flatmap(lambda n: st.just(bytes(3073 * n)))))
def test_cifar_batches_and_archives_are_read_or_refused(data):
    for read in (cifar.parse, cifar.read):
        outcome_of(read, data, "fuzz")


NAMES = st.one_of(st.sampled_from(("params.Dense_0.kernel", "batch_stats.mean", "__metadata__")), st.text(max_size=9))
ARRAYS = st.sampled_from(
    [np.zeros((2, 3), np.float32), np.ones(5, np.int32), np.zeros((0, 7), np.uint8), np.array(3.0, np.float64)]
)


@st.composite
def safetensors_files(draw):
    """Sound files with and without our digest, and ones whose header is any JSON."""
    tensors = draw(st.dictionaries(NAMES.filter(lambda name: name != "__metadata__"), ARRAYS, max_size=3))
    how = draw(st.sampled_from(("ours", "foreign", "header")))
    if how == "ours":
        return weights.serialize({"Dense_0": {"kernel": draw(ARRAYS)}}, {"mean": draw(ARRAYS)}, draw(st.integers(0, 9)))
    if how == "foreign":
        return save(tensors, metadata={draw(st.sampled_from(("jaxd2l", "format"))): draw(st.text(max_size=20))})
    leaf = st.one_of(st.none(), st.integers(-(2**70), 2**70), st.text(max_size=5), st.floats(allow_nan=False))
    tensor = st.fixed_dictionaries(
        {
            "dtype": st.one_of(st.sampled_from(("F32", "F64", "BF16", "F8_E4M3", "BOOL", "I64", "C64", "F4")), leaf),
            "shape": st.one_of(st.lists(st.integers(0, 2**64), max_size=3), leaf),
            "data_offsets": st.one_of(st.lists(st.integers(0, 2**64), max_size=3), leaf),
        }
    )
    entries = draw(
        st.dictionaries(NAMES, st.one_of(tensor, leaf, st.dictionaries(st.text(max_size=5), leaf)), max_size=3)
    )
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + draw(st.binary(max_size=48))


EXPECTED = {"Dense_0": {"kernel": np.zeros((2, 3), np.float32)}}


@pytest.mark.slow
@fuzz
@given(st.one_of(st.binary(max_size=64), safetensors_files(), damaged(safetensors_files())))
def test_safetensors_are_read_whole_or_refused(data):
    parsed = outcome_of(weights.parse, data, "fuzz")
    if parsed is None:
        return
    tensors, epoch = parsed
    assert all(isinstance(array, np.ndarray) for array in tensors.values())
    assert epoch is None or isinstance(epoch, int)
    fitted = outcome_of(weights.fit_to, tensors, EXPECTED, {}, "fuzz")
    assert fitted is None or fitted[0]["Dense_0"]["kernel"].shape == (2, 3)


def test_one_flipped_bit_anywhere_in_the_weights_is_found():
    data = weights.serialize({"Dense_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}, {}, 3)
    start = 8 + int.from_bytes(data[:8], "little")
    for bit in range(8 * start, 8 * len(data)):
        content = bytearray(data)
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            weights.parse(bytes(content), "weights")


CELLS = st.one_of(
    st.sampled_from(
        ("NA", "", "1", "-2.5", "1e400", "nan", "inf", "Pave", '"a,b"', '"', "\x00", "\r", "\uff11", "1_0")
    ),
    st.sampled_from(("1e308", "-1.7e308", "5e-324", "1e-200", "True", "False", "?", "$5", "01", "None", " ", '"a\nb"')),
    st.sampled_from((";", "\t", "|", "1;2")),
    st.text(max_size=5),
    st.integers(-(2**70), 2**70).map(str),
)


@st.composite
def csv_files(draw):
    """Tables of any cells, ragged or not, in UTF-8 or not."""
    width = draw(st.integers(1, 4))
    header = draw(
        st.lists(st.one_of(st.sampled_from(("a", "b", "Id", "SalePrice")), CELLS), min_size=width, max_size=width)
    )
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width + draw(st.integers(0, 1))), max_size=5))
    text = "\n".join(",".join(row) for row in (header, *rows)) + draw(st.sampled_from(("", "\n", "\r\n")))
    return text.encode(draw(st.sampled_from(("utf-8", "utf-16", "utf-8-sig"))), "replace")


@pytest.mark.slow
@fuzz
@given(st.one_of(st.binary(max_size=64), csv_files(), damaged(csv_files())), st.booleans())
def test_a_csv_becomes_a_finite_table_or_is_refused(tmp_path, data, packed):
    path = tmp_path / ("table.csv.gz" if packed else "table.csv")
    path.write_bytes(gzip.compress(data, 1) if packed else data)

    def read(path):
        frame = read_table(path)
        return apply_table(fit_table(frame), frame)

    rows = outcome_of(read, path)
    assert rows is None or np.isfinite(rows.x).all()


@st.composite
def pandas_frames(draw):
    """Frames of any dtype and any labels."""
    n = draw(st.integers(0, 4))
    cell = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.decimals(allow_nan=False),
        st.dates(),
        st.binary(max_size=2),
        st.text(max_size=3),
        st.lists(st.integers(), max_size=2),
        st.sampled_from((pd.NA, pd.NaT, np.float16(3), np.bool_(True), "NA", "1", "20.0")),
    )
    dtypes = (
        "object",
        "float64",
        "Int64",
        "boolean",
        "bool",
        "string",
        "category",
        "datetime64[ns]",
        "Float32",
        "int8",
    )
    columns = {}
    for label in draw(st.lists(st.one_of(st.text(max_size=2), st.integers(0, 2), st.none()), max_size=3, unique=True)):
        values = pd.Series(draw(st.lists(cell, min_size=n, max_size=n)), dtype=object)
        try:
            columns[label] = values.astype(draw(st.sampled_from(dtypes)))
        except (TypeError, ValueError, ArithmeticError, RuntimeError, Warning):  # pandas cannot convert it
            columns[label] = values
    return pd.DataFrame(columns)


@pytest.mark.slow
@fuzz
@given(pandas_frames(), pandas_frames())
def test_a_pandas_frame_becomes_finite_or_is_refused(train, test):
    table = outcome_of(fit_table, train)
    if table is not None:
        assert outcome_of(apply_table, table, train) is not None or table.standardise
        for frame in (train, test.set_axis(train.columns, axis=1) if test.shape[1] == train.shape[1] else test):
            rows = outcome_of(apply_table, table, frame)
            assert rows is None or np.isfinite(rows.x).all()
        assert fit_table(typed(train))._replace(notes=()) == table._replace(notes=())


@pytest.mark.slow
@fuzz
@given(st.one_of(csv_files(), damaged(csv_files())))
def test_houses_are_read_and_their_submission_reads_back_or_they_are_refused(tmp_path, data):
    path = tmp_path / "houses.csv"
    path.write_bytes(data)
    sold = outcome_of(read_houses, path)
    if sold is not None:
        assert (np.isfinite(sold.price) & (sold.price > 0)).all()
        write_submission(path, sold.ids, sold.price)
        frame = read_table(path)
        assert frame["Id"].tolist() == sold.ids.tolist()
        np.testing.assert_allclose(frame["SalePrice"].astype(float), sold.price, rtol=1e-5)


@pytest.mark.slow
@fuzz
@given(st.one_of(st.binary(max_size=80), damaged(st.just(b'{"epoch": 1, "train_loss": 0.5}\n{"epoch": 2}\n'))))
def test_metrics_and_configurations_are_read_or_refused(tmp_path, data):
    for name, read in ((run_folder.METRICS, run_folder.read_metrics), (run_folder.CONFIG, run_folder.read_config)):
        (tmp_path / name).write_bytes(data)
        assert isinstance(outcome_of(read, tmp_path), list | dict | None)
    assert isinstance(run_folder.whole_rows(tmp_path), list)


class _Trap:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_nothing_in_it_runs(tmp_path):
    ran = tmp_path / "ran"
    trap = pickle.dumps(_Trap(ran))
    npy = io.BytesIO()
    np.save(npy, np.array([_Trap(ran)], object), allow_pickle=True)
    for data in (trap, npy.getvalue()):
        for read in (
            lambda data: idx.parse(idx.unpack(data, "trap"), "trap", 3),
            lambda data: cifar.read(data, "trap"),
            lambda data: weights.parse(data, "trap"),
        ):
            with pytest.raises(DataError):
                read(data)
        for name in (run_folder.METRICS, run_folder.CONFIG, "table.csv"):
            (tmp_path / name).write_bytes(data)
        for read in (run_folder.read_metrics, run_folder.read_config, lambda p: read_table(p / "table.csv")):
            with pytest.raises(DataError):
                read(tmp_path)
    assert not ran.exists()
