"""From placed hardware layers to the register program that runs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.backends.ai8x.bias_image import bias_image
from ai8xc.backends.ai8x.control import CONFIGURE, Control
from ai8xc.backends.ai8x.data_layout import expected_image, fifo_words, input_image
from ai8xc.backends.ai8x.layer_context import Fields, LayerContext
from ai8xc.backends.ai8x.layer_registers import FORMULAS
from ai8xc.backends.ai8x.pack_weights import kernel_image
from ai8xc.backends.ai8x.stream_registers import stream_fields
from ai8xc.backends.ai8x.unload_entries import behind, unload_findings, unload_ops
from ai8xc.device import Device
from ai8xc.dialects import reg
from ai8xc.ir.core import Data, Graph, Mask, Op, Word, make_graph
from ai8xc.ir.diag import Rejected, declare, errors
from ai8xc.ir.interp import values
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.prove import feed
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.sample import Sample, SampleSums, channel_sums
from ai8xc.passes.hardware.simulated import simulated
from ai8xc.registers import RegisterError, RegisterMap, load_registers
from ai8xc.rules.description.of_samples import KAT_ZERO

FIELD_OVERFLOW = declare(
    "REG005",
    "`{layer}` does not fit the registers: {why}",
    """Sizes, offsets and counts of a layer are fields of registers, and each field has so many
    bits. The manual lists the limits of each device.""",
)


@register
@dataclass(frozen=True)
class LowerToReg(Pass):
    """Write every register, memory image and output of a placed network.

    With a sample input, the program also holds its image and the words that must come out.
    """

    name: ClassVar[str] = "lower-to-reg"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"ai8x", "placed", "kernels-allocated", "biases-allocated"}
    )
    gives: ClassVar[frozenset[str]] = frozenset({"reg"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph of level reg, its ops in the order of execution."""
        device = ctx.need(Device)
        network = HardwareNetwork.of(graph, device)
        ctx.give(network)
        registers = load_registers(device.name)
        sample = ctx.find(Sample)
        fed = feed(graph, sample.values) if sample is not None else {}
        answer = HardwareNetwork.of(simulated(graph), device)
        found = _layer_values(answer, fed) if fed else {}
        for layer in answer.sequence:
            if layer.number in found and not found[layer.number].any():
                ctx.report(KAT_ZERO.at(layer.op, layer=layer.op.name))
        if len(found) == len(network.sequence):
            ctx.give(SampleSums({n: channel_sums(found[n]) for n in found}))
        expected = [(layer, found[layer.number]) for layer in answer.outputs] if found else []
        ops = [*_program(network, registers, fed, expected), *_outputs(answer)]
        count = len(answer.graph.outputs)
        ops += _unloads(answer, ops, found, ctx)
        attributes = (("device", device.name), ("outputs", answer.graph.output_names))
        named = make_graph(graph.name, "reg", map(_named, ops), (), attributes)
        outputs = tuple(op for op in named.ops if isinstance(op, reg.Unload))[:count]
        made = replace(named, outputs=outputs).having(**_interface(network))
        return network.settings.on(made)


def _loaded_from(graph: Graph) -> tuple[int, ...] | None:
    """Return the shape that the model gives an input which is loaded in another one, row-major."""
    shapes = graph.get("input_shapes")
    if not isinstance(shapes, tuple) or graph.get("fold"):
        return None
    shape, loaded = tuple(shapes[0][1:]), graph.inputs[0].type.shape[1:]
    return None if (*shape, 1, 1)[:3] == (*loaded, 1, 1)[:3] else shape


def _interface(network: HardwareNetwork) -> dict[str, object]:
    """Return how values of the model lie in the words of the program, as attributes.

    A scale is the real value of one step, 0 where it is not known.
    """
    start, graph = network.start, network.graph
    fed = start.source_processors if network.settings.fifo else start.processors
    return {
        "input_shape": tuple(graph.inputs[0].type.shape[1:]),
        "input_loaded_from": _loaded_from(graph),
        "input_scale": graph.inputs[0].type.scale or 0.0,
        "input_processors": Mask(fed),
        "input_parts": start.op.parts,
        "input_chw": start.op.mode.chw,
        "fold": graph.get("fold"),
        "output_scales": tuple(op.type.scale or 0.0 for op in graph.outputs),
    }


def _named(op: Op) -> Op:
    """Return an op whose name says what it is about."""
    match op:
        case reg.Write() | reg.Poll() | reg.Check() | reg.Modify():
            return replace(op, name=f"{op.register}.g{op.group}.{op.index}")
        case reg.Kernels():
            return replace(op, name=f"kernels.p{op.processor}")
        case reg.Biases():
            return replace(op, name=f"biases.g{op.group}")
        case reg.Load() | reg.Expect():
            return replace(op, name=f"{op.opcode[4:]}.g{op.group}.{op.memory}")
        case _:
            return op


def _program(
    network: HardwareNetwork,
    registers: RegisterMap,
    fed: Mapping[str, Array],
    expected: list[tuple[HardwareLayer, Array]],
) -> Iterator[Op]:
    control = Control(network, registers)
    yield from control.init()
    yield from kernel_image(network)
    yield from bias_image(network)
    yield from _configure(network, registers)
    yield from control.snoopers()
    yield from control.fifo()
    given = next(iter(fed.values()), None)
    image = [] if given is None else list(_input(network, given[0]))
    if not network.settings.fifo:
        yield from image
    yield from control.start()
    if network.settings.fifo:
        yield from image
    yield from control.handlers()
    if expected:
        yield from expected_image(expected)


def _configure(network: HardwareNetwork, registers: RegisterMap) -> Iterator[Op]:
    """Yield the layer registers: layer by layer, group by group; section 4.7."""
    total = len(network.sequence) + network.hidden
    for repeat in range(network.settings.repeat):
        for layer in network.by_slot:
            for group in network.groups:
                context = LayerContext(network, registers, layer, group)
                number = layer.number + repeat * total
                yield from _layer_writes(context, number)


def _layer_writes(c: LayerContext, number: int) -> Iterator[Op]:
    hidden: Mapping[str, Fields] = {}
    if c.layer.reset and c.group == c.network.groups[0]:
        hidden = _reset_fields(c)
    for name, formula in FORMULAS.items():
        if not c.registers.has(name):
            continue
        if name in hidden:
            yield from _layer_write(c, name, number - 1, hidden[name])
        yield from _layer_write(c, name, number, formula(c))
    for name, fields in stream_fields(c).items():
        index = 0 if name == "IFRM" else number
        yield from _layer_write(c, name, index, fields)


def _layer_write(c: LayerContext, register: str, index: int, fields: Fields | None) -> Iterator[Op]:
    if fields is None:
        return
    try:
        word = c.registers.encode(register, **fields)
    except RegisterError as error:
        raise Rejected([FIELD_OVERFLOW.at(c.op, layer=c.op.name, why=error)]) from None
    if word or c.network.settings.write_zeros:
        loc = c.op.loc
        yield reg.Write(CONFIGURE, register, c.group, index, word=Word(word), loc=loc)


def _reset_fields(c: LayerContext) -> dict[str, Fields]:
    """Return the registers of the hidden layer that resets the pooling; section 4.5.

    It copies one byte, from where the layer itself reads to where it writes.
    """
    same = ("WPTR_BASE", "WPTR_TOFFS", "RPTR_BASE")
    return {
        "RCNT": {"rest": 1},
        "CCNT": {"rest": 1},
        "STRIDE": {"step": 1},
        "LCTL": {"fixed": 1, "maximum": 1, "shared_source": 1},
        "ONED": {"length": 1},
        "POST": {"no_sum": 1, "copy": 1},
        "ENA": {"processors": 1},
        **{name: FORMULAS[name](c) or {} for name in same},
    }


def _input(network: HardwareNetwork, sample: Array) -> Iterator[Op]:
    start, settings = network.start, network.settings
    if not settings.fifo:
        yield from input_image(start, sample)
        return
    fifos, words = fifo_words(start, sample)
    yield reg.Push(fifos, Data(words), fast=settings.fast_fifo, wait=settings.fifo_wait)


def _layer_values(network: HardwareNetwork, fed: Mapping[str, Array]) -> dict[int, Array]:
    """Return what each layer gives for the sample, by its number; from the interpreter."""
    numbers: dict[Op, int] = {layer.op: layer.number for layer in network.sequence}
    found = values(network.graph, fed)
    return {numbers[op]: value[0] for op, value in found if op in numbers}


def _outputs(network: HardwareNetwork) -> Iterable[Op]:
    """Yield the outputs in the order of the model, which need not be that of the layers."""
    layers: dict[Op, HardwareLayer] = {layer.op: layer for layer in network.outputs}
    function = reg.CHECK if network.settings.unload else reg.UNLOAD
    graph = network.graph
    for op, name in zip(graph.outputs, graph.output_names, strict=True):
        layer = layers[op]
        channels, rows, columns = layer.out_shape
        yield reg.Unload(
            Mask(layer.output_processors),
            channels,
            rows,
            columns,
            offset=layer.place.out_offset,
            gap=layer.place.write_gap,
            wide=layer.wide,
            output=name,
            function=function,
            name=f"unload.{name}",
            loc=layer.op.loc,
        )


def _unloads(
    network: HardwareNetwork, ops: Iterable[Op], found: Mapping[int, Array], ctx: PassContext
) -> list[Op]:
    """Return what the user wants to be copied in place of the outputs, and what it holds."""
    settings, device = network.settings, network.device
    entries = [op for op in unload_ops(settings, None) if isinstance(op, reg.Unload)]
    memories = None
    if entries and found:
        loads = (op for op in ops if isinstance(op, reg.Load))
        values = [(layer, found[layer.number]) for layer in network.sequence]
        memories = behind(device, loads, values)
    findings = list(unload_findings(entries, device, memories))
    for finding in findings:
        ctx.report(finding)
    return [] if errors(findings) else list(unload_ops(settings, memories))
