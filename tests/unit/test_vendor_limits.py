"""Each cause of the vendor's refusals and each limit of its guide has its rule."""

import json

import golden_corpus
import pytest
from vendor_causes import CAUSES, GUIDE, Limit

from ai8xc.device import load_device
from ai8xc.ir.diag import rules
from ai8xc.plugins import load_rules
from ai8xc.rules.limits import limit_on


@pytest.fixture(autouse=True, scope="module")
def every_rule() -> None:
    load_rules()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_has_rules_with_a_page(cause: str) -> None:
    for id in filter(None, CAUSES[cause].split("|")):
        assert rules()[id].message
        assert len(rules()[id].explanation) > 10


@pytest.mark.parametrize("limit", GUIDE, ids=lambda limit: limit.about)
def test_a_limit_of_the_guide_has_rules(limit: Limit) -> None:
    for id in limit.rules:
        assert rules()[id].explanation
    for device in ("max78000", "max78002"):
        told = limit_on(rules()[limit.rules[0]], load_device(device)) or ""
        assert all(number in told.replace(",", "") for number in getattr(limit, device)), told


def test_every_cause_of_the_vectors_is_known() -> None:
    folder = golden_corpus.golden_folder()
    if folder is None:
        pytest.skip("vendor vectors are not present")
    codes = json.loads((folder / "index.json").read_text())["reject_codes"]
    assert {code.partition("/")[2] for code in codes} <= set(CAUSES)
    assert len(CAUSES) > 120
