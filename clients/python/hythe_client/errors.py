"""The one exception of this package: what went wrong, with the server's stable reason to switch on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

# Trailing metadata of a call: pairs of name and value.
Trailing = Iterable[Any]

DETAILS_KEY = "grpc-status-details-bin"

# Reasons of our own, where no service could give one.
UNREACHABLE = "UNREACHABLE"
UPLOAD_FAILED = "UPLOAD_FAILED"
FILE_NOT_READABLE = "FILE_NOT_READABLE"


class HytheError(Exception):
    """A refused or failed call.

    `str(error)` is a sentence for people; a program switches on `reason`. docs/errors.md lists those of the services.
    """

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})


def from_status(code: grpc.StatusCode, details: str | None, trailing: Trailing, address: str) -> HytheError:
    """The error that a call ended with. Without a service's ErrorInfo its reason is UNREACHABLE or the code's name."""
    info = error_info(trailing)
    if info is not None:
        return HytheError(code, info.reason, details or info.reason, info.metadata)
    if code is grpc.StatusCode.UNAVAILABLE:
        return HytheError(code, UNREACHABLE, f"{address} does not answer: {details or 'no connection'}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return HytheError(code, code.name, f"{address} did not answer in time.")
    return HytheError(code, code.name, details or code.name)


def error_info(trailing: Trailing) -> ErrorInfo | None:
    """The google.rpc.ErrorInfo among the status details, if the server sent one that can be read."""
    for key, value in trailing:
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Unpack(info):
                    return info
        except DecodeError:
            return None
    return None
