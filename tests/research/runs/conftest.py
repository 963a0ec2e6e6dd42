"""A run that was kept, for all tests of this room."""

import pytest

from data.runs import Run
from tests.cli.kept_runs import first_run


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a small real run called first; others may be kept beside it."""
    return first_run(tmp_path_factory.mktemp("runs"))
