"""Turns what a call raises into a status: ours as it is, everything else into INTERNAL with no word of the inside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc
import structlog

from runtime.context import current_request
from runtime.errors import Internal, ServiceError
from runtime.interceptors.chain import Call
from runtime.telemetry import RPC_UNKNOWN_ERRORS
from runtime.wire import DETAILS_KEY, short_message, status_details

log = structlog.get_logger(__name__)

Envelope = Callable[[ServiceError, int], dict[str, Any]]
"""(error, HTTP status) -> the JSON object that a public API answers errors with."""

# Trailers are limited by every hop, to 8 KB by many.
LONGEST_BODY = 4_000


class Failures:
    """`envelopes` is by dialect, as the gateway names it in `x-dialect`."""

    def __init__(self, envelopes: Mapping[str, Envelope]) -> None:
        self._envelopes = envelopes

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            # The client has gone or its deadline has passed: nobody is left to answer.
            call.code = grpc.StatusCode.CANCELLED
            raise
        except grpc.aio.AbortError:
            call.code = status_code(call.context.code())
            raise
        except ServiceError as error:
            await self._abort(call, error)
        except NotImplementedError:
            call.code = grpc.StatusCode.UNIMPLEMENTED
            await call.context.abort(call.code, "There is no such method here.")
        except Exception:
            request_id = current_request().request_id
            log.exception("unknown error", rpc=call.method)
            RPC_UNKNOWN_ERRORS.labels(rpc_method=call.method).inc()
            await self._abort(
                call,
                Internal("INTERNAL", f"Something went wrong on our side; request {request_id}.", request_id=request_id),
            )

    async def _abort(self, call: Call, error: ServiceError) -> NoReturn:
        call.code, call.reason = error.code, error.reason
        if error.__cause__ is not None and error.code is grpc.StatusCode.UNAVAILABLE:
            log.warning("unavailable", reason=error.reason, cause=repr(error.__cause__))
        trailers: list[tuple[str, str | bytes]] = [(DETAILS_KEY, status_details(error))]
        envelope = self._envelopes.get(current_request().dialect)
        if envelope is not None:
            trailers += [("x-http-status", str(error.http_status)), ("x-error-body", error_body(envelope, error))]
        await call.context.abort(error.code, short_message(error), tuple(trailers))


def error_body(envelope: Envelope, error: ServiceError) -> str:
    """ASCII JSON, with the message cut until it fits."""
    message = short_message(error)
    while True:
        body = json.dumps(envelope(with_message(error, message), error.http_status))
        if len(body) <= LONGEST_BODY or not message:
            return body
        message = message[: len(message) // 2]


def with_message(error: ServiceError, message: str) -> ServiceError:
    """The same error in other words, however its class is made."""
    changed = type(error).__new__(type(error))
    changed.__dict__.update(error.__dict__, message=message)
    return changed


def status_code(value: Any) -> grpc.StatusCode:
    """What a handler that aborted by itself gave as code; grpc.aio keeps it as it came, enum or number."""
    if isinstance(value, grpc.StatusCode):
        return value
    return next((code for code in grpc.StatusCode if code.value[0] == value), grpc.StatusCode.UNKNOWN)
