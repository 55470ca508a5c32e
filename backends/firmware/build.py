"""Compiling a generated project for the emulated machine, and what its ELF file holds."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ai8xc.backends.firmware.sdk import sdk_files
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.loc import UNKNOWN

COMPILER: Final = "arm-none-eabi-gcc"
SIZE: Final = "arm-none-eabi-size"
SOURCES: Final = ("cnn.c", "main.c", "softmax.c")
HEADERS: Final = ("cnn.h", "weights.h", "sampledata.h", "sampleoutput.h")
CPU_FLAGS: Final = ("-mcpu=cortex-m4", "-mthumb")
FLAGS: Final = ("-O2", "-std=c99", "-ffunction-sections", "-fdata-sections")
LIBRARY_FLAGS: Final = ("--specs=nano.specs", "-nostartfiles", "-Wl,--gc-sections")

NO_COMPILER = declare(
    "FW001",
    "the compiler `{name}` is not installed",
    """The firmware engine compiles the generated C for the Cortex-M4 with the GNU tools for Arm.
    Without them `--engine registers` still runs the register program on the emulator.""",
    "warning",
)
NOT_COMPILED = declare(
    "FW002",
    "the project does not compile: {why}",
    """The C of the project is compiled unmodified, against a stand-in for the vendor's SDK. A
    project that was edited, or that does not fit the flash memory, is the usual cause.""",
)


@dataclass(frozen=True)
class Machine:
    """Memory sizes of a chip in bytes."""

    flash: int
    ram: int


MACHINES: Final[Mapping[str, Machine]] = {
    "max78000": Machine(flash=512 << 10, ram=128 << 10),
    "max78002": Machine(flash=2560 << 10, ram=384 << 10),
}
"""Flash and RAM of the Arm core; the vendor's data sheets."""


@dataclass(frozen=True)
class Segment:
    """Bytes that are loaded to an address."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Firmware:
    """A compiled project: what is loaded where, the functions by address, and its size.

    `text` and `network_text` (of `cnn.c` alone, with the weights) are bytes of flash, `data` and
    `bss` bytes of RAM.
    """

    machine: Machine
    entry: int
    segments: tuple[Segment, ...]
    functions: Mapping[int, str]
    symbols: Mapping[str, int]
    text: int
    data: int
    bss: int
    network_text: int


def compiler_missing() -> bool:
    """Whether the compiler is absent."""
    return shutil.which(COMPILER) is None


def missing_compiler() -> Diagnostic:
    """Return the finding about the absent compiler."""
    help = "install `gcc-arm-none-eabi` and `libnewlib-arm-none-eabi` (Debian's names)"
    note = "the register engine was used instead"
    return NO_COMPILER.at(UNKNOWN, name=COMPILER, help=help, notes=[note])


def build(project: Path, device: str, work: Path) -> Firmware:
    """Compile the project in folder `project` inside the empty folder `work`.

    Raises `Rejected` where the compiler is absent or refuses.
    """
    if compiler_missing():
        raise Rejected([missing_compiler()], unusable=True)
    machine = MACHINES[device]
    sdk = work / "sdk"
    sdk.mkdir()
    for name, content in sdk_files().items():
        (sdk / name).write_bytes(content)
    include = (f"-I{sdk}", f"-I{project}")
    objects = []
    for source in (*(project / name for name in SOURCES), sdk / "sdk.c", sdk / "startup.c"):
        target = work / f"{source.stem}.o"
        _call(COMPILER, *CPU_FLAGS, *FLAGS, *include, "-c", str(source), "-o", str(target))
        objects.append(str(target))
    elf = work / "firmware.elf"
    sizes = (f"FLASH_SIZE={machine.flash}", f"RAM_SIZE={machine.ram}")
    definitions = [f"-Wl,--defsym={size}" for size in sizes]
    script = f"-T{sdk / 'machine.ld'}"
    _call(
        *(COMPILER, *CPU_FLAGS, *FLAGS, *LIBRARY_FLAGS, *definitions, script),
        *(*objects, "-o", str(elf)),
    )
    text, data, bss = _sizes(elf)
    return _read(elf.read_bytes(), machine, (text, data, bss, _sizes(work / "cnn.o")[0]))


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "overflow" in line]
        why = (lines or done.stderr.splitlines() or [f"`{command[0]}` failed"])[0]
        raise Rejected([NOT_COMPILED.at(UNKNOWN, why=why)], unusable=True)
    return done.stdout


def _sizes(file: Path) -> tuple[int, int, int]:
    """Return text, data and bss."""
    fields = _call(SIZE, str(file)).splitlines()[1].split()
    return int(fields[0]), int(fields[1]), int(fields[2])


def _read(content: bytes, machine: Machine, sizes: tuple[int, int, int, int]) -> Firmware:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(io.BytesIO(content))
    segments = tuple(
        Segment(int(part["p_paddr"]), bytes(part.data()))
        for part in elf.iter_segments()
        if part["p_type"] == "PT_LOAD" and part["p_filesz"]
    )
    symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
    functions = {
        int(symbol["st_value"]) & ~1: str(name)
        for name, symbol in symbols.items()
        if symbol["st_info"]["type"] == "STT_FUNC"
    }
    addresses = {str(name): int(symbol["st_value"]) for name, symbol in symbols.items()}
    return Firmware(machine, int(elf["e_entry"]), segments, functions, addresses, *sizes)
