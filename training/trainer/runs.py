"""Runs: a folder with the configuration, checkpoints and the result of a training."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch import Tensor, nn

from ai8xc.training.data import Data, dataset, prepared
from ai8xc.training.layers import use_device
from ai8xc.training.loading import resolved
from ai8xc.training.models import MODELS, ModelInfo
from ai8xc.training.qat import check_overrides, initiate_qat, quantized_layers
from ai8xc.training.rules import CHECKPOINT, CONFIG, FINISHED, NO_EXTRA, OTHER_RUN, refused
from ai8xc.training.trainer.config import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from lightning import Trainer

CONFIGURATION: Final = "config.json"
LAST: Final = "last.ckpt"
RESULT: Final = "result.json"
BEST: Final = {False: "best.ckpt", True: "qat_best.ckpt"}
"""Checkpoint of the best epoch in float training, and of the best one with quantisation."""


@dataclass(frozen=True)
class Run:
    """A run that has ended, or was interrupted."""

    folder: Path
    config: TrainConfig

    @property
    def result(self) -> dict[str, Any]:
        """What was measured at the end."""
        found: dict[str, Any] = json.loads((self.folder / RESULT).read_text())
        return found

    def best(self) -> Path:
        """Return the checkpoint to use: the best with quantisation, or the best there is."""
        for name in (BEST[True], BEST[False], LAST):
            if (self.folder / name).is_file():
                return self.folder / name
        why = "it has no checkpoint"
        raise refused(CHECKPOINT, file=self.folder.name, model=self.config.model.name, why=why)

    def data(self) -> Data:
        """Return the data of the run."""
        return load_data(self.config, augment=False)

    def network(self, checkpoint: Path | None = None) -> nn.Module:
        """Return the network with the weights of a checkpoint, in the mode it was saved in."""
        net = build(self.config.model, self.config, self.data_info())
        load_weights(net, checkpoint or self.best(), self.config)
        return net.eval()

    def data_info(self) -> Any:
        """Return the declaration of the data set."""
        return dataset(self.config.data.name)


def open_run(folder: Path) -> Run:
    """Return the run in a folder; raises `Rejected` where there is none."""
    try:
        text = (folder / CONFIGURATION).read_text()
        return Run(folder, TrainConfig.model_validate_json(text))
    except (OSError, ValueError) as error:
        why = "it is no folder of a training run"
        raise refused(CHECKPOINT, file=folder.name, model="run", why=why) from error


def load_data(config: TrainConfig, *, augment: bool = True) -> Data:
    """Return the data of a configuration."""
    info = dataset(config.data.name)
    if config.data.transforms is not None:
        info = replace(info, transforms=config.data.transforms)
    if config.data.augment is not None:
        info = replace(info, augment=config.data.augment)
    share = config.data.validation
    return prepared(info, config.data.root, validation=share, seed=config.seed, augment=augment)


def build(model: ModelConfig, config: TrainConfig, info: Any) -> nn.Module:
    """Return a new network for a device and a data set."""
    found: Any = MODELS.get(model.name)
    if found is None:
        found = resolved("model", model.name, dict.fromkeys(MODELS, ""))
    with use_device(config.device, avg_pool_rounding=config.avg_pool_rounding):
        if isinstance(found, ModelInfo):
            return found.build(info.outputs, info.shape[0], bias=model.bias)
        made = found(info.outputs, info.shape)
    if not isinstance(made, nn.Module):
        raise refused(CONFIG, field="model.name", why=f"`{model.name}` makes no torch module")
    return made


def load_weights(net: nn.Module, path: Path, config: TrainConfig) -> None:
    """Load the weights of a run's or the vendor's checkpoint, or of a safetensors file.

    Nothing in the file is executed. The network takes the form that the checkpoint has.
    Raises `Rejected` where it does not fit.
    """
    state, quantized = _state(path, config)
    if quantized and config.qat is not None:
        initiate_qat(net, config.qat)
    try:
        net.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        why = str(error).partition("\n\t")[2].partition("\n")[0] or str(error)
        name = config.model.name
        raise refused(CHECKPOINT, path.name, file=path.name, model=name, why=why) from error


def _state(path: Path, config: TrainConfig) -> tuple[dict[str, Tensor], bool]:
    if not path.is_file():
        why = "there is no such file"
        raise refused(CHECKPOINT, path.name, file=path.name, model=config.model.name, why=why)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path), False
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling a foreign file raises
        why = "it is no checkpoint of plain tensors"
        name = config.model.name
        raise refused(CHECKPOINT, path.name, file=path.name, model=name, why=why) from error
    state = cast("dict[str, Tensor]", found.get("state_dict", found))
    own = {k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}
    return own or state, bool(found.get("quantized"))


def train(config: TrainConfig, *, progress: bool = True) -> Run:
    """Train, or go on with a run that was interrupted, and measure the result.

    Raises `Rejected` for a finished run, a run with another configuration, data or weights that
    do not fit, and a loss that is not finite.
    """
    folder = config.output
    text = config.model_dump_json(indent=1)
    _check_folder(folder, config, text)
    lightning = _lightning()
    lightning.seed_everything(config.seed, verbose=False)
    data = load_data(config)
    net = build(config.model, config, data.info)
    if config.qat is not None:
        check_overrides(config.qat, dict(quantized_layers(net)))
    if config.weights is not None:
        load_weights(net, config.weights, config)
    learner = _learner(config, data, net)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIGURATION).write_text(text)
    last = folder / LAST
    with _quiet():
        trainer = _trainer(config, learner, progress)
        learner.configure_optimizers()  # a wrong schedule is told before anything is trained
        resume = str(last) if last.is_file() else None
        trainer.fit(learner, ckpt_path=resume)
    if trainer.interrupted:
        raise KeyboardInterrupt
    run = Run(folder, config)
    _finish(run, learner, data, trainer)
    return run


def _check_folder(folder: Path, config: TrainConfig, text: str) -> None:
    if (folder / RESULT).exists():
        raise refused(FINISHED, path=folder.name)
    written = folder / CONFIGURATION
    if written.is_file() and (folder / LAST).is_file():
        before, now = json.loads(written.read_text()), json.loads(text)
        different = sorted(key for key in before | now if before.get(key) != now.get(key))
        if different:
            names = ", ".join(f"`{name}`" for name in different)
            raise refused(OTHER_RUN, path=folder.name, why=f"{names} differ")


def _lightning() -> Any:
    try:
        import lightning
    except ImportError:
        raise refused(NO_EXTRA, package="lightning") from None
    return lightning


def _learner(config: TrainConfig, data: Data, net: nn.Module) -> Any:
    from ai8xc.training.trainer.learner import Learner

    teacher = None
    if config.distillation is not None:
        teacher = build(config.distillation.teacher, config, data.info)
        load_weights(teacher, config.distillation.weights, config)
    return Learner(config, data, net, teacher)


def _trainer(config: TrainConfig, learner: Any, progress: bool) -> Trainer:
    from lightning import Trainer
    from lightning.pytorch.loggers import TensorBoardLogger

    from ai8xc.training.trainer.checkpoints import KeepBest, KeepLast

    return Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=config.strategy,
        precision=config.precision,
        max_epochs=config.epochs,
        gradient_clip_val=config.gradient_clip,
        deterministic="warn",
        logger=TensorBoardLogger(config.output, name="", version="tensorboard"),
        callbacks=[KeepBest(config.output, learner.goal), KeepLast(config.output)],
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=progress,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Lightning recommends: the data are in memory, the logs go to a folder."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def _finish(run: Run, learner: Any, data: Data, trainer: Trainer) -> None:
    """Measure the best epoch on the test samples, and mark the run as finished."""
    if not trainer.is_global_zero:
        return
    from ai8xc.training.trainer.evaluation import measure

    found = measure(run, data)
    record = {"epochs": run.config.epochs, "checkpoint": run.best().name, **found.record()}
    temporary = run.folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(run.folder / RESULT)
