"""A job queue in memory that keeps the promises of the real one, the uncomfortable ones too."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.jetstream import ACK_WAIT_SECONDS, QueueUnavailable


@dataclass
class Message:
    sequence: int
    lane: str
    data: bytes
    headers: Mapping[str, str]
    num_delivered: int = 0
    invisible_until: float = 0.0
    """By the event loop's clock."""


@dataclass
class FakeDelivery:
    queue: FakeJobQueue
    data: bytes
    headers: Mapping[str, str]
    sequence: int
    num_delivered: int
    progress: int = field(default=0)
    """How often `in_progress` was called."""

    async def in_progress(self) -> None:
        await self.queue.answer()
        self.progress += 1
        self.queue.hide(self.sequence, ACK_WAIT_SECONDS)

    async def ack_sync(self) -> None:
        await self.queue.answer()
        # Also the late ack of a delivery that somebody else has by now: the server does not mind.
        self.queue.messages.pop(self.sequence, None)

    async def nak(self, delay: float = 0) -> None:
        await self.queue.answer()
        self.queue.hide(self.sequence, delay)

    async def term(self) -> None:
        await self.ack_sync()


class FakeJobQueue:
    """`messages` is open to tests, by sequence; `is_down` makes every call fail as an outage does."""

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.events: dict[str, Message] = {}
        """By id; of an event's message, `lane` is the subject."""
        self.has_streams = False
        self.is_down = False
        self._sequence = 0
        self._known: dict[str, int] = {}
        self._changed = asyncio.Event()

    async def ensure_streams(self, *, replicas: int = 1, max_ack_pending: int = 64) -> None:
        await self.answer()
        self.has_streams = True

    async def publish(self, lane: str, payload: bytes, *, message_id: str, headers: dict[str, str]) -> int:
        await self.answer()
        if not self.has_streams:
            raise QueueUnavailable("there is no stream")
        if message_id not in self._known:
            self._sequence += 1
            self._known[message_id] = self._sequence
            carried = {**headers, "Nats-Msg-Id": message_id}
            self.messages[self._sequence] = Message(self._sequence, lane, payload, carried)
            self._changed.set()
        return self._known[message_id]

    async def publish_event(self, subject: str, payload: bytes, *, event_id: str, headers: dict[str, str]) -> int:
        await self.answer()
        if not self.has_streams:
            raise QueueUnavailable("there is no stream")
        carried = {**headers, "Nats-Msg-Id": event_id}
        return self.events.setdefault(event_id, Message(len(self.events) + 1, subject, payload, carried)).sequence

    async def has_message(self, sequence: int) -> bool:
        await self.answer()
        return sequence in self.messages

    async def is_waiting(self, lane: str, sequence: int) -> bool:
        await self.answer()
        return sequence in self.messages and not self.messages[sequence].num_delivered

    async def remove(self, sequence: int) -> None:
        await self.answer()
        self.messages.pop(sequence, None)

    async def fetch(self, lane: str, *, timeout: float) -> FakeDelivery | None:  # noqa: ASYNC109 - as the real one
        try:
            async with asyncio.timeout(timeout):
                while self.is_down or (message := self._next(lane)) is None:
                    await self._wait_for_change()
        except TimeoutError:
            return None
        message.num_delivered += 1
        self.hide(message.sequence, ACK_WAIT_SECONDS)
        return FakeDelivery(self, message.data, message.headers, message.sequence, message.num_delivered)

    async def ping(self) -> None:
        await self.answer()

    async def close(self) -> None:
        self.is_down = True

    def lose_everything(self) -> None:
        """As a wiped store: no stream, no messages, no memory of message ids."""
        self.messages.clear()
        self.events.clear()
        self._known.clear()
        self.has_streams = False

    def hide(self, sequence: int, seconds: float) -> None:
        if sequence in self.messages:
            self.messages[sequence].invisible_until = self._now() + seconds
            self._changed.set()

    async def answer(self) -> None:
        """As over a network, others run meanwhile."""
        await asyncio.sleep(0)
        if self.is_down:
            raise QueueUnavailable("down")

    def _next(self, lane: str) -> Message | None:
        now = self._now()
        visible = (one for one in self.messages.values() if one.lane == lane and one.invisible_until <= now)
        return next(visible, None)

    async def _wait_for_change(self) -> None:
        """Until something was published or given back, or the next hidden message shows again."""
        self._changed.clear()
        hidden = [one.invisible_until for one in self.messages.values() if one.invisible_until > self._now()]
        try:
            async with asyncio.timeout_at(min(hidden, default=None)):
                await self._changed.wait()
        except TimeoutError:
            return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
