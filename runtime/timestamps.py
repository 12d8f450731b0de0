"""Moments as messages carry them."""

from __future__ import annotations

from datetime import datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp


@overload
def timestamp(moment: datetime) -> Timestamp: ...


@overload
def timestamp(moment: None) -> None: ...


@overload
def timestamp(moment: datetime | None) -> Timestamp | None: ...


def timestamp(moment: datetime | None) -> Timestamp | None:
    """None stays None: the field is not set."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message
