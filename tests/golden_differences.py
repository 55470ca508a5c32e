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

REPORTED = [
    (r"test-flatten-bias__repeat-layers_2", "overwritten", "the repeat reads a torn input"),
    (
        r"test-fifostream.*__fifo-(override|increase)-start_.*",
        "inconsistent",
        "counters set by hand",
    ),
    (r".*__fifo-overlap", "stream-buffer", "the overlap check of the tool was switched off"),
]
"""Correct answers by luck or by permission: the sanitizer reports these programs with reason."""

LARGER_THAN_THE_CHIP = [
    (
        r"MAX78000-(test-burnin(-rand)?_64x64x64|test-readahead-burnin-random)",
        "sample and known answer exceed flash or RAM: the firmware ran on a chip with more",
    ),
]
"""By device and name: everything is the vendor's, but the program has no room."""


BOTH = ("MAX78000", "MAX78002")
LARGE = ("MAX78002",)
MOVED = "two kernels at one address"

# Accepted programs that cannot give their known answer (golden README): name, devices, cause, and
# the rule by which a user of that network is told.
DEFECTS = [
    (r".*__zero-unused", BOTH, "the option clears registers of the last layer", "OPT-NOEFFECT"),
    (
        r"test-cifar10-chw\+bias|test-fifostream-cifar-hwc\+bias__fifo",
        BOTH,
        "output map with holes and bias",
        "BIAS-HOLES",
    ),
    (
        r"test-fifostream-cifar-hwc\+bias__fifo",
        BOTH,
        "output map with holes and bias",
        "BIAS-HOLES",
    ),
    (
        r"test-fifostream-group-notvga64x48-hwc__(fifo|ffifo-rv|ffquad-rv)",
        BOTH,
        "two channels are never pushed",
        "FIFO-LANES",
    ),
    (r"test-fifo-hwc__ffquad-rv", BOTH, "quad start layer with 1x1 kernels", "AX404"),
    (
        r"test-multilayer-eltwise",
        BOTH,
        "the answer splits channels, the registers pixels",
        "MEM-OVER-IN",
    ),
    (r"test-ffsx4-cifar10-hwc__ffquad-rv", LARGE, MOVED, "AX406"),
    (r"test-ffsx4readahead-nopad-multipass5-w8__ffifo-rv", LARGE, MOVED, "AX406"),
    (r"test-fifostream-x4-cifar-hwc(-128x128)?__fifo", LARGE, MOVED, "AX406"),
    (r"test-mpadd-128__calcx4", LARGE, MOVED, "AX404"),
]


def defect(entry):
    """Why the program cannot give its known answer, None when it can."""
    row = listed(entry.name, [row for row in DEFECTS if entry.device in row[1]])
    return row[2] if row else None


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
