"""How reading a source can fail, in the child that reads it."""

from __future__ import annotations


class SourceError(Exception):
    """`code` is stable (docs/errors.md); `message` is for people, and has no secret in it.

    `retry_after`: how long the source asks to be left alone, in seconds.
    """

    def __init__(
        self, code: str, message: str, *, is_retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_retryable = is_retryable
        self.retry_after = retry_after


def refused() -> SourceError:
    return SourceError("CONNECTION_REFUSED", "The source takes no connection.", is_retryable=True)


def timed_out(what: str = "The source did not answer in time.") -> SourceError:
    return SourceError("SOURCE_TIMEOUT", what, is_retryable=True)


def broken(what: str = "The connection to the source broke.") -> SourceError:
    return SourceError("SOURCE_UNAVAILABLE", what, is_retryable=True)


def tls_failed() -> SourceError:
    return SourceError("TLS_FAILED", "The TLS handshake failed, or the certificate is not good for the host.")


def not_authenticated() -> SourceError:
    return SourceError("AUTHENTICATION_FAILED", "The source does not accept the credentials.")


def limited(message: str) -> SourceError:
    return SourceError("FETCH_LIMIT", message)
