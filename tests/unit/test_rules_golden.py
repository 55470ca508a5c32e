"""No rule of the hardware refuses what the vendor's tool accepts and proves."""

import re

import golden_corpus
import pytest
from golden_rules import NOT_REPRODUCED, accepted

from ai8xc.ir.diag import errors
from ai8xc.rules.catalogue import check

pytestmark = pytest.mark.skipif(
    golden_corpus.golden_folder() is None, reason="vendor vectors are not present"
)


def test_accepted_networks_break_no_rule() -> None:
    wrong = []
    for entry in golden_corpus.entries():
        graph, device = accepted(entry)
        for finding in errors(check(graph, device)):
            excuse = NOT_REPRODUCED.get(finding.rule.id)
            if excuse is None or not re.fullmatch(excuse[0], entry.name):
                wrong.append(f"{entry.id}: {finding}")
    assert not wrong
    assert len(golden_corpus.entries()) > 1000
