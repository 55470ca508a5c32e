"""What may be wrong with a training run, its configuration and its data, as rules."""

from __future__ import annotations

from ai8xc.ir.diag import Rejected, Rule, declare
from ai8xc.ir.loc import Loc

CONFIG = declare(
    "TR001",
    "`{field}`: {why}",
    """A field of the configuration is missing, unknown or has a value that it cannot have. The
    manual of training lists all fields with their defaults.""",
)
UNREADABLE = declare(
    "TR002",
    "`{file}` cannot be read: {why}",
    "The file is missing, damaged, or of another kind than its place asks for.",
)
UNKNOWN_NAME = declare(
    "TR003",
    "there is no {kind} `{name}`",
    """Models and data sets are named in the configuration: those that come with the package, or
    `path/to/file.py:NAME` for one of your own.""",
)
DATA_RANGE = declare(
    "TR010",
    "sample {index} of `{name}` holds {value}, the device reads -1 to 127/128",
    """Samples enter the accelerator as 8-bit integers that count steps of 1/128. The transform
    `normalize` brings values from 0 to 1 there.""",
)
LABEL_RANGE = declare(
    "TR011",
    "label {index} of `{name}` is {value}, with {classes} classes",
    "Labels are integers from 0 to the number of classes minus 1.",
)
DATA_SHAPE = declare(
    "TR012",
    "`{name}`: {why}",
    "All samples of a data set have one shape, and there is a target for each of them.",
)
DATA_ABSENT = declare(
    "TR013",
    "the data set `{name}` is not at `{path}`: {why}",
    """Some data sets must be downloaded by hand, because of their size or licence. The message says
    which files are needed; `data.root` names the folder that they are in.""",
)
TRANSFORM = declare(
    "TR014",
    "transform `{kind}` cannot take a sample of shape {shape}: {why}",
    "Each transform says what it needs of the shape of a sample, channels first.",
)
NOT_FINITE = declare(
    "TR020",
    "the loss is {value} in epoch {epoch}, step {step}; first in the output of layer `{layer}`",
    """Training has diverged. A smaller learning rate, gradient clipping or batch norms usually
    help; values that are not finite in the data or in a checkpoint have the same effect.""",
)
FINISHED = declare(
    "TR021",
    "`{path}` holds a finished run",
    """A finished run is never overwritten. Choose another `output`, or remove the folder; to train
    a finished run further, start a new one with `weights: {path}/last.ckpt`.""",
)
OTHER_RUN = declare(
    "TR022",
    "`{path}` holds a run with another configuration: {why}",
    """An interrupted run is resumed with the configuration that it was started with, so that it
    ends with the same weights as if it had not been interrupted.""",
)
CHECKPOINT = declare(
    "TR023",
    "the checkpoint `{file}` does not fit `{model}`: {why}",
    "Weights can only be loaded into the architecture that they were trained in.",
)
NO_EXTRA = declare(
    "TR030",
    "the package `{package}` is not installed",
    "Training needs libraries that the compiler does not: `pip install ai8xc[train]`.",
)


def refused(rule: Rule, place: str = "", *, help: str | None = None, **values: object) -> Rejected:
    """Return the exception for a finding about a file, an argument or data."""
    fields: dict[str, object] = values
    finding = rule.at(Loc(place), help=help, **fields)  # type: ignore[arg-type] # fills the message
    return Rejected([finding], unusable=True)
