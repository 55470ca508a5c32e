"""What may be wrong with a model of a framework, as rules."""

from __future__ import annotations

from ai8xc.ir.diag import declare

UNREADABLE = declare(
    "NN001",
    "`{file}` cannot be read: {why}",
    "The model is a regular file of at most 2 GiB, the limit of the format.",
)
NOT_ONNX = declare(
    "NN002",
    "`{file}` is not an ONNX model: {why}",
    """The file is not what an exporter writes: it is damaged, not complete, or in another format.
    Export the model again, or copy it again.""",
)
OPSET = declare(
    "NN003",
    "opset {opset} is not supported",
    """Each version of the operator set may change what an operator means, so only versions that
    are known are imported.""",
)
NOT_UTF8 = declare(
    "NN004",
    "the name {name} is not UTF-8",
    "ONNX names values, nodes and attributes by UTF-8 text.",
)
NOT_PT2 = declare(
    "NN005",
    "`{file}` is not an exported torch program: {why}",
    """The file is not what `torch.export.save` writes today: it is damaged, in another format, or
    older than torch 2.9. Export the model again: `torch.export.save(torch.export.export(model,
    (sample,)), "model.pt2")`.""",
)
PICKLED = declare(
    "NN006",
    "tensor `{name}` is pickled",
    """A pickle is a program, and nothing in a model file is executed. Dense tensors
    on the CPU are saved as plain bytes: call `.cpu()` and `.contiguous()` before exporting.""",
)
NOT_EXPORTED = declare(
    "NN007",
    "`torch.export` cannot export the module: {why}",
    """A module enters the compiler through `torch.export`, which follows its `forward` for one
    sample. Control flow that depends on data and code that leaves torch cannot be followed; see
    torch's own message and its manual of export.""",
)
NO_SAMPLE = declare(
    "NN008",
    "a torch module needs a sample to be compiled",
    """A module does not tell the shape of its input. Give one input without the batch axis:
    `ai8xc.compile(module, sample=x)`.""",
)
LAYER_MODE = declare(
    "NN017",
    "layer `{name}` is in mode `{mode}`, others hold integers",
    """A network of `ai8xc.training.layers` is imported with its exact integers when all its layers
    simulate the device: `layers.set_mode(net, "simulate")` in front of `torch.export`.
    `ai8xc.compile(net)` does so by itself.""",
)
LAYER_FORM = declare(
    "NN018",
    "layer `{name}` cannot be taken as a layer of the accelerator: {why}",
    """What was exported for a layer of `ai8xc.training.layers` is not what such a layer consists
    of: its `forward` was changed, or something inside it is read elsewhere.""",
)
UNKNOWN_OP = declare(
    "NN010",
    "operator `{op}` is not supported",
    """The network has an operator that the compiler cannot express with the layers of the
    accelerators. `ai8xc explain NN010` cannot list all of them: supported are convolutions,
    linear layers, pools, element-wise arithmetic, simple activations, layout changes and
    quantisation.""",
)
UNSUPPORTED = declare(
    "NN011",
    "`{op}` is not supported with {what}",
    "The operator is known, this form of it has no counterpart in the compiler.",
)
NOT_CONSTANT = declare(
    "NN012",
    "`{op}` needs its input `{name}` as a constant",
    """Shapes, axes, pads and limits must be known when compiling: the hardware cannot take them
    from data. Exporting with fixed shapes and constant folding usually removes the computation.""",
)
MALFORMED = declare(
    "NN013",
    "`{op}` is malformed: {why}",
    "The node breaks the definition of its operator; no runtime could execute it.",
)
WRONG_ELEMENT = declare(
    "NN014",
    "`{op}` cannot take {element} as `{name}`",
    "The operator is not defined for these numbers, or its inputs hold different kinds of numbers.",
)
TOO_LARGE = declare(
    "NN015",
    "`{name}` has {size} values",
    """A tensor of this size is far beyond the memories of the devices; it is refused before memory
    is taken for it.""",
)
MANY_AXES = declare(
    "NN019",
    "`{name}` has {count} axes",
    """Tensors of networks have a batch, channels and up to three axes more. What is made of them on
    the way has a few more, no model needs dozens.""",
)
EMPTY = declare(
    "NN016",
    "`{name}` has no values: its shape is {shape}",
    "Every tensor has at least one value. A kernel that is larger than its padded input has none.",
)
INPUT_AXIS = declare(
    "NN020",
    "axis {axis} of input `{name}` has no fixed size: it is {size}",
    """Only the first axis, the batch, may be left open. Memory of the accelerator is assigned when
    compiling, so all other sizes must be numbers.""",
)
INPUT_SIZE = declare(
    "NN021",
    "axis {axis} of input `{name}` has size {size}",
    "Sizes are at least 1.",
)
INPUT_TYPE = declare(
    "NN022",
    "input `{name}` is {what}",
    "Inputs are tensors of floating point numbers, integers of up to 64 bits, or booleans.",
)
DAMAGED = declare(
    "NN030",
    "constant `{name}` is damaged: {why}",
    "The declared shape and type of a constant and the data that come with it contradict.",
)
NOT_FINITE = declare(
    "NN031",
    "constant `{name}` has {count} values that are NaN or infinite",
    "Such weights come from a training run that diverged; no quantiser can represent them.",
)
BEYOND_FLOAT = declare(
    "NN032",
    "constant `{name}` has values beyond the range of 32-bit floating point",
    "Double precision constants are rounded to 32 bits at import, which these do not survive.",
)
CONSTANT_TYPE = declare(
    "NN033",
    "constant `{name}` holds {element}",
    "Constants are floating point numbers, integers of up to 64 bits, or booleans.",
)
EXTERNAL = declare(
    "NN034",
    "the data of constant `{name}` are refused: {why}",
    """Data outside the model file must lie in the folder of the model or below: no absolute path,
    no `..`, no links. Models may come from anywhere and must not read other files.""",
)
UNDEFINED = declare(
    "NN040",
    "`{name}` is read but nothing defines it",
    "Every value is an input, a constant of the model or the result of a node.",
)
DEFINED_TWICE = declare(
    "NN041",
    "`{name}` is defined more than once",
    "Every value has one definition: an input, a constant or one node.",
)
CYCLE = declare(
    "NN042",
    "the nodes read each other in a cycle: {nodes}",
    "A network is computed from its inputs to its outputs; a cycle has no first node.",
)
FUNCTION = declare(
    "NN043",
    "the model calls its own function `{name}`",
    "Functions that are defined inside a model are not expanded.",
)
NO_OUTPUT = declare(
    "NN044",
    "the model has no outputs",
    "A network has at least one output.",
)
