"""Scenes, played on virtual time."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.scene import Scene
from tests.simulation.virtual_time import run


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Give a function that plays a scene."""

    def whole(script: Callable[[Scene], Coroutine[Any, Any, None]], **risk: float) -> None:
        async def main() -> None:
            scene = Scene(tmp_path, risk)
            try:
                await script(scene)
            finally:
                await scene.kill()

        run(main())

    return whole
