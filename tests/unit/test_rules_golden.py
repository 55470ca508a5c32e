"""No rule of the hardware refuses what the vendor's tool accepts and proves."""

import re

import golden_corpus
import pytest
from golden_rules import NOT_REPRODUCED, accepted

from ai8xc import checker
from ai8xc.ir.diag import errors
from ai8xc.passes.check_placement import counters
from ai8xc.passes.check_rules import check

pytestmark = pytest.mark.skipif(
    golden_corpus.golden_folder() is None, reason="vendor vectors are not present"
)


def excused(entry: golden_corpus.Entry, rule: str) -> bool:
    """Whether the table of exceptions says why this rule refuses this network."""
    return any(
        rule in rules and re.fullmatch(name, entry.name) for name, rules, _ in NOT_REPRODUCED
    )


def test_accepted_networks_break_no_rule() -> None:
    wrong = []
    for entry in golden_corpus.entries():
        found = errors(check(*accepted(entry)))
        wrong += [f"{entry.id}: {x}" for x in found if not excused(entry, x.rule.id)]
    assert not wrong
    assert len(golden_corpus.entries()) > 1000


def test_accepted_networks_are_placed_well() -> None:
    wrong = []
    for entry in golden_corpus.entries()[::4]:
        graph, device = accepted(entry)
        buffers = {layer: found.rollover for layer, found in counters(graph, device).items()}
        found = checker.check(graph, device, buffers)
        wrong += [f"{entry.id}: {x}" for x in found if not excused(entry, x.rule.id)]
    assert not wrong
