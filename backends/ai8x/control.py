"""The control registers: initialisation, start, continue, stop and the interrupt handler.

Source: register description, sections 3, 5.3, 5.7 to 5.9 and 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ai8xc.backends.ai8x.layer_context import Fields
from ai8xc.dialects import reg
from ai8xc.dialects.ai8x import Weighted
from ai8xc.ir.core import Op, Word
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.registers import RegisterMap

INIT, CONFIGURE, START = "cnn_init", "cnn_configure", "cnn_start"
SRAM_TIMING: Final = 1038
"""The value that the vendor always gives the SRAM register."""
FIFO_THRESHOLD: Final = 2
FAST_FIFO_THRESHOLD: Final = 10

CLEAR_PATTERNS: Final = {"data": 4, "kernel": 8, "tram": 12, "bias": 7}
"""`mode` of the memory test of MAX78002 for each memory; section 3.4."""


@dataclass(frozen=True, eq=False)
class Control:
    """Writes the control registers of a network."""

    network: HardwareNetwork
    registers: RegisterMap

    def write(
        self, function: str, register: str, group: int, fields: Fields, *, force: bool = False
    ) -> Iterator[Op]:
        """Yield a write of these fields; nothing for 0 unless it is forced."""
        word = self.registers.encode(register, **fields)
        if word or force or self.network.settings.write_zeros:
            yield reg.Write(function, register, group, word=Word(word))

    # cnn_init

    def init(self) -> Iterator[Op]:
        """Yield the ops of cnn_init."""
        groups, device = self.network.groups, self.network.device
        if device.has("register-clear"):
            for group in groups:
                yield from self.write(INIT, "CTL", group, {"clock_enable": 1} | self._pipeline())
        yield from self.write(INIT, "AON_CTL", 0, {}, force=True)
        if device.has("register-clear"):
            yield from self._clear_registers()
        for group in groups:
            yield from self.write(INIT, "CTL", group, self._init_fields())
            if not device.has("register-clear"):
                yield from self.write(INIT, "SRAM", group, {"timing": SRAM_TIMING})
            yield from self.write(INIT, "LCNT_MAX", group, self._layer_numbers())
        if self.network.settings.zero_memories:
            for memory in ("data", "kernel", "tram", "bias"):
                yield from self._clear_memory(memory)

    def _pipeline(self) -> dict[str, int]:
        off = self.network.device.has("pipeline") and not self.network.settings.pipeline
        return {"pipeline_off": 1} if off else {}

    def _init_fields(self) -> dict[str, int]:
        settings = self.network.settings
        fields = {"clock_enable": 1, "fifo": int(settings.fifo), "express": int(settings.express)}
        return fields | self._pipeline()

    def _layer_numbers(self) -> Fields:
        network = self.network
        last = network.settings.repeat * (network.final.slot + network.hidden)
        return {"last": last, "first": network.start.number}

    def _clear_registers(self) -> Iterator[Op]:
        groups = self.network.groups
        has_bias = any(
            isinstance(layer.op, Weighted) and layer.op.bias is not None
            for layer in self.network.sequence
        )
        for group in groups:
            yield from self.write(INIT, "SRAM", group, {"timing": SRAM_TIMING})
        mode = 7 if has_bias else 6
        for group in groups:
            yield from self.write(INIT, "SRAM_TEST", group, {"clear_registers": 1, "mode": mode})
        done = self.registers.encode("SRAM_TEST", registers_done=1)
        for group in groups:
            yield reg.Poll(INIT, "SRAM_TEST", group, mask=Word(done), word=Word(done))
        for group in groups:
            yield from self.write(INIT, "SRAM_TEST", group, {}, force=True)

    def _clear_memory(self, memory: str) -> Iterator[Op]:
        """Yield the clearing of one kind of memory in all groups; section 3.4."""
        test = self.registers.register("SRAM_TEST")
        fields = {f"zero_{memory}": 1}
        done = {f"{memory}_done": 1}
        if "mode" in test.fields:
            fields["mode"] = CLEAR_PATTERNS[memory]
        else:
            done["all_done"] = 1
        groups = range(self.registers.groups)
        mask = Word(test.encode(**done))
        error = Word(test.encode(**{f"{memory}_error": 1}))
        for group in groups:
            yield from self.write(INIT, "SRAM_TEST", group, fields)
        for group in groups:
            yield reg.Poll(INIT, "SRAM_TEST", group, mask=mask, word=mask)
        for group in groups:
            yield reg.Check(INIT, "SRAM_TEST", group, mask=error)
        for group in groups:
            yield from self.write(INIT, "SRAM_TEST", group, {}, force=True)

    # cnn_configure

    def snoopers(self) -> Iterator[Op]:
        """Yield the snooper registers, values as the user gives them; section 3.6."""
        names = [name for name, r in self.registers.registers.items() if r.scope == "snooper"]
        for group in self.network.groups if self.network.settings.snoop else ():
            for number, value in enumerate(self.network.settings.snoop[: 2 * len(names)]):
                index, name = divmod(number, len(names))
                if value or self.network.settings.write_zeros:
                    yield reg.Write(CONFIGURE, names[name], group, index, word=Word(value))

    def fifo(self) -> Iterator[Op]:
        """Yield the control register of the FIFO in use."""
        settings = self.network.settings
        if settings.fast_fifo:
            yield from self.write(CONFIGURE, "FAST_FIFO_IE", 0, {})
            yield from self.write(CONFIGURE, "FAST_FIFO_CR", 0, {"threshold": FAST_FIFO_THRESHOLD})
        elif settings.fifo:
            fields = {"almost_empty": FIFO_THRESHOLD, "almost_full": FIFO_THRESHOLD}
            fields["enable"] = self._fifo_enables()
            if "cpl" in self.registers.register("FIFO_CTL").fields:
                fields["cpl"] = 1
            yield from self.write(CONFIGURE, "FIFO_CTL", 0, fields)

    def _fifo_enables(self) -> int:
        start, span = self.network.start, self.network.device.processors_per_group
        count = self.network.device.groups
        fed = {channel % count for channel in range(start.channels)}
        return sum(1 << i for i in fed if start.source_processors >> span * i & 1)

    # cnn_start

    def start(self) -> Iterator[Op]:
        """Yield the ops of cnn_start: all groups but the first run, then the first starts them."""
        network, settings = self.network, self.network.settings
        first = network.groups[0]
        common = self._start_fields()
        for group in network.groups:
            run = {"external_sync": 1, "enable": int(group != first)}
            yield from self.write(START, "CTL", group, self._group_fields(group) | run)
        if settings.power_down:
            unused = sum(1 << g for g in range(self.registers.groups) if g not in network.groups)
            yield from self.write(START, "AON_CTL", 0, {"power_off": unused})
        fields = common | self._fifo_fields(first) | {"enable": 1}
        yield from self.write(START, "CTL", first, fields)

    def _group_fields(self, group: int) -> dict[str, int]:
        fields = self._start_fields() | self._fifo_fields(group)
        fields["master"] = self.network.groups[0]
        if self.network.settings.fifo:
            fields["fifo"] = 1
        return fields

    def _start_fields(self) -> dict[str, int]:
        network, settings = self.network, self.network.settings
        fields = {
            "clock_enable": 1,
            "streaming": int(network.any_streaming),
            "average_round": int(settings.average_rounding),
            "external_sync": int(settings.fifo),
            "fifo_stream": int(settings.fifo and network.any_streaming),
            "express": int(settings.express),
            "simple1b": int(settings.simple1b),
            "quad": int(settings.quad),
            "external_ready": int(settings.external_ready),
        }
        if network.device.has("binary-weights"):
            fields["binary"] = int(any(layer.binary for layer in network.sequence))
        if network.device.has("one-shot"):
            fields["one_shot"] = int(settings.one_shot)
        if network.device.has("snoop"):
            fields["snoop"] = int(bool(settings.snoop))
        if network.device.has("pipeline"):
            chw = network.start.streaming and network.start.op.mode.chw
            fields["start_chw"] = int(chw)
        return fields | self._pipeline()

    def _fifo_fields(self, group: int) -> dict[str, int]:
        """Fields of a group that a FIFO feeds."""
        settings, start = self.network.settings, self.network.start
        lowest = start.in_group(start.source_processors, group) & 15
        if not settings.fifo or not lowest:
            return {}
        fields = {"fifo": 1}
        if settings.fast_fifo:
            several = start.source_processors == 1 or start.source_processors & 14
            fields |= {"fast_fifo": 1, "fast_fifo_group": int(bool(several))}
        return fields

    # The rest

    def handlers(self) -> Iterator[Op]:
        """Yield what the interrupt handler, cnn_continue and cnn_stop do to CTL."""
        network, ctl = self.network, self.registers.register("CTL")
        cleared = {"done": 1, "enable": 1, "streaming": int(network.any_streaming)}
        if network.settings.one_shot:
            cleared = {"done": 1}
        for group in network.groups:
            clear = Word(ctl.encode(**cleared))
            yield reg.Modify("CNN_ISR", "CTL", group, clear=clear)
        enable = Word(ctl.encode(enable=1))
        first = network.groups[0]
        yield reg.Modify("cnn_continue", "CTL", first, set=enable)
        yield reg.Modify("cnn_stop", "CTL", first, clear=enable)
