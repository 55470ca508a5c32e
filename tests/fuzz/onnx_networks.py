"""Random ONNX models that both devices can run, from the layers that networks are made of."""

from random import Random

import onnx
from blocks import Net


class Grower:
    """Grows a model; `x` is the last value, with its channels and its rows and columns."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.channels = random.choice([1, 3, 4, 16])
        self.size = random.choice([12, 16, 24])
        self.net = Net("random", (self.channels, self.size, self.size))
        self.x = "x"

    def conv(self) -> None:
        outputs = self.random.choice([4, 8, 16, 32])
        kernel = self.random.choice([1, 3, 3])
        self.x = self.net.conv(self.x, self.channels, outputs, kernel)
        self.channels = outputs
        if self.random.random() < 0.7:
            self.x = self.net.relu(self.x)

    def depthwise(self) -> None:
        self.x = self.net.conv(self.x, self.channels, self.channels, groups=self.channels)

    def pool(self) -> None:
        if self.size >= 4 and self.size % 2 == 0:
            self.x = self.net.pool(self.x)
            self.size //= 2

    def residual(self) -> None:
        """Two convolutions around a sum."""
        y = self.net.relu(self.net.conv(self.x, self.channels, self.channels))
        y = self.net.conv(y, self.channels, self.channels)
        self.x = self.net.relu(self.net.node("Add", y, self.x))

    def branches(self) -> None:
        """Two convolutions side by side."""
        if self.channels > 32:
            return
        ends = [self.net.relu(self.net.conv(self.x, self.channels, 8, k)) for k in (1, 3)]
        self.x, self.channels = self.net.node("Concat", *ends, axis=1), 16

    def classify(self) -> None:
        """A mean of all pixels and a matrix."""
        mean = self.net.node("GlobalAveragePool", self.x)
        self.x = self.net.matrix(mean, self.channels, self.random.choice([2, 10]))


def legal_onnx(random: Random) -> onnx.ModelProto:
    """Return a random model that starts with a convolution."""
    grower = Grower(random)
    grower.conv()
    steps = (grower.conv, grower.depthwise, grower.pool, grower.residual, grower.branches)
    for _ in range(random.randint(1, 4)):
        random.choice(steps)()
    if random.random() < 0.6:
        grower.classify()
    return grower.net.model(grower.x)
