"""What a layer does, in a line or two for the reader of the generated C."""

from __future__ import annotations

import textwrap

from ai8xc.backends.ai8x.c_unload import comment_text
from ai8xc.dialects import ai8x
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork

WIDTH = 88
OPERATIONS = {"add": "sum", "sub": "difference", "or": "bitwise or", "xor": "bitwise xor"}


def layer_titles(network: HardwareNetwork) -> dict[int, list[str]]:
    """Return the comment of each hardware layer by its number, in lines."""
    return {layer.number: _title(layer) for layer in network.sequence}


def _title(layer: HardwareLayer) -> list[str]:
    nodes = ", ".join(layer.op.loc.nodes) or layer.op.name
    head = f"Layer {layer.number}: {comment_text(nodes)}"
    return [line for text in (head, _work(layer.op)) for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _work(op: ai8x.Layer) -> str:
    """Return the steps of a layer from its input to its output."""
    steps = [_dims(op.in_shape), *_combined(op), *_operator(op), _dims(op.type.shape[1:])]
    return " -> ".join(step for step in steps if step)


def _combined(op: ai8x.Layer) -> list[str]:
    """Return pooling and element-wise operation in their order."""
    pool = _pool(op.pool) if op.pool else ""
    combined = f"{OPERATIONS[op.eltwise]} of {op.parts}" if op.eltwise in OPERATIONS else ""
    return [pool, combined] if op.pool_first else [combined, pool]


def _pool(pool: ai8x.Pool) -> str:
    strides = f" stride {_each(pool.strides)}"
    if pool.kernel == (1, 1):
        return f"every value at{strides}"
    return f"{'average' if pool.average else 'max'} pool {_dims(pool.kernel)}{strides}"


def _operator(op: ai8x.Layer) -> list[str]:
    match op:
        case ai8x.Conv2d() | ai8x.Conv1d():
            kernel = op.kernel if isinstance(op, ai8x.Conv2d) else op.kernel[:1]
            groups = f" in {op.groups} groups" if op.groups > 1 else ""
            dilation = f" dilation {_each(op.dilation)}" if op.dilation != (1, 1) else ""
            name = f"convolution {_dims(kernel)}{_padding(op.pad)}{dilation}{groups}"
        case ai8x.ConvTranspose2d():
            name = f"transposed convolution {_dims(op.kernel)} stride 2{_padding(op.pad)}"
        case ai8x.Linear():
            name = "matrix on all values" if op.flatten else "matrix on each pixel"
        case _:
            return ["copy"] if op.pool is None and op.eltwise == "none" else []
    activation = {"none": "", "relu": ", ReLU", "abs": ", absolute value"}[op.activation]
    width = ", 32 bits" if op.wide else ""
    return [f"{name}, {op.weight_bits}-bit weights{activation}{width}"]


def _padding(pad: tuple[int, ...]) -> str:
    return f" pad {_each(pad)}" if any(pad) else ""


def _each(sizes: tuple[int, ...]) -> str:
    """Return the size of both axes, one number where they are the same."""
    return str(sizes[0]) if len(set(sizes)) == 1 else _dims(sizes)


def _dims(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
