"""The cycle formula against the vendor's published counts (semantics, section 4.4)."""

import pytest

from ai8xc.passes.estimate_cycles import STARTUP, Window, cycles

# op, input, pool, stride, passes, outputs, kernel, pad, operands, order, slots, flatten, cycles
PUBLISHED = [
    ("conv", (20, 20), (2, 2), 2, 1, 16, 3, 2, 1, "pool", 1, False, 3049),
    ("conv", (65, 65), (16, 16), 4, 1, 32, 3, 1, 1, "pool", 1, False, 49010),
    ("conv", (32, 32), (1, 1), 1, 1, 64, 3, 1, 1, "pool", 1, False, 67981),
    ("conv", (32, 32), (1, 1), 1, 1, 64, 3, 0, 1, "pool", 1, False, 59773),
    ("conv", (32, 32), (2, 2), 2, 1, 64, 3, 0, 1, "pool", 1, False, 13885),
    ("conv", (8, 8), (2, 2), 2, 2, 16, 3, 1, 1, "pool", 1, False, 773),
    ("conv", (8, 8), (1, 1), 1, 2, 16, 3, 1, 1, "pool", 1, False, 2485),
    ("conv", (8, 8), (1, 1), 1, 2, 16, 3, 0, 1, "pool", 1, False, 1437),
    ("conv", (28, 28), (1, 1), 1, 1, 8, 3, 1, 1, "pool", 1, False, 8189),
    ("copy", (12, 12), (1, 1), 1, 1, 4, 1, 0, 2, "pool", 1, False, 721),
    ("transposed", (7, 9), (1, 1), 1, 1, 64, 3, 1, 1, "pool", 1, False, 16837),
    ("conv", (4, 4), (1, 1), 1, 1, 10, 1, 0, 1, "pool", 16, False, 193),
    ("copy", (12, 12), (1, 1), 1, 2, 4, 3, 0, 2, "pool", 1, False, 1441),
    ("conv", (11, 11), (1, 1), 1, 2, 1, 3, 0, 1, "pool", 1, False, 687),
    ("copy", (17, 17), (2, 2), 2, 1, 8, 1, 0, 2, "elt", 2, False, 705),
    ("conv", (8, 8), (1, 1), 1, 1, 10, 1, 0, 1, "pool", 1, True, 770),
    ("conv", (1, 1), (1, 1), 1, 1, 1, 3, 1, 1, "pool", 1, False, 29),
    ("conv", (1, 1), (1, 1), 1, 1, 17, 1, 0, 1, "pool", 1, False, 20),
    ("conv", (31, 7), (1, 1), 1, 1, 11, 3, 1, 1, "pool", 1, False, 3062),
]


def pooled(size, window, stride):
    return (size + stride - window) // stride


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: str(row[-1]))
def test_published_counts(row):
    op, size, pool, stride, passes, outputs, kernel, pad, parts, order, slots, flat, count = row
    rows, columns = (pooled(n, p, stride) for n, p in zip(size, pool, strict=True))
    if op == "transposed":
        rows, columns = 2 * rows, 2 * columns
    window = Window(
        passes=passes,
        parts=parts,
        pool=pool,
        rows=rows,
        columns=columns,
        out_columns=columns + 2 * pad - kernel + 1,
        kernel=(kernel, kernel),
        pad=(pad, pad),
        outputs=outputs,
        slots=slots,
        flatten=flat,
        pool_first=order == "pool",
        copies=op == "copy",
    )
    assert cycles(window).total + STARTUP == count


def test_more_outputs_take_more_cycles():
    few = Window(1, 1, (1, 1), 8, 8, 8, (3, 3), (1, 1), outputs=4)
    many = Window(1, 1, (1, 1), 8, 8, 8, (3, 3), (1, 1), outputs=64)
    assert cycles(many).total > cycles(few).total
    assert cycles(many).dominating == "output"
