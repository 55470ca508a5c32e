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
