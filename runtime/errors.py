"""The one family of errors that reach a client: a status, a stable reason, a sentence, and nothing of the inside.

A subclass fixes the gRPC and HTTP codes; whoever raises it gives the reason (UPPER_SNAKE, a client may switch on
it), the message for people, and metadata (ids, limits). docs/errors.md lists the reasons.
"""

from __future__ import annotations

from typing import ClassVar

from grpc import StatusCode


class ServiceError(Exception):
    """Base; raise a subclass."""

    code: ClassVar[StatusCode] = StatusCode.INTERNAL
    http_status: ClassVar[int] = 500

    def __init__(self, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


class InvalidArgument(ServiceError):
    """The request itself is wrong."""

    code = StatusCode.INVALID_ARGUMENT
    http_status = 400


class Unauthenticated(ServiceError):
    """No credential, or one that is not good."""

    code = StatusCode.UNAUTHENTICATED
    http_status = 401


class PermissionDenied(ServiceError):
    """The credential is good and does not allow this."""

    code = StatusCode.PERMISSION_DENIED
    http_status = 403


class NotFound(ServiceError):
    """There is no such thing, or it is another tenant's."""

    code = StatusCode.NOT_FOUND
    http_status = 404


class AlreadyExists(ServiceError):
    """It would be a second one of what may exist once."""

    code = StatusCode.ALREADY_EXISTS
    http_status = 409


class FailedPrecondition(ServiceError):
    """The thing is in a state that does not allow this."""

    code = StatusCode.FAILED_PRECONDITION
    http_status = 409


class PayloadTooLarge(ServiceError):
    """More bytes than are allowed."""

    code = StatusCode.OUT_OF_RANGE
    http_status = 413


class UnsupportedMediaType(ServiceError):
    """A content type that the route does not read."""

    code = StatusCode.INVALID_ARGUMENT
    http_status = 415


class ResourceExhausted(ServiceError):
    """Too many calls for now."""

    code = StatusCode.RESOURCE_EXHAUSTED
    http_status = 429


class Unavailable(ServiceError):
    """Something this service needs does not answer; the same call may work later."""

    code = StatusCode.UNAVAILABLE
    http_status = 503


class DeadlineExceeded(ServiceError):
    """The call took longer than it may."""

    code = StatusCode.DEADLINE_EXCEEDED
    http_status = 504


class Internal(ServiceError):
    """Our own mistake. The cause is in the log under the request id."""
