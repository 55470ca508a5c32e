"""`registers.json` and `memory.npz`: a register program for other tools.

Their content is described in the manual; numbers only, the same bytes for the same program.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Final

import numpy as np

from ai8xc.backends.ai8x.unload import unload_words
from ai8xc.dialects.reg import Program
from ai8xc.dialects.settings import Settings
from ai8xc.ir.types import Array

BEGINNING: Final = ("cnn_init", "cnn_configure", "cnn_start", "cnn_stop", "cnn_continue")
"""The functions in the order of execution; an inference that has ended is not continued."""
NEXT_LAYER: Final = ("CNN_ISR", "cnn_continue")
"""What follows each layer but the last where the network stops behind every layer."""


def registers_file(program: Program) -> str:
    """Return the text of `registers.json`, one access a line."""
    functions = []
    stops = program.layers - 1 if Settings.of(program.graph).one_shot else 0
    for function in map(program.function, (*BEGINNING, *NEXT_LAYER * stops, "CNN_ISR")):
        accesses = ",\n".join(f"    {json.dumps(access.as_json())}" for access in function.accesses)
        functions.append(f'  {{"name": {json.dumps(function.name)}, "writes": [\n{accesses}\n  ]}}')
    body = ",\n".join(functions)
    return f'{{"device": {json.dumps(program.device)}, "functions": [\n{body}\n]}}\n'


def memory_arrays(program: Program) -> dict[str, Array]:
    """Return the arrays of `memory.npz` by name; without a sample there are no answers."""
    weights, biases = program.kernel_words(), program.bias_words()
    inputs, expected = program.input_words(), program.expected_words()
    arrays = {
        "weights_address": weights[0],
        "weights_value": weights[1],
        "bias_address": biases[0],
        "bias_value": biases[1],
        "input_address": inputs[0],
        "input_value": inputs[1],
        "expected_address": expected[0],
        "expected_mask": expected[1],
        "expected_value": expected[2],
    }
    if program.expected:
        memory = dict(zip(expected[0].tolist(), expected[2].tolist(), strict=True))
        outputs = [program.read_output(o, memory.__getitem__) for o in program.outputs]
        names = ["output"] if len(outputs) == 1 else [f"output_{i}" for i in range(len(outputs))]
        wide = (output.astype(np.int32) for output in outputs)
        arrays |= dict(zip(names, wide, strict=True))
        address, value = program.unloaded_words()
        memory |= dict(zip(address.tolist(), value.tolist(), strict=True))
        copied = [program.read_output(u, memory.__getitem__) for u in program.unloads]
        arrays["unload"] = unload_words(copied)
    return arrays


def archive(arrays: Mapping[str, Array]) -> bytes:
    """Return an `.npz` file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as members:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, whatever the clock says
            members.writestr(entry, member.getvalue())
    return content.getvalue()
