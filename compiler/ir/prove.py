"""The proof of a pass on a sample: interpret before, interpret after, compare.

Float graphs are compared with a tolerance, integer graphs bit for bit. Where a pass goes from
real numbers to integers the results are scaled back and their signal-to-noise ratio is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ai8xc.ir.core import Graph, Op
from ai8xc.ir.interface import from_hardware, shaped
from ai8xc.ir.interp import values
from ai8xc.ir.passes import PassContext, Step
from ai8xc.ir.types import Array, TensorType

TOLERANCE: Final = 1e-4
"""Largest difference of float results that counts as equal, relative to the largest magnitude.

Folding constants changes the order of single-precision additions; the relative error of a sum of
n terms is below n * 2**-24, which is 6e-5 for the thousand terms of a large layer.
"""

_INTEGER_STEPS: Final = 128
"""Steps of one unit in a sample of integers: the accelerators read pixels of 8 bits as [-1, 1)."""


@dataclass(frozen=True)
class Deviations:
    """Values that a pass may change, by name: each by fewer than so many integer steps.

    A pass without an exact equivalent gives these to its context; all that is computed of such a
    value must still be what the graph before gives for the changed one.
    """

    steps: Mapping[str, int]


class ProofFailed(Exception):  # noqa: N818 - says what happened
    """A pass of ours changed what the graph computes."""


def feed(graph: Graph, samples: Sequence[Array]) -> dict[str, Array]:
    """Return the values of the inputs by name for real-valued samples with a batch axis.

    An integer input gets the nearest integers in the scale of its type (1/128 where it has none),
    in the shape that the hardware loads.
    """
    found = {}
    for source, sample in zip(graph.inputs, samples, strict=True):
        found[source.name] = shaped(graph, source, to_stored(sample, source.type))
    return found


def to_stored(real: Array, kind: TensorType) -> Array:
    """Return real values as a tensor of this type holds them."""
    from ai8xc.ir.types import INTEGER_RANGE, storage

    if kind.is_float:
        return real.astype(storage(kind.element))
    low, high = INTEGER_RANGE[kind.element]
    steps = np.rint(real.astype(np.float64) / (kind.scale or 1 / _INTEGER_STEPS))
    return np.asarray(np.clip(steps, low, high).astype(storage(kind.element)))


def to_real(stored: Array, kind: TensorType) -> Array:
    """Return the real values that a tensor of this type stands for."""
    real: Array = stored.astype(np.float64)
    return real if kind.scale is None else real * kind.scale


def real_sample(sample: Array) -> Array:
    """Return a sample as real values: integers count steps of 1/128."""
    if sample.dtype.kind == "f":
        return sample
    return np.asarray(sample.astype(np.float64) / _INTEGER_STEPS)


def random_samples(graph: Graph, seed: int = 0) -> list[Array]:
    """Return uniform random values in [-1, 1) for the inputs of a graph."""
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, source.type.shape) for source in graph.inputs]


def snr_db(reference: Array, value: Array) -> float:
    """Return the signal-to-noise ratio in dB of `value` against `reference`."""
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(reference.astype(np.float64) - value).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


@dataclass(frozen=True)
class _Run:
    """The values of a graph for the samples: by name, and of its outputs in order."""

    named: Mapping[str, tuple[Op, Array]]
    outputs: Sequence[tuple[Op, Array]]


class Prove:
    """Hook that proves each pass on samples (real values, one array with batch for each input).

    `execute` returns the outputs of a graph of a level that the interpreter does not know: a
    register program, which holds its input.
    """

    def __init__(
        self,
        samples: Sequence[Array],
        say: Callable[[str], None],
        execute: Callable[[Graph], Sequence[Array]] | None = None,
    ) -> None:
        self.samples = samples
        self.say = say
        self.execute = execute
        self._last: tuple[Graph, _Run] | None = None
        self._known: set[str] = set()

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Say that the pass is proven; raises `ProofFailed` with the first op that differs."""
        name = step.applied.name
        if graph is before:
            self.say(f"proven: {name} (nothing changed)")
            return
        old = self._run(before)
        new = self._executed(graph, old) if graph.level == "reg" else self._run(graph)
        changed, old = self._deviated(step, before, old, new, ctx)
        self._last = (graph, new)
        if _is_real(before) and not _is_real(graph):
            self.say(f"proven: {name} ({_noise(old, new)})")
            return
        exact = not _is_real(before)
        inner, outputs = list(_shared(old, new)), _outputs(old, new)
        wrong = [found for pair in outputs if (found := _difference(exact, *pair))]
        if wrong or step.applied.keeps_values:  # the first value that differs explains the output
            wrong = [found for pair in inner if (found := _difference(exact, *pair))] + wrong
        if wrong:
            raise ProofFailed(f"pass `{name}` changed the value of {wrong[0]}")
        pairs = [*(inner if step.applied.keeps_values else ()), *outputs]
        how = "equal bit for bit" if exact else "equal to rounding"
        noun = "value" if len(pairs) == 1 else "values"
        told = "".join(f", `%{value}` within {bound} steps" for value, bound in changed.items())
        self.say(f"proven: {name} ({len(pairs)} {noun} {how}{told})")

    def _deviated(
        self, step: Step, before: Graph, old: _Run, new: _Run, ctx: PassContext
    ) -> tuple[Mapping[str, int], _Run]:
        """Return what the pass may have changed, and the graph before with those values.

        Raises `ProofFailed` where a value has changed by more.
        """
        allowed = ctx.find(Deviations)
        steps = {n: k for n, k in (allowed.steps if allowed else {}).items() if n in new.named}
        steps = {n: k for n, k in steps.items() if n in old.named and n not in self._known}
        self._known |= steps.keys()
        if not steps:
            return {}, old
        for name, bound in steps.items():
            after = new.named[name]
            off = np.abs(after[1].astype(np.int64) - old.named[name][1]).max()
            if off >= bound:
                text = f"pass `{step.applied.name}` changed `%{name}` by {off} steps of {bound}"
                raise ProofFailed(text)
        return steps, self._run(before, {name: new.named[name][1] for name in steps})

    def _run(self, graph: Graph, forced: Mapping[str, Array] | None = None) -> _Run:
        if self._last and self._last[0] is graph and not forced:
            return self._last[1]
        found_values = values(graph, feed(graph, self.samples), forced or {})
        named = {op.name: (op, value) for op, value in found_values}
        found = [named[output.name] for output in graph.outputs]
        in_users_shape = from_hardware(graph, [value for _, value in found])
        outputs = [(op, value) for (op, _), value in zip(found, in_users_shape, strict=True)]
        return _Run(named, outputs)

    def _executed(self, graph: Graph, before: _Run) -> _Run:
        """Return the outputs of a register program."""
        if self.execute is None:
            raise ProofFailed("nothing is there to execute a register program")
        found = self.execute(graph)
        if len(found) != len(before.outputs):
            raise ProofFailed(f"{len(before.outputs)} outputs became {len(found)}")
        return _Run({}, list(zip(graph.outputs, found, strict=True)))


def _is_real(graph: Graph) -> bool:
    return graph.level == "nn"


def _shared(old: _Run, new: _Run) -> Iterator[tuple[tuple[Op, Array], ...]]:
    """Yield computed values of one type that both graphs have under one name, in the new order."""
    for name, (op, value) in new.named.items():
        before = old.named.get(name)
        if before and before[0].operands and op.operands and before[0].type == op.type:
            yield before, (op, value)


def _outputs(old: _Run, new: _Run) -> list[tuple[tuple[Op, Array], ...]]:
    if len(old.outputs) != len(new.outputs):
        raise ProofFailed(f"{len(old.outputs)} outputs became {len(new.outputs)}")
    return [
        (before, _shaped(before, after))
        for before, after in zip(old.outputs, new.outputs, strict=True)
    ]


def _shaped(before: tuple[Op, Array], after: tuple[Op, Array]) -> tuple[Op, Array]:
    """Return an output in the shape that it had: the hardware knows channels x rows x columns."""
    op, value = after
    shape = before[1].shape
    return op, value.reshape(shape) if value.size == before[1].size else value


def _difference(exact: bool, old: tuple[Op, Array], new: tuple[Op, Array]) -> str:
    """Return where two values differ, nothing where they are equal."""
    before, after = old[1], new[1]
    place = f" ({new[0].loc})" if str(new[0].loc) else ""
    changed = f"`%{new[0].name}`{place}"
    if before.shape != after.shape:
        return f"{changed}: shape {before.shape} became {after.shape}"
    if exact:
        wrong = before != after
    else:
        finite = before[np.isfinite(before)]
        limit = TOLERANCE * float(np.abs(finite).max(initial=1e-6))
        wrong = ~np.isclose(before, after, rtol=0, atol=limit, equal_nan=True)
    if not wrong.any():
        return ""
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    shown = f"{before[first].item()!r} became {after[first].item()!r}"
    return f"{changed}: at {first} {shown} ({int(wrong.sum())} values differ)"


def _noise(old: _Run, new: _Run) -> str:
    """Return the ratio of each output; a function that the pass took off the end has no part."""
    ratios = []
    for (last, real), (op, stored) in _outputs(old, new):
        before = old.named.get(op.name, (last, real))[1]
        ratios.append(f"%{op.name} {snr_db(before, to_real(stored, op.type)):.1f} dB")
    return f"signal to noise: {', '.join(ratios)}"
