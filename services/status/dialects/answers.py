"""Documents as the opaque messages that the gateway writes as they are, or as JSON of its own making."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct

from runtime.errors import InvalidArgument
from services.status.json_stream import cut_pieces
from services.status.metrics import STREAMED_BYTES

JSON = "application/json"
# A unary answer must stay below the limit of a message, which is 4 MiB.
MAX_ANSWER_BYTES = 4 * 1024 * 1024 - 64 * 1024


async def stream_json(chunks: AsyncGenerator[bytes, None]) -> AsyncIterator[HttpBody]:
    """A document as pieces; the first says what it is."""
    content_type = JSON
    async with aclosing(cut_pieces(chunks)) as pieces:
        async for piece in pieces:
            STREAMED_BYTES.inc(len(piece))
            yield HttpBody(content_type=content_type, data=piece)
            content_type = ""


def struct(document: Mapping[str, Any], *, limited_by: str = "pagination.limit") -> Struct:
    """A document whole. Raises InvalidArgument when it is too long; `limited_by` says what asks for less."""
    message = Struct()
    message.update(dict(document))
    check_length(message, limited_by)
    return message


def list_value(items: list[Any], *, limited_by: str = "limit") -> ListValue:
    """As struct, of a bare array."""
    message = ListValue()
    message.extend(items)
    check_length(message, limited_by)
    return message


def check_length(message: Message, limited_by: str) -> None:
    if message.ByteSize() > MAX_ANSWER_BYTES:
        raise InvalidArgument(
            "PAGE_TOO_LARGE",
            f"The answer would be too long for one page. Ask for fewer with {limited_by}.",
            field=limited_by,
        )


def payload_of(message: Struct) -> dict[str, Any]:
    """A request's body. All numbers in it are floating."""
    payload: dict[str, Any] = MessageToDict(message)
    return payload
