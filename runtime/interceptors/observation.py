"""Outermost layer: names the call (request id, trace), counts and times it, and logs one line when it has ended."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import unquote

import grpc
import structlog

from runtime.context import RequestInfo, request_variable
from runtime.interceptors.chain import Call
from runtime.telemetry import RPC_DURATION
from runtime.tracing import Kind, span

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
OUR_FAULT = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
# What OpenTelemetry calls an error of the server; all others are the client's.
FAILED_SPAN = OUR_FAULT | {
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


class Observation:
    """Also sets the RequestInfo that `current_request` gives."""

    def __init__(self, *, unary_seconds: float, unary_seconds_limit: float, stopping: asyncio.Event) -> None:
        self._unary_seconds = unary_seconds
        self._unary_seconds_limit = unary_seconds_limit
        self._stopping = stopping

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        started = asyncio.get_running_loop().time()
        attributes = {"rpc.system.name": "grpc", "rpc.method": call.method}
        parent = call.metadata.get("traceparent", "")
        with span(call.method, kind=Kind.SERVER, parent=parent, attributes=attributes) as made:
            request = self._describe(call, made.traceparent)
            token = request_variable.set(request)
            with structlog.contextvars.bound_contextvars(request_id=request.request_id):
                try:
                    yield
                finally:
                    request_variable.reset(token)
                    made.note({"rpc.response.status_code": call.code.name, "hythe.request_id": request.request_id})
                    made.conclude(call.code.name if call.code in FAILED_SPAN else "")
                    self._report(call, request, asyncio.get_running_loop().time() - started)

    def _describe(self, call: Call, traceparent: str) -> RequestInfo:
        given = call.metadata.get("x-request-id", "")
        return RequestInfo(
            request_id=given if REQUEST_ID.fullmatch(given) else str(uuid.uuid4()),
            traceparent=traceparent,
            method=call.method,
            dialect=call.metadata.get("x-dialect", ""),
            peer=peer_of(call.metadata.get("x-forwarded-for", ""), call.context.peer() or ""),
            deadline=self._deadline(call),
            stopping=self._stopping,
        )

    def _deadline(self, call: Call) -> float | None:
        # The stubs forget that a client may set none.
        remaining = cast("float | None", call.context.time_remaining())
        if not call.is_streaming:
            remaining = min(self._unary_seconds if remaining is None else remaining, self._unary_seconds_limit)
        return None if remaining is None else asyncio.get_running_loop().time() + remaining

    def _report(self, call: Call, request: RequestInfo, seconds: float) -> None:
        RPC_DURATION.labels(rpc_method=call.method, rpc_status_code=call.code.name).observe(seconds)
        level = "error" if call.code in OUR_FAULT else "info"
        principal = call.principal
        getattr(log, level)(
            "call",
            rpc=call.method,
            code=call.code.name,
            reason=call.reason,
            duration_ms=round(seconds * 1000, 1),
            dialect=request.dialect,
            peer=request.peer,
            tenant_id=principal.tenant_id if principal else None,
            user_id=principal.user_id if principal else None,
        )


def peer_of(forwarded_for: str, transport: str) -> str:
    """The network address without the port.

    The last entry of x-forwarded-for is the one that our gateway wrote; what stands before it anybody can write.
    """
    if forwarded_for:
        return forwarded_for.rpartition(",")[2].strip()
    kind, _, address = unquote(transport).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else transport
