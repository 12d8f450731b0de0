"""A ServiceError as google.rpc.Status with ErrorInfo, and back when another service answers one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from runtime import errors
from runtime.errors import ServiceError, Unavailable

DOMAIN = "hythe"
DETAILS_KEY = "grpc-status-details-bin"
# Status, details and the dialect's body travel together in trailers, which every hop limits.
LONGEST_MESSAGE = 1_000
LONGEST_METADATA = 200

BY_STATUS: dict[grpc.StatusCode, type[ServiceError]] = {
    kind.code: kind
    for kind in (
        errors.InvalidArgument,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.NotFound,
        errors.AlreadyExists,
        errors.FailedPrecondition,
        errors.PayloadTooLarge,
        errors.ResourceExhausted,
        errors.Unavailable,
        errors.DeadlineExceeded,
    )
}


def short_message(error: ServiceError) -> str:
    return error.message[:LONGEST_MESSAGE]


def status_details(error: ServiceError) -> bytes:
    """The value of `grpc-status-details-bin`."""
    metadata = {name: value[:LONGEST_METADATA] for name, value in error.metadata.items()}
    info = AnyMessage()
    info.Pack(ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    status = Status(code=error.code.value[0], message=short_message(error), details=[info])
    return bytes(status.SerializeToString())


def from_rpc_error(error: grpc.aio.AioRpcError, service: str) -> ServiceError:
    """What another of our services answered, to be raised as if it were said here.

    Without an ErrorInfo of ours the text is the transport's and not for clients: then `service` is unavailable, or it
    is our own mistake.
    """
    code, info = error.code(), error_info(error)
    if info is not None:
        kind = BY_STATUS.get(code, errors.Internal)
        return kind(info.reason, error.details() or "", **info.metadata)
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}:
        return Unavailable(f"{service.upper()}_UNAVAILABLE", f"The {service} service does not answer at the moment.")
    return errors.Internal("INTERNAL", f"The {service} service failed.")


def error_info(error: grpc.aio.AioRpcError) -> ErrorInfo | None:
    for key, value in metadata_pairs(error.trailing_metadata()):
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _find_info(value)
    return None


def metadata_pairs(metadata: Any) -> Iterable[tuple[str, str | bytes]]:
    """Metadata of gRPC as what it is, which its types do not say."""
    return metadata or ()


def _find_info(details: bytes) -> ErrorInfo | None:
    try:
        status = Status.FromString(details)
    except DecodeError:
        return None
    info = ErrorInfo()
    return next((info for detail in status.details if detail.Unpack(info) and info.domain == DOMAIN), None)
