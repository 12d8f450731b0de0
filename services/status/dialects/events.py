"""Server-sent events of one import, as browsers read them (HTML Living Standard, 9.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dialects.plextrac.times import EPOCH
from services.status.json_stream import encode
from services.status.metrics import STREAMED_BYTES
from services.status.model import Import

CONTENT_TYPE = "text/event-stream"
# A client whose stream ends without the event `end` comes back after so long.
RETRY = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"
END = b"event: end\ndata: {}\n\n"

Describe = Callable[[Import], Awaitable[dict[str, Any]]]


async def write_events(changes: AsyncIterator[Import], describe: Describe) -> AsyncGenerator[bytes, None]:
    """One event for each state of the import, a comment for each repetition of one, and `end` behind the last.

    When `changes` fails there is no `end`: whoever reads knows that there is more to come, and asks again.
    """
    opening, shown, number = RETRY, None, 0
    async for found in changes:
        if found == shown:
            yield HEARTBEAT
            continue
        # Two changes may bear the same time; no two events have the same id.
        number = max(number + 1, microseconds(found))
        yield opening + b"event: import\nid: %d\ndata: %s\n\n" % (number, encode(await describe(found)))
        opening, shown = b"", found
    yield END


def microseconds(found: Import) -> int:
    """When it last changed, since 1970."""
    return (found.updated_at - EPOCH) // timedelta(microseconds=1)


async def stream_events(events: AsyncGenerator[bytes, None]) -> AsyncIterator[HttpBody]:
    """Each as it comes, in a message of its own; the first says what they are."""
    content_type = CONTENT_TYPE
    async for each in events:
        STREAMED_BYTES.inc(len(each))
        yield HttpBody(content_type=content_type, data=each)
        content_type = ""
