"""The generated `cnn_configure`: layer by layer, commented in the words of the user's model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ai8xc.backends.ai8x.c_names import CNames
from ai8xc.dialects.reg import Access, Program

MIN_GROUPS = 2


@dataclass(frozen=True)
class ConfigureCode:
    """Writes the function; `titles` are the comments of the layers, by their numbers."""

    program: Program
    names: CNames
    groups: Sequence[int]
    titles: Mapping[int, Sequence[str]]
    verify: bool = False
    """Every register is read back."""

    @property
    def uses_helper(self) -> bool:
        """Whether some register gets one value in all groups."""
        return any(self._is_common(run) for run in self._runs())

    def helper(self) -> list[str]:
        """Return the statements that write a word to all groups, `first` being the first one's."""
        steps = [group - self.groups[0] for group in self.groups]
        places = [f"{step}u * CNN_GROUP_WORDS" if step else "0" for step in steps]
        return [f"    first[{place}] = word;" for place in places]

    def body(self) -> str:
        """Return the statements of the function."""
        lines: list[str] = []
        title: Sequence[str] = ()
        for run in self._runs():
            now = self._title(run[0], title)
            if now != title:
                lines += [*([""] if lines else []), *_comment(now)]
                title = now
            lines += self._statements(run)
        return "\n".join(lines)

    def _statements(self, run: list[Access]) -> list[str]:
        if not self._is_common(run):
            return [line for access in run for line in self._statement(access)]
        op, word = run[0].op, run[0].value
        name = self.names.register(op.register, op.group, op.index)
        return self.names.broken(
            f"write_groups(&{name}, ", self.names.terms(op.register, word), ");"
        )

    def _statement(self, access: Access) -> list[str]:
        written = self.names.statement(access)
        return [*written, *self.names.verified(access)] if self.verify else written

    def _is_common(self, run: list[Access]) -> bool:
        written = [access.op.group for access in run if access.kind == "write"]
        several = len(self.groups) >= MIN_GROUPS and not self.verify
        return several and written == list(self.groups)

    def _title(self, access: Access, before: Sequence[str]) -> Sequence[str]:
        register = self.program.registers.register(access.op.register)
        if register.name == "IFRM":
            return before
        if register.scope not in ("layer", "stream"):
            return ("Inputs and snoopers",)
        return self.titles.get(access.op.index) or (f"Layer {access.op.index}",)

    def _runs(self) -> Iterator[list[Access]]:
        """Yield neighbours that write one value to the copies of one register."""

        def what(access: Access) -> tuple[object, ...]:
            return access.kind, access.op.register, access.op.index, access.value, access.mask

        for _, run in groupby(self._by_register(), what):
            yield list(run)

    def _by_register(self) -> list[Access]:
        """Return the accesses layer by layer, the groups of a register side by side.

        Nothing runs yet, so their order means nothing; this one needs the fewest instructions.
        """
        order: dict[tuple[int, str], int] = {}
        placed, last = [], -1
        for access in self.program.function("cnn_configure").accesses:
            scope = self.program.registers.register(access.op.register).scope
            layer = access.op.index if scope in ("layer", "stream") else -1
            last = max(last, layer)
            rank = order.setdefault((layer, access.op.register), len(order))
            placed.append((last, rank, access))
        placed.sort(key=lambda item: item[:2])
        return [access for _, _, access in placed]


def _comment(lines: Sequence[str]) -> list[str]:
    """Return a comment inside a function."""
    if len(lines) == 1:
        return [f"    /* {lines[0]} */"]
    inner = [f"     * {line}" for line in lines[1:]]
    return [f"    /* {lines[0]}", *inner[:-1], f"{inner[-1]} */"]
