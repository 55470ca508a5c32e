"""Checkpoints of a run: after each epoch, and of the best one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from ai8xc.training.trainer.runs import BEST, LAST
from ai8xc.training.trainer.tasks import Goal


class KeepBest(Callback):
    """Keeps the best epoch on the validation samples, before QAT and with it."""

    def __init__(self, folder: Path, goal: Goal) -> None:
        self.folder, self.goal = folder, goal
        self.best: dict[str, float] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the epoch if it is better than all before."""
        if trainer.sanity_checking:
            return
        name = BEST[bool(vars(pl_module)["quantized"])]
        value = self.goal.sign * float(trainer.callback_metrics[f"val_{self.goal.score}"])
        if value >= self.best.get(name, float("-inf")):
            self.best[name] = value
            save(trainer, self.folder / name)

    def state_dict(self) -> dict[str, Any]:
        """Return the best values so far."""
        return {"best": dict(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best values so far."""
        self.best = dict(state_dict["best"])


class KeepLast(Callback):
    """Keeps the state after each epoch, from which a run is resumed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state."""
        save(trainer, self.folder / LAST)


def save(trainer: Trainer, path: Path) -> None:
    """Write a checkpoint as a whole: an interruption leaves the old one or the new one."""
    part = path.with_suffix(".part")
    trainer.save_checkpoint(part, weights_only=False)
    if trainer.is_global_zero:
        part.replace(path)
    trainer.strategy.barrier()
