"""The fixed-point softmax of the C runtime against the definition in double precision."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

RUNTIME = Path(__file__).parents[2] / "runtime_c"
CNN_H = """
#include <stdint.h>
typedef int32_t q31_t;
typedef int16_t q15_t;
void softmax_q17p14_q15(const q31_t *vec_in, const uint16_t dim_vec, q15_t *p_out);
void softmax_shift_q17p14_q15(q31_t *vec_in, const uint16_t dim_vec, uint8_t in_shift,
                              q15_t *p_out);
"""

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
words = st.integers(-(2**31), 2**31 - 1)
logits = st.integers(-20 << 14, 20 << 14)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("softmax")
    (folder / "cnn.h").write_text(CNN_H)
    target = folder / "softmax.so"
    flags = ["-O2", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    source = RUNTIME / "src" / "softmax.c"
    command = ["gcc", *flags, *sanitize, "-shared", "-fPIC", f"-I{folder}", source, "-o", target]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(target))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def softmax(library, values):
    given = np.asarray(values, np.int32)
    result = np.zeros(len(given), np.int16)
    library.softmax_q17p14_q15(pointer(given), ctypes.c_uint16(len(given)), pointer(result))
    return result


def exact(values):
    x = np.asarray(values, np.float64) / 2**14
    weights = np.exp(x - x.max())
    return np.minimum(np.rint(weights / weights.sum() * 2**15), 2**15 - 1)


@settings(max_examples=300)
@given(values=st.one_of(
    arrays(np.int32, st.integers(1, 64), elements=logits),
    arrays(np.int32, st.integers(1, 16), elements=words),
))  # fmt: skip
def test_within_one_unit(library, values):
    assert np.abs(softmax(library, values) - exact(values)).max() <= 1


@pytest.mark.parametrize("count", [1, 2, 1000, 4096])
@pytest.mark.parametrize("spread", [0, 1, 1 << 12, 1 << 16])
def test_many_inputs(library, count, spread):
    values = np.random.default_rng(count).integers(-spread, spread + 1, count)
    assert np.abs(softmax(library, values) - exact(values)).max() <= 1


def test_no_inputs(library):
    assert softmax(library, []).size == 0


def test_shift_scales_the_inputs_first(library):
    given = np.array([100, -7, 4000], np.int32)
    result = np.zeros(3, np.int16)
    shifted = given.copy()
    library.softmax_shift_q17p14_q15(
        pointer(shifted), ctypes.c_uint16(3), ctypes.c_uint8(4), pointer(result)
    )
    assert shifted.tolist() == (given * 16).tolist()
    assert np.abs(result - exact(given * 16)).max() <= 1
