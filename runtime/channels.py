"""Channels to other services, with the retry policy and limits that all of them share."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import grpc

from runtime.context import credential_variable, request_variable
from runtime.telemetry import RPC_CLIENT_DURATION
from runtime.tracing import Kind, span

MESSAGE_BYTES = 4 * 1024 * 1024
KEEPALIVE_MS = 30_000
KEEPALIVE_TIMEOUT_MS = 10_000

RETRY_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{"name": [{}], "retryPolicy": RETRY_POLICY}],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # The server allows a ping each 10 s (runtime.server); both sides must agree, or it answers too_many_pings.
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    # A service that restarts is found again in a second, not in gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


def channel(address: str) -> grpc.aio.Channel:
    """A channel to the service at `address`; it connects when it is first used."""
    observed: Any = Observed()
    return grpc.aio.insecure_channel(f"dns:///{address}", options=OPTIONS, interceptors=[observed])


class Observed(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # Generic in the stubs only.
    """Times each call, and makes it a span that the service called goes on from."""

    async def intercept_unary_unary(
        self,
        continuation: Callable[[Any, Any], Any],
        client_call_details: Any,
        request: Any,
    ) -> Any:
        method = _text(client_call_details.method).removeprefix("/")
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        began = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        # A caller that names a trace itself means that one.
        parent = metadata.get("traceparent")
        with span(method, kind=Kind.CLIENT, parent=parent and _text(parent), attributes=attributes) as made:
            metadata["traceparent"] = made.traceparent
            call = await continuation(client_call_details._replace(metadata=metadata), request)
            try:
                code = await call.code()
            except asyncio.CancelledError:
                # Whoever called does not wait any more, and does not hold this call.
                call.cancel()
                raise
            finally:
                RPC_CLIENT_DURATION.labels(method, code.name).observe(time.perf_counter() - began)
                made.note({"rpc.response.status_code": code.name})
                made.conclude("" if code is grpc.StatusCode.OK else code.name)
        return call


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def call_metadata() -> tuple[tuple[str, str], ...]:
    """What a call to another service for the current caller carries: their credential and request id."""
    request = request_variable.get(None)
    pairs = [("authorization", credential_variable.get(""))]
    if request is not None:
        pairs.append(("x-request-id", request.request_id))
    return tuple((key, value) for key, value in pairs if value)
