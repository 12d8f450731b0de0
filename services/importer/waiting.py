"""Waiting for one thing or another, not for ever."""

from __future__ import annotations

import asyncio
import contextlib


async def wait(stop: asyncio.Event, seconds: float) -> None:
    """Until `stop`, at most so long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def wait_for_either(stop: asyncio.Event, called: asyncio.Event, seconds: float) -> None:
    """Until one of them is set, at most so long."""
    waiting = {asyncio.create_task(stop.wait()), asyncio.create_task(called.wait())}
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
