"""Train a tiny convolutional network on scikit-learn's digits and write digits.onnx.

python -m examples.digits.train   (from the root of the repository; a few seconds)
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

from examples import to_onnx
from examples.digits.data import split

EPOCHS = 40
BATCH = 32
PEAK_RATE = 1e-2


def network() -> nn.Sequential:
    """Return the untrained network: an 8 x 8 image in, ten class scores out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(16),
            relu1=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 16, 3, padding=1),
            relu2=nn.ReLU(),
            pool3=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(16 * 2 * 2, 10),
        )
    )


def train(net: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> None:
    """Fit `net` to the images `x` and their classes `y`."""
    optimizer = torch.optim.AdamW(net.parameters())
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


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
    to_onnx.save(net, (1, 8, 8), Path(__file__).with_name("digits.onnx"))


if __name__ == "__main__":
    main()
