"""Questions to a process that may not be up yet; no answer is the answer no."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SECONDS = 2


def answers_ok(url: str) -> bool:
    return fetch(url) is not None


def fetch(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - a loopback http address of ours
            body: bytes = answer.read()
            return body
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return None


def fetch_json(url: str) -> Any:
    body = fetch(url)
    return json.loads(body) if body else None


def is_serving(address: str) -> bool:
    """Does the gRPC server at `address` call itself SERVING?"""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
