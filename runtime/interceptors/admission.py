"""Refuses calls beyond what may be served at once, and ends unary calls that take too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.context import current_request
from runtime.errors import DeadlineExceeded, ResourceExhausted
from runtime.interceptors.chain import Call
from runtime.telemetry import RPC_IN_FLIGHT


class Admission:
    """Streams are counted apart, so that those who watch keep nobody from working."""

    def __init__(self, *, max_in_flight: int, max_streams: int) -> None:
        self._limits = {"unary": max_in_flight, "stream": max_streams}
        self._in_flight = {"unary": 0, "stream": 0}

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        kind = "stream" if call.is_streaming else "unary"
        if self._in_flight[kind] >= self._limits[kind]:
            raise ResourceExhausted("OVERLOADED", "The service has too much to do; try again in a moment.")
        self._in_flight[kind] += 1
        RPC_IN_FLIGHT.labels(kind=kind).inc()
        try:
            if call.is_streaming:
                yield
            else:
                async with _until_deadline():
                    yield
        finally:
            self._in_flight[kind] -= 1
            RPC_IN_FLIGHT.labels(kind=kind).dec()


@asynccontextmanager
async def _until_deadline() -> AsyncIterator[None]:
    scope = asyncio.timeout_at(current_request().deadline)
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise DeadlineExceeded("DEADLINE_EXCEEDED", "The call took longer than it may.") from error
