"""The C project of a register program: files for the vendor's SDK.

Names and return codes are the vendor's; source: register description, sections 5.1 to 5.13.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ai8xc.backends.ai8x.c_configure import ConfigureCode
from ai8xc.backends.ai8x.c_facts import BOARDS, Facts
from ai8xc.backends.ai8x.c_main import MainCode
from ai8xc.backends.ai8x.c_names import CNames, hexadecimal
from ai8xc.backends.ai8x.c_prefix import file_names, prefixed
from ai8xc.backends.ai8x.c_tables import (
    output_header,
    output_tables,
    sample_header,
    sample_tables,
    weight_tables,
    weights_header,
)
from ai8xc.backends.ai8x.c_unload import Unrolled, comment_text, output_bytes, unload_function
from ai8xc.backends.ai8x.templates import fill, runtime_file, template
from ai8xc.registers import WORD_BYTES

SWITCH_DELAY_MS: Final = {"max78000": 0, "max78002": 10}
"""How long the power switches take; register description, section 1."""


class CProject(Facts):
    """A register program as a C project."""

    def files(self) -> dict[str, str]:
        """Return the text of every file by its name."""
        facts = {"name": self.name, "chip": self.chip, "board": self.board}
        facts["boards"] = " or ".join(BOARDS[self.device.name])
        core = "riscv" if self.settings.riscv else "arm"
        facts["sources"] = template(f"sources_{core}.mk").rstrip()
        facts["defines"] = self._defines()
        answer = output_tables(self.program, self._checked_words())
        files = {
            "cnn.h": self._header(),
            "cnn.c": self._network(),
            "weights.h": weights_header(weight_tables(self.program, self.express)),
            "softmax.c": runtime_file("src/softmax.c"),
            **MainCode(self).files(),
            "sampledata.h": sample_header(sample_tables(self.program)),
            "sampleoutput.h": output_header(answer),
            "Makefile": fill("Makefile", **facts),
            "project.mk": fill("project.mk", **facts),
        }
        return prefixed(files, self.settings.prefix, self.file_names)

    @property
    def file_names(self) -> dict[str, str]:
        """The files that have another name than usual, and these names."""
        return file_names(self.settings.prefix, self.options.file_names)

    def _checked_words(self) -> int | None:
        """Return how many words the known-answer test compares, None for all."""
        return self.options.check_words if self.options.known_answer else 0

    def _defines(self) -> str:
        """Return the lines of the Makefile that hand macros to the C compiler."""
        options = self.options
        lines = [f"PROJ_CFLAGS += {_macros(options.defines)}"] if options.defines else []
        arm, riscv = (_macros(names) for names in (options.defines_arm, options.defines_riscv))
        if arm or riscv:
            flags = "PROJ_CFLAGS +="
            lines += ['ifeq "$(RISCV_CORE)" "1"', f"{flags} {riscv}", "else", f"{flags} {arm}"]
            lines += ["endif"]
        return "".join(f"{line}\n" for line in lines)

    def _header(self) -> str:
        unloads = self.program.unloads
        outputs = sum(u.channels * u.rows * u.columns for u in unloads)
        weights = sum(k.data.array.size for k in self.program.kernels)
        biases = sum(len(b.data.array) for b in self.program.biases)
        summary = [
            f" * Weight memory: {weights} bytes. Bias memory: {biases} bytes.",
            *(
                f" * Output {comment_text(u.output)}: {u.channels} x {u.rows} x {u.columns},"
                f" {32 if u.wide else 8} bits"
                for u in unloads
            ),
        ]
        return fill(
            "cnn.h",
            name=self.name,
            chip=self.chip,
            summary="\n".join(summary),
            outputs=outputs,
            output_words=-(-sum(map(output_bytes, unloads)) // WORD_BYTES),
            timer=self._timer(),
            unload=template("unload.h") if self.options.unload else "",
            signals=self._signals(),
            handler=self._handler,
            handler_note=self._handler_note(),
        )

    def _timer(self) -> str:
        if self.settings.energy or not self.options.timed:
            return ""
        return fill("timer.h", timer=self.settings.timer)

    def _network(self) -> str:
        names = CNames(self.program.registers)
        start = [names.statement(a) for a in self.program.function("cnn_start").accesses]
        verify = self.options.verify_writes
        configure = ConfigureCode(self.program, names, self.groups, self.layer_titles, verify)
        unload = (
            unload_function(self.program, names, self._unrolled()) if self.options.unload else ""
        )
        delay = self.options.switch_delay
        delay = SWITCH_DELAY_MS[self.device.name] if delay is None else delay
        parts = {
            "layers": self._layers(),
            "includes": "#include <string.h>\n" if "memcpy(" in unload else "",
            "groups": hexadecimal(sum(1 << group for group in self.groups)),
            "biases": self._bias_arrays(),
            "section": self.flash_section,
            "isr": "\n".join(self._statements(names, "CNN_ISR")),
            "stop": "\n".join(self._statements(names, "cnn_stop")),
            "continue": "\n".join(self._statements(names, "cnn_continue")),
            "weights": self._weights(),
            "load_bias": self._load_bias(names),
            "init": "\n".join(self._statements(names, "cnn_init", verify=verify)),
            "configure": configure.body(),
            "write_groups": self._write_groups(configure),
            "start": "\n".join(line for lines in start[:-1] for line in lines),
            "go": "\n".join(start[-1]),
            "unload": unload,
            "power_delay": f"    MXC_Delay(MXC_DELAY_MSEC({delay}));\n" if delay else "",
            "wait_pll": template("wait_pll.c") if self.pll else "",
            "handler": self._handler,
            "complete": "" if self.settings.energy else "    CNN_COMPLETE;\n",
            "started": "" if self.settings.energy else "    CNN_START;\n",
            **self._interrupt(),
        }
        parts |= {"registers": names.macros(), "fields": names.field_macros()}
        return fill("cnn.c", name=self.name, chip=self.chip, **parts)

    def _unrolled(self) -> Unrolled:
        options = self.options
        return Unrolled(
            options.unroll_bytes,
            options.unroll_wide,
            options.unroll_transposed,
            transposes=self.settings.mlator,
        )

    @property
    def _handler(self) -> str:
        if self.settings.riscv and not self.settings.prefix:
            return '__attribute__((interrupt("machine"))) void CNN_IRQHandler(void)'
        return "void CNN_ISR(void)"

    def _handler_note(self) -> str:
        if not self.settings.riscv:
            return "; cnn_enable() installs it"
        return ", which that of the core calls" if self.settings.prefix else ""

    def _interrupt(self) -> dict[str, str]:
        """Return how the interrupt is enabled and how its handler ends, on the core in use."""
        if not self.settings.riscv:
            return {
                "handled": "",
                "enable_interrupt": "    MXC_NVIC_SetVector(CNN_IRQn, CNN_ISR);",
            }
        calls = ("NVIC_EnableIRQ", "NVIC_EnableEVENT")
        enables = ["    __enable_irq();", *(f"    {call}(CNN_IRQn);" for call in calls)]
        cleared = ("NVIC_ClearPendingIRQ", "NVIC_ClearPendingEVENT")
        return {
            "handled": "".join(f"    {call}(CNN_IRQn);\n" for call in cleared),
            "enable_interrupt": "\n".join(enables),
        }

    def _write_groups(self, configure: ConfigureCode) -> str:
        if not configure.uses_helper:
            return ""
        stride = hexadecimal(self.program.registers.group_stride)
        return fill("write_groups.c", stride=stride, writes="\n".join(configure.helper()))

    def _statements(self, names: CNames, function: str, *, verify: bool = False) -> list[str]:
        """Return the statements of a function; what it writes before AON_CTL is not verified."""
        lines: list[str] = []
        reset = True
        for access in self.program.function(function).accesses:
            reset = reset and access.op.register != "AON_CTL"
            lines += names.statement(access)
            if verify and not reset:
                lines += names.verified(access)
        return lines

    def _layers(self) -> str:
        """Return the layers for the head of the file."""
        found = self.layer_titles
        lines = [
            (" * " if n == 0 else " *     ") + x for t in found.values() for n, x in enumerate(t)
        ]
        return "\n".join(lines)

    def _weights(self) -> str:
        if not self.express:
            return template("weights_plain.c")
        stride = self.program.registers.memory("kernel").stride
        return fill("weights_packed.c", stride=hexadecimal(stride))

    def _bias_arrays(self) -> str:
        groups = [b.group for b in self.program.biases]
        if not groups:
            return ""
        kind = f"{self.flash_section}static const uint8_t"
        lines = [f"{kind} bias_{g}[] = BIAS_{g};" for g in groups]
        return "\n".join(["\n/* Biases of each group, in the order of its memory */", *lines, ""])

    def _load_bias(self, names: CNames) -> str:
        groups = [b.group for b in self.program.biases]
        if not groups:
            return template("bias_none.c").rstrip()
        loads = [
            f"    memcpy_8to32(&{names.bias(g)}, bias_{g}, (uint32_t)sizeof(bias_{g}));"
            for g in groups
        ]
        return fill("bias.c", loads="\n".join(loads)).rstrip()

    def _signals(self) -> str:
        """Return the macros that tell the outside what is at work."""
        gpio = self.settings.energy and self.device.has("pll")
        return template(f"signals_{'gpio' if gpio else 'led'}.h").rstrip()


def _macros(names: Sequence[str]) -> str:
    return " ".join(f"-D{name}" for name in names)
