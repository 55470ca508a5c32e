"""The layers of a description in the order of execution, references resolved.

Source: hardware semantics, sections 3.3 to 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ai8xc.frontend import vendor_rules as rules
from ai8xc.frontend.vendor_description import Description
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_schema import Eltwise, LayerDescription, Operator
from ai8xc.ir.diag import Diagnostic, Rule
from ai8xc.ir.loc import Loc
from ai8xc.rules.catalogue import rule_of
from ai8xc.rules.description import of_keys, of_sequence

INPUT: Final = -1
STOP: Final = -1
BUFFER: Final = -2
"""What a layer reads besides layers: the network's input, the data buffer."""

NET_START: Final = "NET-START"
"""The rule about the first layer, which the options tell."""

ELTWISE: Final[Mapping[str, Eltwise]] = {"add": "add", "sub": "sub", "or": "or", "xor": "xor"}
OPERATORS: Final[Mapping[str, Operator]] = {
    "conv1d": "conv1d",
    "conv2d": "conv2d",
    "convtranspose2d": "convtranspose2d",
    "linear": "linear",
}


@dataclass
class Step:
    """One layer: its number, what the file says, what it reads and what follows it.

    `inputs` is None where the layer reads what ran before it. `place` is the layer's index in the
    file, `following` the next layer or `STOP`, `simulated` the layer that the known answer goes
    on with, where that is another one.
    """

    index: int
    place: int
    layer: LayerDescription
    name: str
    inputs: tuple[int, ...] | None = None
    following: int = STOP
    simulated: int | None = None
    on_hit: int | None = None
    weight_source: int | None = None

    @property
    def operator(self) -> Operator:
        """What the multipliers do."""
        if self.layer.op is None:
            return "conv2d"
        return OPERATORS.get(self.layer.op, "none")

    @property
    def eltwise(self) -> Eltwise | None:
        """What is done with operands."""
        return self.layer.eltwise or ELTWISE.get(self.layer.op or "")

    @property
    def parts(self) -> int:
        """Number of operands."""
        return (self.layer.operands or 2) if self.eltwise else 1

    @property
    def has_weights(self) -> bool:
        """Whether the layer takes weights from the file."""
        plain = self.operator != "none" and not self.layer.bypass
        return plain and self.layer.weight_source is None


@dataclass
class Run:
    """All layers by number, and those that run in order."""

    steps: list[Step]
    order: list[Step] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)


def sequence(description: Description, options: NetworkOptions) -> Run:
    """Return the layers in order; what is wrong with references is in `findings`."""
    return _Resolver(description, options).resolve()


class _Resolver:
    def __init__(self, description: Description, options: NetworkOptions) -> None:
        self.description = description
        self.options = options
        self.findings: list[Diagnostic] = []
        self.numbers: dict[int, int] = {}
        self.names: dict[str, int] = {}

    def resolve(self) -> Run:
        steps = self.ordered()
        self.name(steps)
        for step in steps:
            self.refer(step, len(steps))
        steps = steps[self.options.skip_layers :]
        return Run(steps, self.run(steps), self.findings)

    def ordered(self) -> list[Step]:
        """Return the layers by their sequence numbers, renumbered."""
        numbered: dict[int, int] = {}
        number = -1
        for place, layer in enumerate(self.description.network.layers):
            number = number + 1 if layer.sequence is None else layer.sequence
            if number in numbered:
                self.find(of_keys.SEQ_DUP, place, "sequence", number=number)
                number = max(numbered) + 1
            numbered[number] = place
        found = []
        for index, number in enumerate(sorted(numbered)):
            place = numbered[number]
            self.numbers[number] = index
            layer = self.description.network.layers[place]
            found.append(Step(index, place, layer, layer.name or f"layer{index}"))
        return found

    def name(self, steps: Sequence[Step]) -> None:
        buffers = self.description.network.data_buffer or []
        self.names = {buffer.name.lower(): BUFFER for buffer in buffers[:1]}
        for step in steps:
            name = (step.layer.name or "").lower()
            if not name:
                continue
            if name in ("stop", "input"):
                self.find(of_keys.NAME_RES, step.place, "name", name=step.layer.name)
            elif name in self.names:
                self.find(of_keys.NAME_DUP, step.place, "name", name=step.layer.name)
            else:
                self.names[name] = step.index

    def refer(self, step: Step, count: int) -> None:
        """Resolve what a layer says about others."""
        layer = step.layer
        step.following = step.index + 1 if step.index + 1 < count else STOP
        if layer.in_sequences is not None:
            found = [self.source(step, i, ref) for i, ref in enumerate(layer.in_sequences)]
            step.inputs = tuple(ref for ref in found if ref is not None)
            if BUFFER in found:
                self.find(rules.BUFFER, step.place, "in_sequences", layer=step.name)
            if None in found or not found or BUFFER in found:
                self.description.broken.add(step.place)
                step.inputs = None
        if layer.next_sequence is not None:
            step.following = self.target(step, "next_sequence", layer.next_sequence)
        if layer.simulated_sequence is not None:
            target = self.target(step, "simulated_sequence", layer.simulated_sequence)
            step.simulated = None if target == step.following else target
        for key in ("buffer_shift", "buffer_insert"):
            if key in layer.model_fields_set:
                self.find(rules.BUFFER, step.place, key, layer=step.name)
        step.on_hit = layer.snoop_sequence
        if layer.weight_source is not None:
            step.weight_source = self.layer_of(step, "weight_source", layer.weight_source)

    def source(self, step: Step, place: int, reference: int | str) -> int | None:
        if reference == -1 or str(reference).lower() == "input":
            return INPUT
        return self.layer_of(step, "in_sequences", reference, place)

    def target(self, step: Step, key: str, reference: int | str) -> int:
        if str(reference).lower() == "stop":
            return STOP
        if isinstance(reference, int) and reference > max(self.numbers):
            self.find(
                of_sequence.SEQ_NEXT_RANGE, step.place, key, layer=step.name, number=reference
            )
            return STOP
        found = self.layer_of(step, key, reference)
        return STOP if found is None else found

    def layer_of(
        self, step: Step, key: str, reference: int | str, place: int | None = None
    ) -> int | None:
        """Return the number of a layer by its sequence number or name."""
        if isinstance(reference, int):
            found = self.numbers.get(reference)
        else:
            found = self.names.get(reference.lower())
        if found is None:
            values = {"layer": step.name, "key": key, "name": reference}
            self.find(of_keys.NAME_UNKNOWN, step.place, key, place, **values)
        return found

    def run(self, steps: Sequence[Step]) -> list[Step]:
        """Return the layers that run, in order; layers left out on purpose are no finding."""
        by_index = {step.index: step for step in steps}
        last = self.options.stop_after
        first = self.options.start_layer + self.options.skip_layers
        self.start(steps)
        if first not in by_index:
            why = f"the network has {len(steps)} layers"
            self.findings.append(rules.START.at(self.loc(steps), number=first, why=why))
            return list(steps)
        found: list[Step] = []
        index = first
        while index in by_index:
            step = by_index[index]
            if step in found:
                self.find(rules.LOOP, found[-1].place, "next_sequence", layer=step.name)
                break
            found.append(step)
            if last is not None and step.index - self.options.skip_layers >= last:
                break
            index = step.following
        if last is None:
            for step in steps:
                if step not in found and step.index > first:
                    self.find(of_sequence.SEQ_UNREACHED, step.place, "", layer=step.name)
        self.order(found)
        return found

    def start(self, steps: Sequence[Step]) -> None:
        """Report a first layer that the device cannot begin with."""
        device, number = self.options.device, self.options.start_layer
        if device is not None and number > device.max_start_layer:
            values = {"number": number, "device": device.name, "d": device}
            finding = rules.tell(rule_of(NET_START), self.loc(steps), values)
            self.findings.append(finding)

    def order(self, run: Sequence[Step]) -> None:
        """Report layers that read what has not run."""
        done: set[int] = {INPUT, BUFFER}
        for step in run:
            for place, source in enumerate(step.inputs or ()):
                if source not in done:
                    values = {"layer": step.name, "number": source}
                    self.find(of_sequence.SEQ_IN_FWD, step.place, "in_sequences", place, **values)
                    self.description.broken.add(step.place)
            done.add(step.index)

    def find(
        self, rule: Rule, place: int, key: str, item: int | None = None, /, **values: object
    ) -> None:
        """Report something about a key of a layer."""
        path: tuple[str | int, ...] = ("layers", place)
        if key:
            path = (*path, key) if item is None else (*path, key, item)
        self.findings.append(rules.tell(rule, self.description.document.loc(path), values))

    def loc(self, steps: Sequence[Step]) -> Loc:
        return self.description.loc(steps[0].place) if steps else Loc()
