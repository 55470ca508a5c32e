"""What may be wrong with a policy, a checkpoint or its quantisation, as rules."""

from __future__ import annotations

from ai8xc.ir.diag import declare

UNREADABLE = declare(
    "QT001",
    "this YAML file cannot be read: {why}",
    """Policies and configurations are YAML: plain values, lists and mappings, each key once. Tags
    that make objects are refused.""",
)
FIELD = declare(
    "QT002",
    "`{field}`: {why}",
    """A field is missing, unknown or has a value that it cannot have. Unknown fields are refused,
    because a misspelt field that is ignored costs a training run.""",
)
NO_SUCH_LAYER = declare(
    "QT003",
    "`overrides.{name}`: the network has no such layer",
    """An override of a policy names a layer by its dotted name in the network, such as `conv1` or
    `feature_stage.1.0.conv2`.""",
)

NO_WEIGHTS = declare(
    "QT010",
    "the checkpoint has no layers to quantise: {why}",
    """Layers are the entries `<layer>.op.weight` of `state_dict`; plain torch networks, whose
    entries are `<layer>.weight`, are compiled from the network itself, which `ai8xc compile`
    quantises.""",
)
CHECKPOINT_ENTRY = declare(
    "QT011",
    "`{name}`: {why}",
    """An entry of the checkpoint cannot be quantised as it is: it must be finite numbers of the
    kind and shape that its layer has.""",
)
ALREADY_INTEGERS = declare(
    "QT012",
    "`{name}` is quantised already",
    """The checkpoint says that the parameters of this layer are integers. Quantising them again
    would lose precision; give the checkpoint that training wrote.""",
)
BATCH_NORM_FOLDED = declare(
    "QT013",
    "the batch norm of `{name}` was folded, with eps {eps}",
    """The network left training before QAT began, so its batch norms are folded here. A checkpoint
    does not say how they were configured: if the layers had another `eps`, or are transposed
    convolutions with as many inputs as outputs, fold them in the network instead.""",
    severity="warning",
)
NO_SUCH_PARAMETER = declare(
    "QT014",
    "`{name}`: the checkpoint has no such layer",
    "Bits are given for layers by their dotted name in the checkpoint, such as `conv1`.",
)
