"""The network of a run in Lightning's terms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from torchmetrics import Metric

from ai8xc.training.data import Data, Samples, collate
from ai8xc.training.layers import HardwareLayer
from ai8xc.training.qat import initiate_qat, update_optimizer
from ai8xc.training.rules import CONFIG, NOT_FINITE, refused
from ai8xc.training.trainer.config import TrainConfig
from ai8xc.training.trainer.tasks import Distillation, goal


class EpochOrder(Sampler[int]):
    """A random order of samples that depends on the seed and the epoch alone."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples, self.seed = samples, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 7919 + self.samples.epoch)
        return iter(torch.randperm(len(self.samples), generator=generator).tolist())


class Learner(LightningModule):
    """Trains a network; QAT starts before the epoch that the policy names."""

    def __init__(
        self, config: TrainConfig, data: Data, net: nn.Module, teacher: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.config, self.data = config, data
        self.net = net
        self.goal = goal(config, data.info, net)
        self._teacher = [Distillation(config, teacher)] if teacher is not None else []
        self.quantized = False
        self._metrics: dict[str, Metric] = {}

    def forward(self, x: Tensor) -> Any:
        """Return the outputs of the network."""
        return self.net(x)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training samples; the loader draws an order before the epoch starts."""
        self.data.train.epoch = self.current_epoch
        return self._loader(self.data.train, EpochOrder(self.data.train, self.config.seed))

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation samples."""
        return self._loader(self.data.validation, None)

    def _loader(self, samples: Samples, order: EpochOrder | None) -> DataLoader[Any]:
        config = self.config
        return DataLoader(
            samples,
            config.batch_size,
            sampler=order,
            num_workers=config.workers,
            collate_fn=collate,
            generator=torch.Generator().manual_seed(config.seed),  # leaves the global one alone
        )

    def on_train_epoch_start(self) -> None:
        """Start QAT when it is due; seed what draws random numbers by the epoch."""
        self.data.train.epoch = self.current_epoch
        torch.manual_seed(self.config.seed * 100_003 + self.current_epoch)
        policy = self.config.qat
        if policy and self.current_epoch >= policy.start_epoch and not self.quantized:
            self.start_qat()
            optimizer = self.optimizers(use_pl_optimizer=False)
            assert isinstance(optimizer, torch.optim.Optimizer)
            update_optimizer(self.net, optimizer)
            self._share_anew()

    def _share_anew(self) -> None:
        """Let several processes share the gradients of the parameters that are left."""
        strategy = self.trainer.strategy
        if isinstance(strategy, DDPStrategy):
            strategy.model = self
            strategy.configure_ddp()

    def start_qat(self) -> None:
        """Bring the network to QAT."""
        assert self.config.qat is not None
        initiate_qat(self.net, self.config.qat)
        self.quantized = True

    def training_step(self, batch: tuple[Tensor, Any], index: int) -> Tensor:
        """Return the loss of a batch; raises `Rejected` where it is not finite."""
        x, targets = batch
        outputs = self(x)
        loss = self.goal.loss(outputs, targets, x)
        distillation = self.config.distillation
        if distillation and self.current_epoch >= distillation.start_epoch:
            loss = self._teacher[0].to(x.device)(loss, outputs, x)
        if not torch.isfinite(loss):
            self.stop(x, float(loss.detach()), index)
        self.log("train_loss", loss, on_step=True, on_epoch=True, batch_size=len(x), sync_dist=True)
        return loss

    def stop(self, x: Tensor, value: float, step: int) -> None:
        """Raise `Rejected` that says where the numbers are lost."""
        layer = first_not_finite(self.net, x) or "the loss"
        raise refused(NOT_FINITE, value=value, epoch=self.current_epoch, step=step, layer=layer)

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self._begin()

    def validation_step(self, batch: tuple[Tensor, Any], index: int) -> None:
        """Count a batch of validation samples."""
        self._count(batch, "val")

    def on_validation_epoch_end(self) -> None:
        """Tell what was counted."""
        self._tell("val")

    def on_test_epoch_start(self) -> None:
        """Begin to count."""
        self._begin()

    def test_step(self, batch: tuple[Tensor, Any], index: int) -> None:
        """Count a batch of test samples."""
        self._count(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Tell what was counted."""
        self._tell("test")

    def _begin(self) -> None:
        self._metrics = {name: m.to(self.device) for name, m in self.goal.metrics().items()}

    def _count(self, batch: tuple[Tensor, Any], part: str) -> None:
        x, targets = batch
        outputs = self(x)
        loss = self.goal.loss(outputs, targets, x)
        self.log(f"{part}_loss", loss, on_epoch=True, batch_size=len(x), sync_dist=True)
        self.goal.update(self._metrics, outputs, targets, x)

    def _tell(self, part: str) -> None:
        for name, metric in self._metrics.items():
            value = metric.compute()
            if value.numel() == 1:
                shown = name == self.goal.score
                self.log(f"{part}_{name}", value.float(), prog_bar=shown, sync_dist=True)
        confusion = self._metrics.get("confusion")
        writer = getattr(self.logger, "experiment", None)
        if confusion is not None and writer is not None and not self.trainer.sanity_checking:
            counts = confusion.compute().float()
            image = counts / counts.sum(1, keepdim=True).clamp(min=1)
            writer.add_image(f"{part}_confusion", image[None], self.current_epoch)

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and the schedule of its learning rate."""
        chosen = self.config.optimizer
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        given: dict[str, Any] = {"lr": chosen.lr, "weight_decay": chosen.weight_decay}
        if chosen.kind == "sgd":
            given["momentum"] = chosen.momentum
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        optimizer = kinds[chosen.kind](parameters, **given)
        if self.config.schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.schedule(optimizer)}

    def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        """Return the scheduler that the configuration names; raises `Rejected` for a wrong one."""
        found = self.config.schedule
        assert found is not None
        make = vars(torch.optim.lr_scheduler).get(found.kind)
        if not isinstance(make, type):
            why = f"torch has no scheduler `{found.kind}`"
            raise refused(CONFIG, field="schedule.kind", why=why)
        try:
            return make(optimizer, **found.options)
        except (TypeError, ValueError) as error:
            raise refused(CONFIG, field="schedule.options", why=str(error)) from error

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note the form of the network."""
        checkpoint["quantized"] = self.quantized
        checkpoint["folded"] = any(
            isinstance(layer, HardwareLayer) and layer.declared_norm and layer.bn is None
            for layer in self.net.modules()
        )
        checkpoint["arch"] = self.config.model.name.rpartition(":")[2]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Bring the network to the form that the checkpoint has."""
        if checkpoint.get("quantized") and not self.quantized:
            self.start_qat()


def first_not_finite(net: nn.Module, x: Tensor) -> str | None:
    """Return the first layer whose output holds a value that is not finite."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            values = output if isinstance(output, tuple | list) else (output,)
            if not all(math.isfinite(float(v.detach().sum())) for v in values):
                found.append(name)

        return hook

    parts = [(n, m) for n, m in net.named_modules() if n and not list(m.children())]
    layers = [(n, m) for n, m in net.named_modules() if n and isinstance(m, HardwareLayer)]
    handles = [m.register_forward_hook(watch(n)) for n, m in (layers or parts)]
    try:
        with torch.no_grad():
            net(x)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
