"""Compiling a generated project for the emulated machine, and what its ELF file holds."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ai8xc.backends.firmware.names import MAIN, Names
from ai8xc.backends.firmware.sdk import sdk_files
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.loc import UNKNOWN

FLAGS: Final = ("-O2", "-std=c99", "-ffunction-sections", "-fdata-sections")
LINK_FLAGS: Final = ("-nostartfiles", "-Wl,--gc-sections")

NO_COMPILER = declare(
    "FW001",
    "the compiler `{name}` is not installed",
    """The firmware engine compiles the generated C with the GNU tools for Arm, projects with
    `--riscv` also with those for RISC-V. Without them `--engine registers` still runs the register
    program on the emulator.""",
    "warning",
)
NOT_COMPILED = declare(
    "FW002",
    "the project does not compile: {why}",
    """The C of the project is compiled unmodified, against a stand-in for the vendor's SDK. A
    project that was edited, or that does not fit the flash memory, is the usual cause.""",
)

NO_ROOM: Final = (
    "`--engine registers` runs the network without the C; compiled with `--no-kat` or "
    "`--max-checklines N`, the known answer takes less, and an application has no sample"
)
OVERFLOW: Final = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
"""What the linker says when weights, sample and known answer are too large."""


@dataclass(frozen=True)
class Toolchain:
    """The GNU tools for a core: prefix of their names, Debian packages, flags."""

    prefix: str
    packages: str
    flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    script: str
    startup: str

    @property
    def compiler(self) -> str:
        """The name of the compiler."""
        return f"{self.prefix}gcc"

    @property
    def missing(self) -> bool:
        """Whether the compiler is absent."""
        return shutil.which(self.compiler) is None


ARM: Final = Toolchain(
    "arm-none-eabi-",
    "`gcc-arm-none-eabi` and `libnewlib-arm-none-eabi`",
    ("-mcpu=cortex-m4", "-mthumb"),
    ("--specs=nano.specs",),
    "machine.ld",
    "startup.c",
)
RISCV: Final = Toolchain(
    "riscv64-unknown-elf-",
    "`gcc-riscv64-unknown-elf` and `picolibc-riscv64-unknown-elf`",
    ("-march=rv32imac", "-misa-spec=2.2", "-mabi=ilp32", "--specs=picolibc.specs"),
    (),
    "machine_riscv.ld",
    "startup_riscv.c",
)


FLASH: Final = 0x1000_0000
RAM: Final = 0x2000_0000


@dataclass(frozen=True)
class Machine:
    """Memories of a chip in bytes; the RISC-V core has RAM from `riscv_ram` on.

    Flash behind the first 64 KiB is for the program of the RISC-V core, if there is one.
    """

    flash: int
    ram: int
    riscv_ram: int
    arm_flash: int = 64 << 10

    def symbols(self, riscv: bool) -> dict[str, int]:
        """Return the sizes that the linker scripts need."""
        return {
            "FLASH_SIZE": self.arm_flash if riscv else self.flash,
            "RAM_SIZE": self.riscv_ram - RAM if riscv else self.ram,
            "RISCV_START": FLASH + self.arm_flash,
            "RISCV_SIZE": self.flash - self.arm_flash,
            "RISCV_RAM": self.riscv_ram,
            "RISCV_RAM_SIZE": RAM + self.ram - self.riscv_ram,
        }


MACHINES: Final[Mapping[str, Machine]] = {
    "max78000": Machine(flash=512 << 10, ram=128 << 10, riscv_ram=0x2001_C000),
    "max78002": Machine(flash=2560 << 10, ram=384 << 10, riscv_ram=0x2005_C000),
}
"""Flash and RAM; the vendor's data sheets, and the register description, section 1."""


@dataclass(frozen=True)
class Segment:
    """Bytes that are loaded to an address."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Firmware:
    """A compiled project: what is loaded where, the functions by address, and its size.

    `text` and `network_text` (of `cnn.c` alone, with the weights) are bytes of flash, `data` and
    `bss` bytes of RAM. `prefix` begins names in C, where it is not `cnn`.
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
    prefix: str = ""
    second: Firmware | None = None
    """What the RISC-V core runs: its ELF file is in a segment of this one."""


def toolchains(names: Names) -> tuple[Toolchain, ...]:
    """Return the tools that a project needs."""
    return (ARM, RISCV) if names.riscv else (ARM,)


def missing_compilers(project: Path) -> list[Diagnostic]:
    """Return a finding about each absent compiler."""
    note = "the register engine was used instead"
    return [
        NO_COMPILER.at(
            UNKNOWN,
            name=tools.compiler,
            help=f"install {tools.packages} (Debian's names)",
            notes=[note],
        )
        for tools in toolchains(Names.of(project))
        if tools.missing
    ]


def build(project: Path, device: str, work: Path) -> Firmware:
    """Compile the project in folder `project` inside the empty folder `work`.

    Raises `Rejected` where the compiler is absent or refuses.
    """
    absent = missing_compilers(project)
    if absent:
        raise Rejected(absent, unusable=True)
    machine = MACHINES[device]
    sdk = work / "sdk"
    sdk.mkdir()
    for name, content in sdk_files().items():
        (sdk / name).write_bytes(content)
    names = Names.of(project)
    job = _Job(project, machine, work, names)
    sources = [path.name for path in sorted(project.glob("*.c"))]
    if not names.riscv:
        return replace(job.linked(ARM, sources), prefix=names.prefix)
    main = names.file(MAIN)
    second = job.linked(RISCV, [name for name in sources if name != main])
    image = work / "riscv.bin"
    _call(f"{RISCV.prefix}objcopy", "-O", "binary", str(work / "riscv.elf"), str(image))
    holder = work / "riscv_image.s"
    holder.write_text(f'.section .riscv_flash, "a"\n.incbin "{image}"\n')
    return replace(job.linked(ARM, [main], holder), second=second, prefix=names.prefix)


@dataclass(frozen=True)
class _Job:
    """A project that is compiled inside the folder `work`."""

    project: Path
    machine: Machine
    work: Path
    names: Names

    def linked(self, tools: Toolchain, names: Sequence[str], *more: Path) -> Firmware:
        """Compile sources of the project for a core; return what was linked."""
        sdk, core = self.work / "sdk", "riscv" if tools is RISCV else "firmware"
        include = (f"-I{sdk}", f"-I{self.project}")
        macros = self.names.riscv_defines if tools is RISCV else self.names.arm_defines
        sources = (*(self.project / name for name in names), sdk / "sdk.c", sdk / tools.startup)
        objects = []
        for source in (*sources, *more):
            target = self.work / f"{core}-{source.stem}.o"
            flags = (*tools.flags, *FLAGS, *include, *(f"-D{macro}" for macro in macros))
            _call(tools.compiler, *flags, "-c", str(source), "-o", str(target))
            objects.append(str(target))
        elf = self.work / f"{core}.elf"
        sizes = self.machine.symbols(self.names.riscv).items()
        definitions = [f"-Wl,--defsym={name}={size}" for name, size in sizes]
        script = f"-T{sdk / tools.script}"
        _call(
            *(tools.compiler, *tools.flags, *FLAGS, *tools.link_flags, *LINK_FLAGS),
            *definitions,
            *(script, *objects, "-o", str(elf)),
        )
        network = Path(self.names.file("cnn.c")).stem
        networks = [Path(name) for name in objects if name.endswith((f"-{network}.o", "_cnn.o"))]
        text = sum(_sizes(tools, network)[0] for network in networks)
        return _read(elf.read_bytes(), self.machine, (*_sizes(tools, elf), text))


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "overflow" in line]
        why = (lines or done.stderr.splitlines() or [f"`{command[0]}` failed"])[0]
        full = OVERFLOW.search(done.stderr)
        if full:
            why = f"it needs {full[2]} bytes of {full[1]} more than the chip has"
        help = NO_ROOM if full else None
        raise Rejected([NOT_COMPILED.at(UNKNOWN, why=why, help=help)], unusable=True)
    return done.stdout


def _sizes(tools: Toolchain, file: Path) -> tuple[int, int, int]:
    """Return text, data and bss."""
    fields = _call(f"{tools.prefix}size", str(file)).splitlines()[1].split()
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
