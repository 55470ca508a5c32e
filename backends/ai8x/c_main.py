"""The main program of a project: known-answer test, and a pattern for an application.

Source: register description, section 5.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ai8xc.backends.ai8x.c_facts import Facts
from ai8xc.backends.ai8x.c_input import input_arrays, load_input
from ai8xc.backends.ai8x.templates import fill, template

Q14: Final = 1 << 14
Q31: Final = (1 << 31) - 1
LOGIT_SHIFT: Final = 16
"""Fraction bits of the factor of the logits, fewer where it is large: the product fits 64 bits."""
BYTE_SCALE: Final = 1 / 128
"""The real value of one step of an 8-bit output, where nothing else is known."""


@dataclass(frozen=True)
class MainCode:
    """Writes `main.c`, and for the RISC-V core the program of both."""

    facts: Facts

    def files(self) -> dict[str, str]:
        """Return the main programs by file name."""
        if not self.facts.settings.riscv:
            return {"main.c": self._main()}
        return {"main.c": self._starter(), "main_riscv.c": self._main()}

    def _main(self) -> str:
        facts, options = self.facts, self.facts.options
        checks = options.known_answer
        parts = {
            "inputs": input_arrays(facts.program, section=facts.flash_section),
            "load_input": load_input(facts.program),
            "known_answer": template("known_answer.c") if checks else "",
            "include_answer": '#include "sampleoutput.h"\n' if checks else "",
            "outputs": template("outputs.c") if options.unload else "",
            "check": "        passed = check_output();\n" if checks else "",
            "unload": "        (void)cnn_unload(outputs);\n" if options.unload else "",
            "passed": "PASS" if checks else "DONE",
            "softmax": self._softmax(),
            "report": "        print_classes();\n" if facts.classifies else "",
            "includes": self._includes(),
            "clock_source": f"MXC_S_GCR_PCLKDIV_CNNCLKSEL_{'IPLL' if facts.pll else 'PCLK'}",
            "clock_divider": f"MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV{facts.load_divider}",
            "verify": template("verify_weights.c") if options.verify_weights else "",
            "handler": self._handler(),
            **self._core(),
            "run": "\n".join(self._run()),
            "boost_on": self._boost("enable"),
            "boost_off": self._boost("disable"),
            **self._energy(),
        }
        return fill("main.c", name=facts.name, **parts)

    def _starter(self) -> str:
        """Return what the Arm core does in a project for the RISC-V core."""
        enable, disable = self._switch_pll()
        options = self.facts.options
        deep = options.deep_sleep
        return fill(
            "main_arm.c",
            name=self.facts.name,
            enable_pll=enable,
            disable_pll=disable,
            debug_wait=self._debug_wait(),
            includes='#include "pwrseq_regs.h"\n' if deep else "",
            exclusive=template("exclusive.c") if options.riscv_exclusive else "",
            wake="    MXC_PWRSEQ->lppwen |= MXC_F_PWRSEQ_LPPWEN_CPU1;\n" if deep else "",
            sleep="MXC_LP_EnterLowPowerMode" if deep else "MXC_LP_EnterSleepMode",
        )

    def _includes(self) -> str:
        settings, options = self.facts.settings, self.facts.options
        names = ["board.h"] if settings.riscv and options.riscv_debug else []
        names += ["sema_regs.h"] if settings.riscv else []
        return "".join(f'#include "{name}"\n' for name in names)

    def _handler(self) -> str:
        """Return the interrupt handler, where it cannot be the network's own."""
        settings = self.facts.settings
        return template("handler_riscv.c") if settings.riscv and settings.prefix else ""

    def _switch_pll(self) -> tuple[str, str]:
        """Return the statements that turn the PLL on and off."""
        if not self.facts.pll:
            return "", ""
        ctrl = "    MXC_GCR->ipll_ctrl"
        bit = "MXC_F_GCR_IPLL_CTRL_EN"
        return f"{ctrl} |= {bit};\n", f"{ctrl} &= ~{bit};\n"

    def _debug_wait(self) -> str:
        seconds = self.facts.options.debug_wait
        return fill("debug_wait.c", seconds=seconds) if seconds else ""

    def _core(self) -> dict[str, str]:
        """Return what `main` does as its core must: begin, wait, end."""
        enable, disable = self._switch_pll()
        options = self.facts.options
        if not self.facts.settings.riscv:
            begin = fill("begin_arm.c", enable_pll=enable, debug_wait=self._debug_wait())
            wait = template("wait_arm.c" if options.sleep else "wait_spin.c")
            return {"begin": begin, "wait": wait, "end": disable, "done": ""}
        done = "    MXC_SEMA->irq0 = MXC_F_SEMA_IRQ0_EN | MXC_F_SEMA_IRQ0_CM4_IRQ;\n"
        debug = "    Debug_Init(); /* JTAG pins */\n" if options.riscv_debug else ""
        return {
            "begin": debug + (template("begin_riscv.c") if options.riscv_cache else ""),
            "wait": template("wait_riscv.c" if options.sleep else "wait_spin.c"),
            "end": "",
            "done": f"    /* Wake the Arm core */\n{done}",
        }

    def _run(self) -> list[str]:
        """Return the statements of one inference."""
        settings = self.facts.settings
        run = self._once()
        if settings.one_shot:
            run.append(fill("one_shot.c", layers=len(self.facts.layer_titles) - 1).rstrip())
        if settings.energy:
            run = ["        measure_energy();", *run]
        return [*self._speed("full_speed.c"), *run, *self._speed("load_speed.c")]

    def _once(self) -> list[str]:
        """Return the statements that load the input, start, and wait."""
        calls = ["load_input()", "(void)cnn_start()"]
        if self.facts.program.pushes:
            calls.reverse()
        if self.facts.settings.stop_start:
            calls += ["(void)cnn_stop()", "(void)cnn_continue()"]
        return [f"        {call};" for call in (*calls, "wait_for_cnn()")]

    def _speed(self, file: str) -> list[str]:
        """Return the statements that switch to the clock for running or for loading."""
        facts = self.facts
        if not facts.balanced:
            return []
        return [fill(file, run=facts.divider, load=facts.load_divider).rstrip()]

    def _energy(self) -> dict[str, str]:
        """Return what measures energy, step by step."""
        if not self.facts.settings.energy:
            return {"measure": "", "idle": ""}
        load = "" if self.facts.program.pushes else template("energy_input.c")
        measure = fill("energy.c", input=load, inference="\n".join(self._once()))
        return {"measure": measure, "idle": template("idle.c")}

    def _boost(self, what: str) -> str:
        """Return the call that turns the boost circuit on or off, nothing without one."""
        if not self.facts.settings.boost:
            return ""
        port, pin = self.facts.settings.boost.split(".")
        call = f"(void)cnn_boost_{what}(MXC_GPIO{port}, MXC_GPIO_PIN_{pin});\n"
        return f"    {call}" if what == "enable" else f"        {call}"

    def _softmax(self) -> str:
        facts = self.facts
        if not facts.classifies:
            return ""
        wide = facts.program.unloads[0].wide
        output = "(q31_t)outputs[i]" if wide else "((const int8_t *)outputs)[i]"
        scale = facts.scale or (0.0 if wide else BYTE_SCALE)
        report = fill("softmax_report.c", output=output)
        factor = scale * Q14
        if factor in (0.0, 1.0):
            return fill("softmax_layer.c", scale="", logit=output) + report
        shift = next(s for s in range(LOGIT_SHIFT, -1, -1) if factor * 2**s < Q31 or s == 0)
        text = fill("logit_scale.c", factor=min(round(factor * 2**shift), Q31), shift=shift)
        return fill("softmax_layer.c", scale=text, logit=f"logit({output})") + report
