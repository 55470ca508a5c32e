"""What the C of a project is like: choices that change no register and no number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodeOptions:
    """How the C is written; source: hardware semantics, section 6.

    `known_answer`: `main.c` compares the outputs with the known answer, `check_words` of them.
    `unload`: there is a function that copies the outputs. `softmax`: of 8-bit outputs, too.
    `sleep`: the core sleeps while the accelerator runs; `deep_sleep`: the Arm core more deeply,
    while the RISC-V core works. `timed`: the inference is measured by the timer. `debug_wait`:
    seconds before anything sleeps.
    `clock_divider`: of the accelerator; None: the usual one. `max_speed`: data and weights are
    loaded at full speed, too. `switch_delay`: milliseconds that the supply takes; None: as usual.
    `verify_writes`, `verify_weights`: registers and weights are read back and compared.
    `unroll_...`: how often the C compiler unrolls the loops that copy outputs; None: as it likes.
    `defines`, and those of each core: macros for the C compiler, `NAME` or `NAME=VALUE`.
    `riscv_...`: constants in its flash section, instruction cache, JTAG pins, SRAM of its own.
    """

    known_answer: bool = True
    check_words: int | None = None
    unload: bool = True
    softmax: bool = False
    sleep: bool = True
    deep_sleep: bool = False
    timed: bool = True
    debug_wait: int = 2
    clock_divider: int | None = None
    max_speed: bool = False
    switch_delay: int | None = None
    verify_writes: bool = False
    verify_weights: bool = False
    unroll_bytes: int | None = None
    unroll_wide: int | None = None
    unroll_transposed: int | None = None
    defines: tuple[str, ...] = ()
    defines_arm: tuple[str, ...] = ()
    defines_riscv: tuple[str, ...] = ()
    board: str = ""
    main_file: str = ""
    api_file: str = ""
    weight_file: str = ""
    sample_file: str = ""
    answer_file: str = ""
    riscv_flash: bool = True
    riscv_cache: bool = True
    riscv_debug: bool = False
    riscv_exclusive: bool = False

    @property
    def file_names(self) -> dict[str, str]:
        """The files whose names are chosen, and these names; a header goes with its `.c` file."""
        chosen = {
            "main.c": self.main_file,
            "cnn.c": self.api_file,
            "weights.h": self.weight_file,
            "sampledata.h": self.sample_file,
            "sampleoutput.h": self.answer_file,
        }
        found = {file: name for file, name in chosen.items() if name}
        if "cnn.c" in found:
            found["cnn.h"] = found["cnn.c"].removesuffix(".c") + ".h"
        if "main.c" in found:
            found["main_riscv.c"] = found["main.c"].removesuffix(".c") + "_riscv.c"
        return found


def unroll(times: int | None, indent: str) -> str:
    """Return the line that makes the C compiler unroll the loop behind it, or nothing."""
    return f"{indent}#pragma GCC unroll {times}\n" if times is not None else ""
