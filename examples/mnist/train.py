"""Train a small convolutional network on MNIST and write mnist.onnx beside this file.

python -m examples.mnist.train   (from the root of the repository; about a minute on one core)
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

from examples import to_onnx
from examples.mnist.data import split

EPOCHS = 12
BATCH = 50
PEAK_RATE = 4e-3
MAX_SHIFT = 2  # pixels
BACKGROUND = -1.0


def network() -> nn.Sequential:
    """Return the untrained network: a 28 x 28 image in, ten class scores out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 60, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(60),
            relu1=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv2=nn.Conv2d(60, 60, 3, padding=1, bias=False),
            bn2=nn.BatchNorm2d(60),
            relu2=nn.ReLU(),
            pool3=nn.MaxPool2d(2),
            conv3=nn.Conv2d(60, 56, 3, padding=1, bias=False),
            bn3=nn.BatchNorm2d(56),
            relu3=nn.ReLU(),
            pool4=nn.AvgPool2d(2),
            conv4=nn.Conv2d(56, 12, 3, padding=1),
            relu4=nn.ReLU(),
            flatten=nn.Flatten(),
            fc=nn.Linear(12 * 3 * 3, 10),
        )
    )


def shifted(x: torch.Tensor) -> torch.Tensor:
    """Return the batch moved by up to MAX_SHIFT pixels, filled with background."""
    padded = nn.functional.pad(x, (MAX_SHIFT,) * 4, value=BACKGROUND)
    top, left = torch.randint(0, 2 * MAX_SHIFT + 1, (2,)).tolist()
    return padded[:, :, top : top + 28, left : left + 28]


def train(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> None:
    """Fit `net` to the images `x` and their classes `y`."""
    optimizer = torch.optim.Adam(net.parameters())
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(net(shifted(x[batch])), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}")


def main() -> None:
    """Train, print the test accuracy and write the model."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the order of additions, and so the result, stays the same
    x_train, y_train, x_test, y_test = map(torch.from_numpy, split())
    net = network()
    train(net, x_train, y_train)
    net.eval()
    with torch.no_grad():
        accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
    print(f"{sum(p.numel() for p in net.parameters())} parameters, test accuracy {accuracy:.2%}")
    to_onnx.save(net, (1, 28, 28), Path(__file__).with_name("mnist.onnx"))


if __name__ == "__main__":
    main()
