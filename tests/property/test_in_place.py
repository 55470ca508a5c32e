"""A layer that writes over its input: the distance that placement asks for, window by window."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai8xc.checker.write_order import writes_behind
from ai8xc.device import load_device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Data, Input, Mask
from ai8xc.ir.types import TensorType
from ai8xc.passes.placement.in_place import distance

DEVICE = load_device("max78000")
BASE = 8192
Pair = tuple[int, int]


@st.composite
def convolutions(draw: st.DrawFn) -> ai8x.Conv2d:
    """Layers of one operand; up to three passes in, one out."""
    channels = draw(st.sampled_from([8, 64, 96, 130]))
    size = draw(st.tuples(st.integers(4, 9), st.integers(4, 9)))
    kernel = draw(st.sampled_from([1, 3]))
    pad = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    window, stride = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return layer_of(channels, size, kernel, pad, window, stride)


def layer_of(
    channels: int, size: Pair, kernel: int, pad: Pair, window: int, stride: int
) -> ai8x.Conv2d:
    """Return a convolution behind a pool."""
    weight = np.ones((4, channels, kernel, kernel), np.int8)
    return ai8x.Conv2d(
        xs=(Input(TensorType((1, channels, *size), "i8"), name="x"),),
        weight=ai8x.Constant(value=Data(weight), element="i8"),
        pool=ai8x.Pool((window, window), (stride, stride)),
        pad=pad,
    )


def clean(layer: ai8x.Conv2d, ahead: int) -> bool:
    """Whether no word is read after its replacement, when the output begins `ahead` words before.

    Each output pixel reads its whole window anew, then writes its word.
    """
    assert layer.pool is not None
    passes = -(-layer.in_shape[0] // 64)
    _, _, rows, columns = layer.type.shape
    width = layer.in_shape[2]
    (down, right), (tall, wide) = layer.pool.strides, layer.pool.kernel
    replaced: set[int] = set()
    for number, (row, column) in enumerate(np.ndindex(rows, columns)):
        taps = product(range(layer.kernel[0]), range(layer.kernel[1]), range(tall), range(wide))
        for i, j, a, b in taps:
            v, u = row - layer.pad[0] + i, column - layer.pad[1] + j
            if not (0 <= v < layer.pooled_shape[1] and 0 <= u < layer.pooled_shape[2]):
                continue
            y, x = v * down + a, u * right + b
            words = {(y * width + x) * passes + turn for turn in range(passes)}
            if words & replaced:
                return False
        replaced.add(number - ahead)
    return True


def dense(layer: ai8x.Conv2d) -> bool:
    """Whether windows of the pool leave no pixels between them."""
    assert layer.pool is not None
    return layer.pool.kernel >= layer.pool.strides


@settings(max_examples=100, deadline=None)
@given(convolutions())
def test_the_distance_is_enough(layer: ai8x.Conv2d) -> None:
    """And the checker, which has its own proof, knows exactly what is, but for unread pixels."""
    ahead = distance(layer, DEVICE)
    assert ahead is not None
    assert clean(layer, ahead // 4)
    for words in (ahead // 4, ahead // 4 - 1, ahead // 4 - 8):
        place = ai8x.Place(Mask(255), Mask(15), in_offset=BASE, out_offset=BASE - 4 * words)
        accepted = writes_behind(layer, place, DEVICE)
        assert accepted == clean(layer, words) or not (accepted or dense(layer))


def test_the_distance_is_no_more_than_needed() -> None:
    """A 1x1 layer writes where it read; 3x3 stays a row and a pixel behind."""
    assert distance(layer_of(64, (8, 9), 1, (0, 0), 1, 1), DEVICE) == 0
    assert distance(layer_of(64, (8, 9), 3, (1, 1), 1, 1), DEVICE) == 4 * (9 + 1)
    assert distance(layer_of(64, (8, 9), 3, (0, 0), 1, 1), DEVICE) == 0
    assert distance(layer_of(65, (8, 9), 1, (0, 0), 1, 1), DEVICE) == 0
