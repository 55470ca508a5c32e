"""The configuration of a training run: one YAML file, every field checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ai8xc.training.data.transforms import AnyTransform
from ai8xc.training.policy import QatPolicy, read_policy
from ai8xc.training.yaml_file import read_yaml

Share = Annotated[float, Field(gt=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Part):
    """The network: a name of `ai8xc.training.models` or `file.py:NAME`, and its options."""

    name: str
    bias: bool | None = None

    @property
    def shown(self) -> str:
        """The name as messages have it, without folders."""
        return Path(self.name).name


class DataConfig(_Part):
    """The data: a name of `ai8xc.training.data` or `file.py:NAME`.

    `transforms` and `augment` replace those of the data set; `validation` is the share of the
    training samples that is kept back, at least one; the best epoch is chosen on them.
    """

    name: str
    root: Path = Path("data")
    validation: Share = 0.1
    transforms: tuple[AnyTransform, ...] | None = None
    augment: tuple[AnyTransform, ...] | None = None


class OptimizerConfig(_Part):
    """The optimizer."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9


class ScheduleConfig(_Part):
    """A scheduler of `torch.optim.lr_scheduler` by class name, stepped after each epoch."""

    kind: str
    options: dict[str, Any] = Field(default_factory=dict)


class DetectionConfig(_Part):
    """Numbers of the MultiBox loss and of the suppression behind it."""

    alpha: PositiveFloat = 2.0
    neg_pos_ratio: PositiveInt = 3
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    max_overlap: Annotated[float, Field(ge=0, le=1)] = 0.3
    top_k: PositiveInt = 20


class DistillationConfig(_Part):
    """A teacher whose outputs the network learns besides the targets.

    The loss is `student_weight * loss + distill_weight * T**2 * KL(teacher, student)`, or, with
    `relation`, the mean squared difference of the outputs in place of the divergence.
    """

    teacher: ModelConfig
    weights: Path
    temperature: PositiveFloat = 1.0
    student_weight: NonNegativeFloat = 0.5
    distill_weight: NonNegativeFloat = 0.5
    relation: bool = False
    start_epoch: Annotated[int, Field(ge=0)] = 0


class TrainConfig(_Part):
    """A training run.

    `weights` is a checkpoint to start from, `output` the folder of the run. `accelerator`,
    `devices`, `nodes`, `strategy` and `precision` are Lightning's. Paths count from the file.
    """

    model: ModelConfig
    data: DataConfig
    output: Path
    device: Literal["max78000", "max78002"] = "max78000"
    avg_pool_rounding: bool = False
    epochs: PositiveInt = 90
    batch_size: PositiveInt = 256
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig | None = None
    qat: QatPolicy | None = None
    qat_policy: Path | None = None
    distillation: DistillationConfig | None = None
    detection: DetectionConfig = DetectionConfig()
    gradient_clip: PositiveFloat | None = None
    weights: Path | None = None
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] = 0
    accelerator: str = "auto"
    devices: PositiveInt | Literal["auto"] = "auto"
    nodes: PositiveInt = 1
    strategy: str = "auto"
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"


def read_config(path: Path) -> TrainConfig:
    """Return the configuration in a file, with its paths resolved.

    Raises `Rejected` (unusable) that names each field at fault.
    """
    found = read_yaml(path, TrainConfig)
    base = path.resolve().parent
    data = {"root": base / found.data.root, "name": _from(base, found.data.name)}
    changes: dict[str, Any] = {
        "output": base / found.output,
        "data": found.data.model_copy(update=data),
        "model": _located(base, found.model),
    }
    if found.qat_policy is not None:
        changes["qat"] = read_policy(base / found.qat_policy)
    if found.weights is not None:
        changes["weights"] = base / found.weights
    if found.distillation is not None:
        given = found.distillation
        teacher = {"weights": base / given.weights, "teacher": _located(base, given.teacher)}
        changes["distillation"] = given.model_copy(update=teacher)
    return found.model_copy(update=changes)


def _located(base: Path, model: ModelConfig) -> ModelConfig:
    return model.model_copy(update={"name": _from(base, model.name)})


def _from(base: Path, name: str) -> str:
    """Return a name; one in a Python file with the file's full path."""
    path, colon, attribute = name.rpartition(":")
    return f"{base / path}:{attribute}" if colon and path.endswith(".py") else name
