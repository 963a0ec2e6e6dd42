"""A role that never gets round to publishing anything."""

import asyncio
from typing import Any

import wick
from live.bus import Bus


async def asleep(_: Bus, *_entries: Any) -> list[bool]:
    return await asyncio.Future()


if __name__ == "__main__":
    Bus.publish_all = asleep  # type: ignore[method-assign, assignment]
    wick.main()
