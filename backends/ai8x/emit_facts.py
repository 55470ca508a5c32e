"""What the manifest says about a project: its interface, its memory and its register program.

With the tables in the C headers this is all that is needed to run the project on an emulator.
"""

from __future__ import annotations

from ai8xc.backends.ai8x.c_tables import input_number
from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.dialects.reg import Program
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork


def facts(project: CProject, network: HardwareNetwork | None) -> dict[str, object]:
    """Return the entries of the manifest, by name; `network` is that which was lowered."""
    program = project.program
    return {
        "name": project.name,
        "device": program.device,
        "network": {"input": _input(program), "outputs": _outputs(program)},
        "memory": _memory(project),
        "layers": [_layer(layer) for layer in network.sequence] if network else [],
        "program": {"express": project.express, "functions": _functions(program)},
    }


def _functions(program: Program) -> list[dict[str, object]]:
    """Return the register accesses in the form of `registers.json`."""
    return [
        {"name": function.name, "writes": [access.as_json() for access in function.accesses]}
        for function in program.functions
    ]


def _layer(layer: HardwareLayer) -> dict[str, object]:
    """Return what was decided for a layer."""
    place = layer.place
    return {
        "name": layer.op.name,
        "nodes": list(layer.op.loc.nodes),
        "operation": layer.op.opcode.removeprefix("ai8x."),
        "number": layer.number,
        "shape": list(layer.out_shape),
        "processors": f"{place.processors:#018x}",
        "output_processors": f"{place.output_processors:#018x}",
        "in_offset": place.in_offset,
        "out_offset": place.out_offset,
        "read_gap": place.read_gap,
        "write_gap": place.write_gap,
        "kernel_start": place.kernel_start,
        "bias_group": place.bias_group,
        "bias_start": place.bias_start,
    }


def _input(program: Program) -> dict[str, object]:
    graph = program.graph
    fold = graph.get("fold")
    processors = graph.get("input_processors")
    return {
        "shape": _numbers(graph.get("input_shape")),
        "scale": graph.get("input_scale"),
        "fold": _numbers(fold) if fold else [1, 1],
        "format": "CHW" if graph.get("input_chw") else "HWC",
        "processors": f"{processors:#018x}" if isinstance(processors, int) else None,
        "parts": graph.get("input_parts"),
        "fifos": [fifo for push in program.pushes for fifo in push.fifos],
        "fast": any(push.fast for push in program.pushes),
        "blocks": [[input_number(program, load), program.address(load)] for load in program.loads],
    }


def _numbers(value: object) -> list[int]:
    return [int(v) for v in value] if isinstance(value, tuple) else []


def _outputs(program: Program) -> list[dict[str, object]]:
    scales = program.graph.get("output_scales")
    known = scales if isinstance(scales, tuple) else (0.0,) * len(program.unloads)
    return [
        {
            "name": unload.output,
            "shape": [unload.channels, unload.rows, unload.columns],
            "bits": 32 if unload.wide else 8,
            "scale": scale,
            "processors": f"{unload.processors:#018x}",
            "offset": unload.offset,
            "gap": unload.gap,
        }
        for unload, scale in zip(program.unloads, known, strict=True)
    ]


def _memory(project: CProject) -> dict[str, int]:
    program, device = project.program, project.device
    columns = sum(len(kernels.data.array) for kernels in program.kernels)
    return {
        "weight_bytes": columns * device.kernel_bytes_per_column,
        "weight_bytes_available": device.kernel_bytes,
        "bias_bytes": sum(len(biases.data.array) for biases in program.biases),
        "bias_bytes_available": device.bias_bytes,
    }
