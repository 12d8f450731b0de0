"""Channels to other services, with the retry policy and limits that all of them share."""

from __future__ import annotations

import json

import grpc

from runtime.context import credential_variable, request_variable
from runtime.telemetry import child_of

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
    return grpc.aio.insecure_channel(f"dns:///{address}", options=OPTIONS)


def call_metadata() -> tuple[tuple[str, str], ...]:
    """What a call to another service for the current caller carries: their credential, request id and trace."""
    request = request_variable.get(None)
    pairs = [("authorization", credential_variable.get(""))]
    if request is not None:
        pairs += [("x-request-id", request.request_id), ("traceparent", child_of(request.traceparent))]
    return tuple((key, value) for key, value in pairs if value)
