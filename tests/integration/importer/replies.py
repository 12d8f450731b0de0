"""Ways to meddle with what a parser child answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from services.importer.engine.parser_process import ParserProcess


def pid_of(parser: ParserProcess) -> int:
    pid = parser._process.pid
    assert pid is not None
    return pid


def on_reply(monkeypatch: pytest.MonkeyPatch, act: Callable[[ParserProcess], None]) -> None:
    """Does something to the child after its first reply."""
    original = ParserProcess.replies

    async def replies(self: ParserProcess) -> AsyncIterator[Any]:
        is_first = True
        async for reply in original(self):
            yield reply
            if is_first:
                act(self)
            is_first = False

    monkeypatch.setattr(ParserProcess, "replies", replies)


def slow_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps an attempt busy until something stops it."""
    original = ParserProcess.replies

    async def replies(self: ParserProcess) -> AsyncIterator[Any]:
        async for reply in original(self):
            yield reply
            await asyncio.sleep(0.3)

    monkeypatch.setattr(ParserProcess, "replies", replies)


def record_orders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The orders given to children from now on."""
    orders: list[Any] = []
    original = ParserProcess.__init__

    def init(self: ParserProcess, order: Any, *rest: Any) -> None:
        orders.append(order)
        original(self, order, *rest)

    monkeypatch.setattr(ParserProcess, "__init__", init)
    return orders


def after_reply(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], Awaitable[None]]) -> None:
    """Does something once the run has dealt with so many replies of the next child, before it sees another."""
    original = ParserProcess.replies
    count = 0

    async def replies(self: ParserProcess) -> AsyncIterator[Any]:
        nonlocal count
        async for reply in original(self):
            yield reply
            count += 1
            if count == number:
                await act()

    monkeypatch.setattr(ParserProcess, "replies", replies)
