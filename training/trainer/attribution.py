"""Pictures of what in a sample decides for its class, by integrated gradients (captum)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ai8xc.training.layers import set_mode
from ai8xc.training.rules import CONFIG, refused

if TYPE_CHECKING:
    from ai8xc.training.data import Data
    from ai8xc.training.trainer.runs import Run

_COUNT = 8
_STEPS = 32


def attributions(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return how much each value of each sample counts for the class that the network gives.

    Along the way from a grey sample the gradients of the float network are summed up; the sum over
    a sample is the difference of the class score to that of the grey sample.
    """
    from captum.attr import IntegratedGradients

    plain = set_mode(net, "float").eval()
    with torch.no_grad():
        classes = plain(x).flatten(1).argmax(1)
    method = IntegratedGradients(lambda sample: plain(sample).flatten(1))
    found: torch.Tensor = method.attribute(x, target=classes, n_steps=_STEPS).detach()
    return found


def draw(run: Run, data: Data, path: Path, checkpoint: Path | None = None) -> None:
    """Draw the first test samples above their attributions; red counts for, blue against."""
    if data.info.task != "classification":
        raise refused(CONFIG, field="attribution", why=f"`{data.info.task}` has no classes")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    x = torch.stack([data.test[i][0] for i in range(min(_COUNT, len(data.test)))])
    counted = attributions(run.network(checkpoint), x)
    figure, axes = pyplot.subplots(2, len(x), figsize=(1.5 * len(x), 3), squeeze=False)
    for column, (sample, share) in enumerate(zip(x, counted, strict=True)):
        limit = float(share.abs().max()) or 1.0
        axes[0, column].imshow(_image(sample.mean(0)), cmap="gray", aspect="auto")
        axes[1, column].imshow(
            _image(share.sum(0)), cmap="bwr", vmin=-limit, vmax=limit, aspect="auto"
        )
        label = int(torch.as_tensor(data.test.target(column)))
        axes[0, column].set_title(data.info.labels[label])
        for axis in axes[:, column]:
            axis.set_axis_off()
    figure.savefig(path, dpi=96)
    pyplot.close(figure)


def _image(values: torch.Tensor) -> torch.Tensor:
    """Return values as an image; a signal becomes one row."""
    return values if values.dim() == 2 else values[None]
