"""What helps against a broken rule of the hardware, where its own text does not say so.

Each entry says what to change, and what that costs: some leave every output as it is, others are
trained again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Effect = Literal["replace", "edit", "train"]
"""`compile --replace` does it; you edit the description, and outputs stay; you train again."""

PLACE: Final = "; or `--replace`: the compiler places the network anew"
OPTION: Final = "leave the option out"


class Remedy(NamedTuple):
    """What to change, and what that means for the outputs."""

    text: str
    effect: Effect


def _placed(text: str) -> Remedy:
    return Remedy(text + PLACE, "replace")


def _edit(text: str) -> Remedy:
    return Remedy(text, "edit")


def _train(text: str) -> Remedy:
    return Remedy(text, "train")


REMEDIES: Final[Mapping[str, Remedy]] = {
    # network
    "NET-LAYERS-HW": _edit("put a layer between them, or pool by maxima; leave `--repeat-layers`"),
    "NET-QUAD0": _placed("use processors 0 to 15 in one of the layers"),
    "NET-START": _edit("start at layer 0, or compile for max78002"),
    "NET-START-STREAM": _edit("start at layer 0, or load the input without FIFO"),
    "NET-SNOOP": _edit("leave `snoop` out, or compile for max78002 with 32 numbers"),
    "NET-LINK": _edit(OPTION + ": layers run in the order of their numbers"),
    "NET-ONESHOT": _edit(OPTION + ": the emulator shows every layer (`ai8xc run`)"),
    "NET-FIFOGO": _edit(OPTION + ": the network starts with the first word"),
    "NET-REPEAT-FIFO": _edit("load the input without FIFO, or leave `--repeat-layers`"),
    # input
    "INP-CROP": _edit("give the rows that are wanted as the input, in HWC format without FIFO"),
    "INP-CHW-SHARE": _placed("give one processor of each four: 0x11 for two channels"),
    "INP-CHW-FIRST": _edit("delete `data_format`: layers write HWC data"),
    "INP-CHW-PASS": _edit("give the input in HWC format"),
    "INP-CHW-ELT": _edit("give the input in HWC format"),
    # sizes
    "CHAN-PASS16": _train("give the layer before 1,024 output channels at most"),
    "DIM-PADDED": _train("pool in front of the layer, or leave out its padding"),
    "DIM-CNT": _train("give fewer columns, or a smaller padding"),
    "DIM-FRAME": _train("pool in front of the layer, or fold the input"),
    "CONV2D-PAD": _train("give a padding of 1 for 3x3; or pad by layers in front: two of 1 see 4"),
    "PAD-KERNEL": _train("give a padding of 0 for 1x1; a 3x3 kernel has up to 2"),
    "X2D-KERNEL": _train("train with a 3x3 kernel; a smaller one filled up with zeros is the same"),
    "X2D-PAD": _train("give a padding of 1: the output has exactly twice the rows and columns"),
    "CONV1D-PAD": _train("give a padding of 2 at most"),
    "CONV1D-WIDTH": _edit("give `in_dim` with the length alone, or use conv2d"),
    "DIL1D-K1": _edit("delete `dilation`: a single value has no gaps"),
    "DIL1D-LARGE": _train("train with 3 values, without padding, and pool in a layer of its own"),
    "DIL1D-MAX": _train("train with a smaller dilation, or pool in front: both widen the reach"),
    "DIL1D-OFFS": _placed("set `out_offset` to 4 times the dilation or more"),
    "DW-BIASGRP": _edit("delete `bias_group`: such biases lie in the groups of their channels"),
    "DW-OUT4": _placed("write from a multiple of 4 processors on"),
    "DW-IN4": _placed("read from a multiple of 4 processors on, or within one group"),
    "PROC-GAPS": _placed("give processors without gaps, or with equal ones"),
    "RGAP-FLAT": _placed("write the pixels without `write_gap`, and read them without `read_gap`"),
    "OUTWIDTH-MID": _edit("delete `output_width`: layers read 8 bits"),
    "QUANT-BINZERO": _train("train with 1-bit weights (-1 and 0), or with wider ones"),
    "DW-GAPS": _placed("read and write on the same processors, or on some without gaps"),
    "WMEM-DW": _placed("start below or behind the border of the two memories"),
    "BYPASS": _edit("use a convolution with weights of 1: it computes the same"),
    "FLAT-STREAM": _edit("delete `streaming` in this layer"),
    # pools
    "POOL-SIZE": _train("pool twice: 4x4 behind 4x4 sees 16x16 and is the same for maxima"),
    "POOL-STRIDE": _train("pool twice: a stride of 4 behind one of 4 steps by 16"),
    "POOL-STRIDE-SQ": _train("give one stride for rows and columns"),
    "POOL-DIL": _train("pool without dilation, or compile for max78002"),
    "POOL-DIL-GEOM": _train("dilate windows of 2 only, or give sizes that both formulas agree on"),
    "POOL-FIRST-USE": _edit("delete `pool_first`: with one operand there is no order"),
    "POOL-LAST-ELT": _edit("combine in a layer of its own, and pool in the next"),
    # operands
    "OPERANDS-RANGE": _train("combine 16 at a time: each further layer clamps in between"),
    "ELT-MP-ROWS": _train("pool in front, or combine two operands at a time"),
    "ELT-PROC": _placed("write all operands to the same processors"),
    "PASS-MAP": _placed("write to the same group, side by side; a 1x1 convolution moves freely"),
    "PASS-STREAM": _edit("stream up to the layer before, or use a convolution"),
    # processors, offsets, gaps
    "PROC-COUNT": _placed("give one processor for each channel of a pass"),
    "OPROC-COUNT": _placed("give one processor for each channel of a pass"),
    "BIAS-HOLES": _placed("write to processors without gaps"),
    "BIAS-GROUP": _placed("name a group that some layer reads from, or delete `bias_group`"),
    "SEQ-NEXT": _edit("sort the layers in the order in which they run"),
    "SEQ-STREAM": _edit("put the next streaming layer directly behind"),
    "RGAP-DEV": _placed("write without a gap in the layer before"),
    "RGAP-MP": _placed("write without a gap in the layer before"),
    "WGAP-MAX": _placed("combine fewer operands, or write them to other memories"),
    "OUTWIDTH-ACT": _edit("give `activate: none`, and rectify on the core"),
    "OFFS-RANGE": _placed("give an offset inside of the data memory"),
    "OFFS-ALIGN": _placed("give a multiple of 4"),
    "RDA-DEV": _edit("delete `readahead`: outputs are the same, the layer takes longer"),
    "RDA-INST": _placed("put input and output at least 16,384 bytes apart"),
    "RDA-STREAM": _placed("put the buffers at least 16,384 bytes apart"),
    # weights
    "SHIFT-RANGE": _edit("scale the weights by a power of two: `ai8xc quantize` finds the shift"),
    "QUANT-FIT": _edit("quantise again with these bits, or give the layer 8"),
    "QUANT-BINARY": _train("use `quantization: 1` (-1 and 0), or compile for max78002"),
    "QUANT-MIX": _train("use one of both kinds in all layers, or 2 bits in one of them"),
    "QUANT-BINVAL": _edit("use 2 bits for weights that are 0 too"),
    "CALCX4": _edit("delete `calcx4`: outputs are the same, the layer takes four times as long"),
    "QUAD-M": _edit("use `--fast-fifo`: outputs are the same, the first layer takes longer"),
    # streams and FIFOs
    "STREAM-FIFO": _edit("add `--fifo`, or delete `streaming`"),
    "STREAM-ORDER": _edit("stream the layers in front as well, or none behind"),
    "STREAM-LAYERS": _edit("stream the first 8 layers only, if the data behind fit"),
    "STREAM-INVOL": _train("give streaming layers fewer channels, or stream fewer of them"),
    "STREAM-TRAM": _train("give narrower data, or fewer channels in streaming layers"),
    "STREAM-START": _train("give narrower data, or smaller pools in streaming layers"),
    "STREAM-D1": _train("pool with a smaller stride"),
    "STREAM-D2": _train("give narrower data, or pool with a smaller stride"),
    "STREAM-ROLL": _train("give narrower data"),
    "STREAM-INST": _placed("put the buffer further from the end of the memory"),
    "STREAM-INOUT": _placed("put buffer and output further apart, or on other processors"),
    "STREAM-BUF": _placed("put the buffers further apart, or on other processors"),
    "STREAM-FRAME": _train("give a smaller input, or scale it where it is taken"),
    "FIFO-CHAN": _edit("load the input without FIFO"),
    "FIFO-PROC": _placed("read from processors 0 to 3 of each group"),
    "FIFO-LANES": _placed("fill four channels of a group before the next one"),
    "FIFO-ELT": _edit("load the input without FIFO, or combine in the second layer"),
    "FFIFO-CHAN": _edit("use `--fifo`, which carries 16 channels"),
    "FFIFO-WIDTH": _edit("put a layer behind, or use `--fifo`"),
    "FFIFO-OP": _edit("use `--fifo`, or start with a convolution"),
}
"""Rule, remedy."""
