"""grpc.health.v1: SERVING while everything the service needs answers, and a `liveness` that asks nobody.

Written here and not taken from grpcio-health-checking, whose Watch never ends and would hold every stop for the whole
time of grace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runtime.telemetry import DEPENDENCY_UP

log = structlog.get_logger(__name__)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

LIVENESS = "liveness"
CHECK_SECONDS = 2.0
PAUSE_SECONDS = 2.0

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # The package has no types.
    """The servicer, and the loop that asks the checks."""

    def __init__(self, service_names: Sequence[str], checks: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._names = frozenset({"", *service_names})
        self._checks = checks
        self._is_ready = False
        self._is_stopping = False
        self._changed = asyncio.Condition()

    def status_of(self, name: str) -> health_pb2.HealthCheckResponse.ServingStatus.ValueType:
        if name == LIVENESS:
            return SERVING
        if name not in self._names:
            return SERVICE_UNKNOWN
        return SERVING if self._is_ready and not self._is_stopping else NOT_SERVING

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:  # noqa: N802
        status = self.status_of(request.service)
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        sent = None
        while True:
            status = self.status_of(request.service)
            if status != sent:
                yield health_pb2.HealthCheckResponse(status=status)
                sent = status
            if self._is_stopping:
                return
            async with self._changed:
                await self._changed.wait_for(lambda: self._is_stopping or self.status_of(request.service) != sent)  # noqa: B023

    async def watch_dependencies(self) -> None:
        """Ask every check again and again."""
        while True:
            results = await asyncio.gather(*(self._passes(check) for check in self._checks))
            await self._set_ready(all(results))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _passes(self, check: Callable[[], Awaitable[None]]) -> bool:
        name = getattr(check, "__qualname__", repr(check))
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except Exception as error:  # noqa: BLE001 - whatever a check raises, the service is not ready
            log.warning("not ready", check=name, cause=repr(error))
            DEPENDENCY_UP.labels(check=name).set(0)
            return False
        DEPENDENCY_UP.labels(check=name).set(1)
        return True

    async def _set_ready(self, is_ready: bool) -> None:
        if is_ready != self._is_ready:
            log.info("ready" if is_ready else "not ready any more")
        self._is_ready = is_ready
        async with self._changed:
            self._changed.notify_all()

    async def stop(self) -> None:
        """NOT_SERVING from now on; those who watch are told and let go."""
        self._is_stopping = True
        async with self._changed:
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def watching(health: Health) -> AsyncIterator[None]:
    task = asyncio.create_task(health.watch_dependencies(), name="health")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
