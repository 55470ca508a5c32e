"""Random networks that a device can run are compiled, and proven down to its registers.

The long form is `benchmarks/fuzz.py`.
"""

from random import Random

import pytest

from ai8xc.device import load_device
from fuzz.networks import legal
from fuzz.verdict import verdict

SEEDS = range(25)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
@pytest.mark.parametrize("seed", SEEDS)
def test_legal_networks_are_proven(device: str, seed: int) -> None:
    found = verdict(legal(Random(seed), load_device(device)), device)
    assert found.kind == "proven", found.why
