"""The generated `load_input`: block copies into data memory, or pushes into FIFOs.

Source: register description, sections 5.6 and 6.5.
"""

from __future__ import annotations

from ai8xc.backends.ai8x.c_names import hexadecimal
from ai8xc.backends.ai8x.c_tables import input_number, sample_words
from ai8xc.backends.ai8x.templates import fill
from ai8xc.dialects.reg import Program, Push


def input_arrays(program: Program, section: str = "") -> str:
    """Return the definitions of the arrays of the sample, in a section of flash."""
    numbers = sample_words(program)
    note = "Sample input; a debugger may replace it" if program.pushes else "Sample input"
    lines = [f"{section}static const uint32_t input_{n}[] = SAMPLE_INPUT_{n};" for n in numbers]
    return "\n".join([f"/* {note} */", *lines, ""])


def load_input(program: Program) -> str:
    """Return the function `load_input`."""
    if program.pushes:
        return _pushes(program, program.pushes[0])
    lines = []
    for load in program.loads:
        number = input_number(program, load)
        address = hexadecimal(program.address(load))
        words = len(load.data.array)
        lines += [
            f"    /* Processors {number} to {number + 3} */",
            f"    memcpy32((uint32_t *)(uintptr_t){address}, input_{number}, {words});",
        ]
    return fill("load_memory.c", copies="\n".join(lines)).rstrip()


def _pushes(program: Program, push: Push) -> str:
    registers = program.registers
    lines, macros = [], []
    if push.fast:
        status, full = "FAST_FIFO_SR", registers.register("FAST_FIFO_SR").field("full").mask
    else:
        status, full = "FIFO_STAT", 0
    macros.append(f"#define CNN_{status} {_volatile(registers.address(status))}")
    for fifo in push.fifos:
        port = "FAST_FIFO_DR" if push.fast else "FIFO_DATA"
        address = registers.address(port, 0, 0 if push.fast else fifo)
        macros.append(f"#define CNN_FIFO_{fifo} {_volatile(address)}")
        if push.wait:
            bit = hexadecimal(full or 1 << fifo)
            lines += [f"        while ((CNN_{status} & {bit}) != 0) {{", "        }"]
        # volatile, or a compiler makes immediate operands of a few words; not the array itself,
        # which would then lie in RAM
        source = f"((const volatile uint32_t *)input_{fifo})[i]"
        lines.append(f"        CNN_FIFO_{fifo} = {source};")
    if not push.wait:
        macros = macros[1:]
    body = "\n".join(lines)
    count = len(push.data.array)
    return fill("load_fifo.c", macros="\n".join(macros), words=count, pushes=body).rstrip()


def _volatile(address: int) -> str:
    return f"(*(volatile uint32_t *)(uintptr_t){hexadecimal(address)})"
