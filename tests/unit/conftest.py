"""What tests of training share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ai8xc.training.trainer.runs import Run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run that has ended; nobody changes it."""
    from small_runs import trained

    return trained(tmp_path_factory.mktemp("finished"))
