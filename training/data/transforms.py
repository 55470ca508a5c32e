"""Transforms of samples, declared as data: `[{kind: normalize}, {kind: fold, ratio: 4}]`.

Samples are channels first: C x H x W or C x L, real values. Transforms that draw random numbers
are for training only; they draw from a generator that depends on the seed, the epoch and the
sample, so that a run can be repeated and resumed. Source: training facts, section 2.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ai8xc.ir.diag import Rejected
from ai8xc.ir.types import Array
from ai8xc.training.rules import TRANSFORM, refused

Random = np.random.Generator


class Transform(BaseModel):
    """A step between a stored sample and the input of the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    random: ClassVar[bool] = False
    kind: str

    def apply(self, sample: Array, random: Random) -> Array:
        """Return the transformed sample."""
        raise NotImplementedError

    def refuse(self, sample: Array, why: str) -> Rejected:
        """Return the exception for a sample of a shape that the transform cannot take."""
        return refused(TRANSFORM, kind=self.kind, shape=tuple(sample.shape), why=why)


class Normalize(Transform):
    """Values from 0 to 1 as the device reads them: multiples of 1/128 from -1 to 127/128."""

    kind: Literal["normalize"] = "normalize"

    def apply(self, sample: Array, random: Random) -> Array:
        """Return `clamp(round((x - 1/2) * 256)) / 128`, halves to even."""
        steps = np.clip(np.rint((sample.astype(np.float32) - 0.5) * 256), -128, 127)
        return np.asarray(steps / np.float32(128))


class Fold(Transform):
    """Blocks of `ratio` x `ratio` pixels become channels: C x H x W to C*r*r x H/r x W/r."""

    kind: Literal["fold"] = "fold"
    ratio: PositiveInt

    def apply(self, sample: Array, random: Random) -> Array:
        """Return all channels of each row and column phase, one phase behind the other."""
        r = self.ratio
        if sample.ndim != 3 or sample.shape[1] % r or sample.shape[2] % r:
            raise self.refuse(sample, f"both sides must be multiples of {r}")
        return np.concatenate([sample[:, i::r, j::r] for i in range(r) for j in range(r)])


class Bayer(Transform):
    """An RGB image as one channel, behind a GRBG colour filter."""

    kind: Literal["bayer"] = "bayer"

    def apply(self, sample: Array, random: Random) -> Array:
        """Return green, blue / red, green in each block of 2 x 2 pixels."""
        if sample.ndim != 3 or sample.shape[0] != 3:
            raise self.refuse(sample, "it needs three channels")
        mosaic = sample[1:2].copy()
        mosaic[:, ::2, 1::2] = sample[2:3, ::2, 1::2]
        mosaic[:, 1::2, ::2] = sample[0:1, 1::2, ::2]
        return mosaic


class CenterCrop(Transform):
    """The middle of each spatial axis."""

    kind: Literal["center_crop"] = "center_crop"
    size: tuple[PositiveInt, ...]

    def apply(self, sample: Array, random: Random) -> Array:
        """Return `size` values of each spatial axis; an odd rest is left at the end."""
        if sample.ndim != len(self.size) + 1 or any(
            have < want for have, want in zip(sample.shape[1:], self.size, strict=True)
        ):
            raise self.refuse(sample, f"the crop is {self.size}")
        starts = [(n - size) // 2 for n, size in zip(sample.shape[1:], self.size, strict=True)]
        where = (slice(a, a + size) for a, size in zip(starts, self.size, strict=True))
        return sample[(slice(None), *where)]


class Pad(Transform):
    """A constant around each spatial axis."""

    kind: Literal["pad"] = "pad"
    amount: NonNegativeInt
    value: float = 0.0

    def apply(self, sample: Array, random: Random) -> Array:
        """Return the padded sample."""
        pads = [(0, 0)] + [(self.amount, self.amount)] * (sample.ndim - 1)
        return np.pad(sample, pads, constant_values=self.value)


class RandomCrop(Transform):
    """The sample shifted by up to `padding` along each spatial axis; `value` fills the rest."""

    random: ClassVar[bool] = True
    kind: Literal["random_crop"] = "random_crop"
    padding: PositiveInt
    value: float = 0.0

    def apply(self, sample: Array, random: Random) -> Array:
        """Return a window of the padded sample."""
        padded = Pad(amount=self.padding, value=self.value).apply(sample, random)
        starts = random.integers(0, 2 * self.padding + 1, sample.ndim - 1)
        where = (slice(a, a + n) for a, n in zip(starts, sample.shape[1:], strict=True))
        return padded[(slice(None), *where)]


class RandomFlip(Transform):
    """The last axis reversed, for half of the samples."""

    random: ClassVar[bool] = True
    kind: Literal["random_flip"] = "random_flip"
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5

    def apply(self, sample: Array, random: Random) -> Array:
        """Return the sample or its mirror image."""
        return sample[..., ::-1] if random.random() < self.probability else sample


class RandomShift(Transform):
    """The last axis rotated by up to `steps` either way: a signal that starts earlier or later."""

    random: ClassVar[bool] = True
    kind: Literal["random_shift"] = "random_shift"
    steps: PositiveInt

    def apply(self, sample: Array, random: Random) -> Array:
        """Return the rotated sample."""
        return np.roll(sample, int(random.integers(-self.steps, self.steps + 1)), axis=-1)


class RandomNoise(Transform):
    """Normal noise of a standard deviation of `sigma`; values stay between 0 and 1."""

    random: ClassVar[bool] = True
    kind: Literal["random_noise"] = "random_noise"
    sigma: NonNegativeFloat

    def apply(self, sample: Array, random: Random) -> Array:
        """Return the noisy sample."""
        noise = random.normal(0, self.sigma, sample.shape)
        return np.clip(sample + noise, 0, 1).astype(np.float32)


AnyTransform = Annotated[
    Normalize
    | Fold
    | Bayer
    | CenterCrop
    | Pad
    | RandomCrop
    | RandomFlip
    | RandomShift
    | RandomNoise,
    Field(discriminator="kind"),
]


def apply_all(transforms: Sequence[Transform], sample: Array, random: Random) -> Array:
    """Return a sample after all transforms."""
    for transform in transforms:
        sample = transform.apply(sample, random)
    return sample


def unfold(batch: Array, ratio: int) -> Array:
    """Return N x C*r*r x H x W as N x C x H*r x W*r: the inverse of `fold` on a batch."""
    n, c, h, w = batch.shape
    blocks = batch.reshape(n, ratio, ratio, c // ratio**2, h, w)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // ratio**2, h * ratio, w * ratio)


def as_integers(samples: Array) -> Array:
    """Return samples in the device's range as the integers that it reads, int64."""
    return np.clip(np.rint(samples.astype(np.float64) * 128), -128, 127).astype(np.int64)
