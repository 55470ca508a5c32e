"""Runs: a folder with the configuration, checkpoints and the result of a training."""

from __future__ import annotations

import copy
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

from ai8xc.training.checkpoint_names import network_entries
from ai8xc.training.data import Data, collate, dataset, prepared
from ai8xc.training.layers import fuse_bn_layers, load_checkpoint, set_mode, use_device
from ai8xc.training.loading import failure, resolved
from ai8xc.training.models import MODELS, ModelInfo
from ai8xc.training.qat import check_overrides, quantized_layers
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
    leads: bool = True
    """Whether this process is the one of several that measures and reports."""

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
        raise refused(CHECKPOINT, file=self.folder.name, model=self.config.model.shown, why=why)

    def data(self) -> Data:
        """Return the data of the run."""
        return load_data(self.config, augment=False)

    def network(self, checkpoint: Path | None = None) -> nn.Module:
        """Return the network with the weights of a checkpoint, in the mode it was saved in."""
        config = self.config
        net = build(config.model, config, self.data_info())
        load_weights(net, checkpoint or self.best(), config.model, qat=config.qat is not None)
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
        made = _made(found, model.name, info)
    if not isinstance(made, nn.Module):
        raise refused(CONFIG, field="model.name", why=f"`{model.shown}` makes no torch module")
    return made


def _made(make: Any, name: str, info: Any) -> object:
    try:
        return make(info.outputs, info.shape)
    except Exception as error:  # whatever code of the user's raises
        why = failure(error, Path(name.rpartition(":")[0]))
        raise refused(CONFIG, field="model.name", why=f"it cannot be built: {why}") from error


def load_weights(net: nn.Module, path: Path, model: ModelConfig, *, qat: bool) -> None:
    """Load the weights of a run's or the vendor's checkpoint, or of a safetensors file.

    Nothing in the file is executed. The network takes the form that the checkpoint has, that of
    training with quantisation only where `qat` allows it. Raises `Rejected` where it does not fit.
    """
    try:
        found = _content(path)
        if found.get("folded"):
            fuse_bn_layers(net)
        if found.get("quantized") and qat:
            set_mode(net, "qat")
        state = cast("dict[str, Tensor]", found.get("state_dict", found))
        load_checkpoint(net, network_entries(found, state))
    except (RuntimeError, ValueError) as error:
        name = model.shown
        raise refused(CHECKPOINT, path.name, file=path.name, model=name, why=error) from error


def _content(path: Path) -> dict[str, Any]:
    """Return what a file of weights holds; raises `ValueError`."""
    if not path.is_file():
        raise ValueError("there is no such file")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise ValueError("it is no file of safetensors") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling a foreign file raises
        raise ValueError("it is no checkpoint of plain tensors") from error
    if not isinstance(found, dict):
        raise ValueError("it is no checkpoint of plain tensors")
    return found


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
        load_weights(net, config.weights, config.model, qat=config.qat is not None)
    learner = _learner(config, data, net)
    _check_fit(learner, config)
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
    run = Run(folder, config, leads=trainer.is_global_zero)
    _finish(run, data)
    return run


def _check_folder(folder: Path, config: TrainConfig, text: str) -> None:
    if config.qat is not None and config.qat.start_epoch >= config.epochs:
        why = f"QAT would start behind the last of {config.epochs} epochs"
        raise refused(CONFIG, field="qat.start_epoch", why=why)
    if (folder / RESULT).exists():
        help = "choose another folder with `--output`, or remove this one"
        raise refused(FINISHED, path=folder, help=help)
    written = folder / CONFIGURATION
    if written.is_file() and (folder / LAST).is_file():
        before, now = json.loads(written.read_text()), json.loads(text)
        different = sorted(key for key in before | now if before.get(key) != now.get(key))
        if different:
            names = ", ".join(f"`{name}`" for name in different)
            help = "choose another folder with `--output`, or remove this one"
            raise refused(OTHER_RUN, path=folder, why=f"{names} differ", help=help)


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
        given = config.distillation
        load_weights(teacher, given.weights, given.teacher, qat=True)
    return Learner(config, data, net, teacher)


def _check_fit(learner: Any, config: TrainConfig) -> None:
    """Raise `Rejected` where the network cannot take the data, or gives what nobody can score."""
    samples, goal = learner.data.train, learner.goal
    x, targets = collate([samples[i] for i in range(min(2, len(samples)))])
    net = copy.deepcopy(learner.net).eval()
    try:
        with torch.no_grad():
            outputs = net(x)
            goal.loss(outputs, targets, x)
            goal.update(goal.metrics(), outputs, targets, x)
    except Exception as error:  # whatever torch raises for shapes that do not fit
        path = Path(config.model.name.rpartition(":")[0])
        why = f"it does not fit the data `{learner.data.info.name}`: {failure(error, path)}"
        shapes = f"samples have the shape {learner.data.info.shape}"
        raise refused(CONFIG, field="model", why=why, help=shapes) from error


def _trainer(config: TrainConfig, learner: Any, progress: bool) -> Trainer:
    from lightning import Trainer
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch.loggers import TensorBoardLogger

    from ai8xc.training.trainer.checkpoints import KeepBest, KeepLast

    try:
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
    except (ImportError, MisconfigurationException, RuntimeError, ValueError) as error:
        why = str(error).partition("\n")[0]
        named = [name for name in ("strategy", "precision", "devices") if name in why]
        raise refused(CONFIG, field=(named or ["accelerator"])[0], why=why) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Lightning recommends: the data are in memory, the logs go to a folder."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def _finish(run: Run, data: Data) -> None:
    """Measure the best epoch on the test samples, and mark the run as finished."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # of several processes only one measures
    if not run.leads:
        return
    from ai8xc.training.trainer.evaluation import measure

    found = measure(run, data)
    record = {"epochs": run.config.epochs, "checkpoint": run.best().name, **found.record()}
    temporary = run.folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(run.folder / RESULT)
