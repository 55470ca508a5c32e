"""The C project of a register program: files for the vendor's SDK.

Names and return codes are the vendor's; source: register description, sections 5.1 to 5.13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ai8xc.backends.ai8x.c_configure import ConfigureCode
from ai8xc.backends.ai8x.c_input import input_arrays, load_input
from ai8xc.backends.ai8x.c_names import CNames, hexadecimal
from ai8xc.backends.ai8x.c_prefix import prefixed
from ai8xc.backends.ai8x.c_tables import (
    output_header,
    output_tables,
    sample_header,
    sample_tables,
    weight_tables,
    weights_header,
)
from ai8xc.backends.ai8x.c_unload import comment_text, output_bytes, unload_function
from ai8xc.backends.ai8x.templates import fill, runtime_file, template
from ai8xc.device import Device, load_device
from ai8xc.dialects.reg import Program
from ai8xc.dialects.settings import Settings
from ai8xc.registers import WORD_BYTES

BOARDS: Final = {"max78000": ("EvKit_V1", "FTHR_RevA"), "max78002": ("EvKit_V1",)}
SWITCH_DELAY_MS: Final = {"max78000": 0, "max78002": 10}
"""How long the power switches take; register description, section 1."""

MAX_CLASSES: Final = 4096
"""Outputs up to which the error bound of the softmax holds."""


Q14: Final = 1 << 14
Q31: Final = (1 << 31) - 1
LOGIT_SHIFT: Final = 16
"""Fraction bits of the factor of the logits, fewer where it is large: the product fits 64 bits."""


@dataclass(frozen=True)
class CProject:
    """A register program as a C project; `titles` say what its layers do, by their numbers."""

    program: Program
    titles: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the project: that of the graph, as a file and in a C string may have it."""
        return re.sub(r"[^A-Za-z0-9_.+-]", "_", self.program.graph.name) or "network"

    @cached_property
    def device(self) -> Device:
        """The device."""
        return load_device(self.program.device)

    @property
    def chip(self) -> str:
        """The device as the vendor writes it."""
        return self.device.name.upper()

    @cached_property
    def settings(self) -> Settings:
        """How the network is fed, started and run."""
        return Settings.of(self.program.graph)

    @cached_property
    def groups(self) -> list[int]:
        """The groups in use."""
        accesses = self.program.function("cnn_start").accesses
        return sorted({a.op.group for a in accesses if a.op.register == "CTL"})

    @cached_property
    def express(self) -> bool:
        """Weights are loaded packed."""
        accesses = self.program.function("cnn_init").accesses
        field = self.program.registers.register("CTL").field("express")
        return any(field.of(a.value) for a in accesses if a.op.register == "CTL")

    @property
    def pll(self) -> bool:
        """The accelerator runs on the PLL."""
        return self.device.clocks.pll > 0 and self.settings.pll

    @property
    def scale(self) -> float:
        """The real value of one step of the first output, 0 where it is not known."""
        match self.program.graph.get("output_scales"):
            case (float(scale), *_):
                return scale
        return 0.0

    @property
    def classifies(self) -> bool:
        """The outputs are wide numbers, one for each class."""
        match self.program.unloads:
            case (only,):
                values = only.channels * only.rows * only.columns
                return only.wide and values == only.channels <= MAX_CLASSES
        return False

    def files(self) -> dict[str, str]:
        """Return the text of every file by its name."""
        boards = BOARDS[self.device.name]
        facts = {"name": self.name, "chip": self.chip, "board": boards[0]}
        facts["boards"] = " or ".join(boards)
        riscv = self.settings.riscv
        core = "riscv" if riscv else "arm"
        facts["sources"] = template(f"sources_{core}.mk").rstrip()
        mains = {"main.c": self._main()}
        if riscv:
            enable, disable = self._switch_pll()
            arm = fill("main_arm.c", name=self.name, enable_pll=enable, disable_pll=disable)
            mains = {"main.c": arm, "main_riscv.c": mains["main.c"]}
        files = {
            "cnn.h": self._header(),
            "cnn.c": self._network(),
            "weights.h": weights_header(weight_tables(self.program, self.express)),
            "softmax.c": runtime_file("src/softmax.c"),
            **mains,
            "sampledata.h": sample_header(sample_tables(self.program)),
            "sampleoutput.h": output_header(output_tables(self.program)),
            "Makefile": fill("Makefile", **facts),
            "project.mk": fill("project.mk", **facts),
        }
        return prefixed(files, self.settings.prefix)

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
            timer=fill("timer.h", timer=self.settings.timer) if not self.settings.energy else "",
            signals=self._signals(),
            handler=self._handler,
            handler_note="" if self.settings.riscv else "; cnn_enable() installs it",
            unload_layout="channel by channel, row by row",
        )

    def _network(self) -> str:
        names = CNames(self.program.registers)
        start = [names.statement(a) for a in self.program.function("cnn_start").accesses]
        configure = ConfigureCode(self.program, names, self.groups, self._titles())
        unload = unload_function(self.program, names, transposes=self.settings.mlator)
        delay = SWITCH_DELAY_MS[self.device.name]
        parts = {
            "layers": self._layers(),
            "includes": "#include <string.h>\n" if "memcpy(" in unload else "",
            "groups": hexadecimal(sum(1 << group for group in self.groups)),
            "biases": self._bias_arrays(),
            "isr": "\n".join(self._statements(names, "CNN_ISR")),
            "stop": "\n".join(self._statements(names, "cnn_stop")),
            "continue": "\n".join(self._statements(names, "cnn_continue")),
            "weights": self._weights(),
            "load_bias": self._load_bias(names),
            "init": "\n".join(self._statements(names, "cnn_init")),
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

    @property
    def _handler(self) -> str:
        if self.settings.riscv:
            return '__attribute__((interrupt("machine"))) void CNN_IRQHandler(void)'
        return "void CNN_ISR(void)"

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

    def _statements(self, names: CNames, function: str) -> list[str]:
        accesses = self.program.function(function).accesses
        return [line for access in accesses for line in names.statement(access)]

    def _layers(self) -> str:
        """Return the layers for the head of the file."""
        found = self._titles()
        lines = [
            (" * " if n == 0 else " *     ") + x for t in found.values() for n, x in enumerate(t)
        ]
        return "\n".join(lines)

    def _titles(self) -> Mapping[int, Sequence[str]]:
        """Return what is said about each hardware layer; of a bare program, its nodes."""
        if self.titles:
            return self.titles
        found: dict[int, list[str]] = {}
        for access in self.program.function("cnn_configure").accesses:
            if self.program.registers.register(access.op.register).scope == "layer":
                nodes = comment_text(", ".join(access.op.loc.nodes))
                title = f"Layer {access.op.index}{': ' if nodes else ''}{nodes}"
                found.setdefault(access.op.index, [title])
        return found

    def _weights(self) -> str:
        if not self.express:
            return template("weights_plain.c")
        stride = self.program.registers.memory("kernel").stride
        return fill("weights_packed.c", stride=hexadecimal(stride))

    def _bias_arrays(self) -> str:
        groups = [b.group for b in self.program.biases]
        if not groups:
            return ""
        lines = [f"static const uint8_t bias_{g}[] = BIAS_{g};" for g in groups]
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

    def _main(self) -> str:
        parts = {
            "inputs": input_arrays(self.program),
            "load_input": load_input(self.program),
            "softmax": self._softmax(),
            "report": "        print_classes();\n" if self.classifies else "",
            "includes": '#include "sema_regs.h"\n' if self.settings.riscv else "",
            "clock_source": f"MXC_S_GCR_PCLKDIV_CNNCLKSEL_{'IPLL' if self.pll else 'PCLK'}",
            "clock_divider": f"MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV{self._divider}",
            **self._core(),
            "run": "\n".join(self._run()),
            "boost_on": self._boost("enable"),
            "boost_off": self._boost("disable"),
            **self._energy(),
        }
        return fill("main.c", name=self.name, **parts)

    def _switch_pll(self) -> tuple[str, str]:
        """Return the statements that turn the PLL on and off."""
        if not self.pll:
            return "", ""
        ctrl = "    MXC_GCR->ipll_ctrl"
        bit = "MXC_F_GCR_IPLL_CTRL_EN"
        return f"{ctrl} |= {bit};\n", f"{ctrl} &= ~{bit};\n"

    def _core(self) -> dict[str, str]:
        """Return what `main` does as its core must: begin, wait, end."""
        enable, disable = self._switch_pll()
        if not self.settings.riscv:
            begin = fill("begin_arm.c", enable_pll=enable)
            return {"begin": begin, "wait": template("wait_arm.c"), "end": disable, "done": ""}
        done = "    MXC_SEMA->irq0 = MXC_F_SEMA_IRQ0_EN | MXC_F_SEMA_IRQ0_CM4_IRQ;\n"
        return {
            "begin": template("begin_riscv.c"),
            "wait": template("wait_riscv.c"),
            "end": "",
            "done": f"    /* Wake the Arm core */\n{done}",
        }

    def _run(self) -> list[str]:
        """Return the statements of one inference."""
        settings = self.settings
        run = self._once()
        if settings.one_shot:
            layers = self._titles()
            run.append(fill("one_shot.c", layers=len(layers) - 1).rstrip())
        if settings.energy:
            run = ["        measure_energy();", *run]
        return [*self._divide(), *run]

    def _once(self) -> list[str]:
        """Return the statements that load the input, start, and wait."""
        calls = ["load_input()", "(void)cnn_start()"]
        if self.program.pushes:
            calls.reverse()
        if self.settings.stop_start:
            calls += ["(void)cnn_stop()", "(void)cnn_continue()"]
        return [f"        {call};" for call in (*calls, "wait_for_cnn()")]

    def _energy(self) -> dict[str, str]:
        """Return what measures energy, step by step."""
        if not self.settings.energy:
            return {"measure": "", "idle": ""}
        load = "" if self.program.pushes else template("energy_input.c")
        measure = fill("energy.c", input=load, inference="\n".join(self._once()))
        return {"measure": measure, "idle": template("idle.c")}

    def _boost(self, what: str) -> str:
        """Return the call that turns the boost circuit on or off, nothing without one."""
        if not self.settings.boost:
            return ""
        port, pin = self.settings.boost.split(".")
        call = f"(void)cnn_boost_{what}(MXC_GPIO{port}, MXC_GPIO_PIN_{pin});\n"
        return f"    {call}" if what == "enable" else f"        {call}"

    def _signals(self) -> str:
        """Return the macros that tell the outside what is at work."""
        gpio = self.settings.energy and self.device.has("pll")
        return template(f"signals_{'gpio' if gpio else 'led'}.h").rstrip()

    def _divide(self) -> list[str]:
        """Return the statements that take the PLL to full speed, if the network may run so."""
        if not self.pll or not self._pipelined:
            return []
        return [template("full_speed.c").rstrip()]

    @property
    def _pipelined(self) -> bool:
        """The accelerator has a pipeline, and it is on."""
        return self.device.has("pipeline") and self.settings.pipeline

    @property
    def _divider(self) -> int:
        """The clock divider while loading: a quarter of the PLL, else full speed where it may be.

        Source: register description, section 5.1.
        """
        clocks = self.device.clocks
        if self.pll:
            return 4
        slow = clocks.apb > clocks.max_without_pipeline and not self._pipelined
        return 2 if slow else 1

    def _softmax(self) -> str:
        if not self.classifies:
            return ""
        factor = self.scale * Q14
        if factor in (0.0, 1.0):
            layer = fill("softmax_layer.c", scale="", logit="(q31_t)outputs[i]")
            return layer + template("softmax_report.c")
        shift = next(s for s in range(LOGIT_SHIFT, -1, -1) if factor * 2**s < Q31 or s == 0)
        scale = fill("logit_scale.c", factor=min(round(factor * 2**shift), Q31), shift=shift)
        layer = fill("softmax_layer.c", scale=scale, logit="logit(outputs[i])")
        return layer + template("softmax_report.c")
