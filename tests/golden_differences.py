"""Where our programs for the vendor's networks differ from the vendor's, and why.

Nothing else differs; the tests on the vendor vectors share these tables.
"""

import re

import golden_corpus
import numpy as np

# name, parts that differ, reason
DELIBERATE = [
    (
        r"test-snoop2?-(stop|noxval)",
        {"unload"},
        "the vendor unloads the last layer, which the run does not reach",
    ),
    (
        r".*__zero-unused",
        {"cnn_configure"},
        "the vendor's option clears registers of the last layer instead of unused ones",
    ),
    (
        r".*__snoop-loop",
        {"cnn_start"},
        "obsolete: an endless loop for register simulations",
    ),
    (
        r".*__apb-base_0x60000000",
        {"handlers", "packed kernels"},
        "obsolete: another base address; everything else is compared after moving it back",
    ),
    (
        r"test-ffsx4-cifar10-hwc__ffquad-rv"
        r"|test-ffsx4readahead-nopad-multipass5-w8__ffifo-rv"
        r"|test-fifostream-x4-cifar-hwc(-128x128)?__fifo",
        {"cnn_configure", "kernels", "packed kernels"},
        "the vendor stores two kernels in one column; ours are placed by real columns",
    ),
]

REFUSED = [
    (
        r"test-mpadd-128__calcx4|test-fifo-hwc__ffquad-rv",
        "calcx4 and quad layers with 1x1 kernels: the vendor's kernels are not where they are read",
    ),
    (
        r"test-fifostream-group-notvga64x48-hwc__ffquad-rv",
        "a quad start layer with channels outside group 0, which are never pushed",
    ),
]


def listed(name, table):
    return next((row for row in table if re.fullmatch(row[0], name)), None)


def kernel_words(arrays):
    """Addresses and words of the kernels, ascending; a kernel is four words."""
    runs = arrays.get("kern_runs", np.zeros((0, 2), np.int64)).tolist()
    starts = [start + 16 * np.arange(count) for start, count in runs]
    start = np.concatenate([np.zeros(0, np.int64), *starts])
    order = np.argsort(start, kind="stable")
    words = golden_corpus.plain_words(arrays.get("kern_bytes", np.zeros((0, 9), np.uint8))[order])
    return (start[order][:, None] + np.arange(0, 16, 4)).reshape(-1), words
