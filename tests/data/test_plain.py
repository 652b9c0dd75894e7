"""Every type and layout of numbers has one plain form, or is refused in a sentence."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxd2l.data import DataError, Examples, check_examples
from jaxd2l.data.plain import plain, require_numbers

INTEGERS = [f"{order}{sign}{size}" for order in "<>" for sign in "iu" for size in (1, 2, 4, 8)]
FLOATS = ["<f2", ">f2", "<f4", ">f4", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
NO_NUMBERS = {
    "object": np.array([1, "a", None], object),
    "text": np.array(["1", "2", "3"]),
    "bytes": np.array([b"1", b"2", b"3"]),
    "complex": np.array([1j, 2, 3]),
    "dates": np.array(["2020-01-01"] * 3, "M8[D]"),
    "spans of time": np.array([1, 2, 3], "m8[s]"),
    "structured": np.zeros(3, [("a", "f4"), ("b", "i4")]),
    "void": np.zeros(3, "V4"),
    "longdouble": np.ones(3, np.longdouble),
    "one number": np.float32(3),
    "a scalar array": np.array(3),
    "a list": [1.0, 2.0, 3.0],
    "masked": np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False]),
}


def layouts(a):
    """The same values: strided, reversed in memory, in Fortran order, read-only, as a subclass."""
    wide = np.repeat(a, 2, axis=0)[::2]
    backwards = np.ascontiguousarray(a[::-1])[::-1]
    locked = a.copy()
    locked.flags.writeable = False
    subclass = a.view(type("Own", (np.ndarray,), {}))
    return [wide, backwards, np.asfortranarray(a), locked, np.ma.array(a), subclass]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, bool])
def test_numbers_of_every_type_and_layout_keep_their_values(dtype):
    values = np.arange(6).reshape(3, 2) % 2 if dtype is bool else np.arange(6).reshape(3, 2)
    for a in layouts(values.astype(dtype)):
        checked = plain(require_numbers(a, "inputs"), "inputs")
        assert type(checked) is np.ndarray
        assert checked.dtype.isnative
        assert checked.dtype.itemsize <= 4
        np.testing.assert_array_equal(checked.astype(np.float64), values)


@pytest.mark.parametrize("dtype", ["float8_e5m2", "float8_e8m0fnu", "float6_e2m3fn", "float4_e2m1fn", "int4", "uint4"])
def test_arrays_of_jax_of_few_bits_keep_their_values(dtype):
    values = np.array([[1, 2], [4, 1]])
    checked = plain(require_numbers(jnp.asarray(values.astype(getattr(ml_dtypes, dtype))), "inputs"), "inputs")
    np.testing.assert_array_equal(np.asarray(checked, np.float64), values)


@pytest.mark.parametrize("part", ["inputs", "targets"])
@pytest.mark.parametrize("what", NO_NUMBERS)
@pytest.mark.parametrize("num_classes", [None, 3])
def test_what_is_no_array_of_numbers_is_refused_in_one_sentence(what, part, num_classes):
    good = np.zeros(3, np.int32)
    x, y = (NO_NUMBERS[what], good) if part == "inputs" else (good, NO_NUMBERS[what])
    with pytest.raises(DataError, match=f"rows: {part}.*(;|expected)"):
        check_examples(Examples(x, y), num_classes, "rows")


@pytest.mark.parametrize("classes", [2, 127, 128, 200, 255, 256, 300, 1000, 2**31 - 1])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_labels_are_compared_as_integers_of_any_size(dtype, classes):
    largest = min(classes - 1, np.iinfo(dtype).max)
    labels = np.array([0, largest, 1], dtype)
    checked = check_examples(Examples(np.zeros((3, 1), np.float32), labels), classes)
    assert checked.y.dtype == np.int32
    np.testing.assert_array_equal(checked.y, [0, largest, 1])
    if classes <= np.iinfo(dtype).max:
        with pytest.raises(DataError, match=f"label {classes} at row 1"):
            check_examples(Examples(np.zeros((2, 1)), np.array([0, classes], dtype)), classes)
    if np.iinfo(dtype).min < 0:
        with pytest.raises(DataError, match="label -1 at row 1"):
            check_examples(Examples(np.zeros((2, 1)), np.array([0, -1], dtype)), classes)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (np.array([1, 2**24 + 1]), 2**24 + 1),
        (np.array([1, 2**40]), 2**40),
        (np.array([1, 2**63], np.uint64), 2**63),
        (np.array([1, -(2**63)]), -(2**63)),
        (np.array([[1, 2], [3, 2**31]], ">u4"), 2**31),
        (np.array([1.0, 1e39]), "1e"),
    ],
)
def test_a_number_that_float32_cannot_hold_is_named(array, value):
    with pytest.raises(DataError, match=rf"hold {value}.* at row 1"):
        plain(array, "inputs")


def test_a_label_that_is_no_whole_number_is_named():
    with pytest.raises(DataError, match=r"float32 \(2,\) with 1.5 at row 1"):
        check_examples(Examples(np.zeros((2, 1)), np.float32([1, 1.5])), 3)
