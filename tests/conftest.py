"""What tests of several packages share."""

from pathlib import Path

import pytest
from hypothesis import settings

# A kernel's first call compiles, and machines differ: no example is measured by the clock.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real klines beside the repository, or skip where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real klines: ../shared/data is absent")
    return SHARED_DATA
