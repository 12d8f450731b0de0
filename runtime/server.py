"""The frame of a gRPC service: health, limits, layers, metrics, and an end that loses no call.

A service's main.py builds its adapters and hands everything to `serve`, which returns when the process is to end.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import structlog
import uvloop
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from runtime.audit import AuditLog
from runtime.channels import KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES
from runtime.health import Health, watching
from runtime.interceptors.admission import Admission
from runtime.interceptors.auditing import Auditing
from runtime.interceptors.authorization import Authenticates, Authorization
from runtime.interceptors.chain import OPEN_SERVICES, Chain
from runtime.interceptors.failures import Envelope, Failures
from runtime.interceptors.observation import Observation
from runtime.otlp import start_tracing
from runtime.settings import Settings
from runtime.telemetry import RPC_UNKNOWN_ERRORS, configure_logging, start_metrics

__all__ = ["Background", "Check", "Envelope", "run", "serve"]

log = structlog.get_logger(__name__)

Registration = Callable[[grpc.aio.Server], None]
Background = Callable[[asyncio.Event], Awaitable[None]]
Check = Callable[[], Awaitable[None]]

BACKGROUND_STOP_SECONDS = 10.0

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # The gateway lets 8 KiB of headers in; at gRPC's own soft limit of 8 KiB some would be refused by chance.
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
    # Several processes may share the port; the kernel spreads connections over them.
    ("grpc.so_reuseport", 1),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients ping every KEEPALIVE_MS; less than a third of that counts as abuse.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a service's main coroutine to its end; what it fails with goes to the log like everything else."""
    configure_logging("hythe")
    try:
        uvloop.run(main)
    except Exception:
        log.exception("process failed")
        raise SystemExit(1) from None


async def serve(
    settings: Settings,
    *,
    name: str,
    registrations: Sequence[Registration],
    service_names: Sequence[str],
    envelopes: Mapping[str, Envelope],
    authenticator: Authenticates,
    audit: AuditLog,
    background: Sequence[Background] = (),
    readiness: Sequence[Check] = (),
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT (or `stop`), or until a background task fails, whose error is then raised.

    `service_names` are full proto names, for health and reflection. Health is SERVING while every check of
    `readiness` passes; the name `liveness` asks no dependency. Each of `background` runs beside the server and must
    return soon after its event is set, which happens when the last call has ended.
    """
    configure_logging(name, settings.log_level)
    stopping = asyncio.Event()
    health = Health(service_names, readiness)
    chain = Chain(
        (
            Observation(
                unary_seconds=settings.unary_seconds,
                unary_seconds_limit=settings.unary_seconds_limit,
                stopping=stopping,
            ),
            Failures(envelopes),
            Auditing(audit),
            Admission(max_in_flight=settings.max_in_flight, max_streams=settings.max_streams),
            Authorization(authenticator),
        )
    )
    server = grpc.aio.server(interceptors=[chain], options=OPTIONS)
    for register in registrations:
        register(server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        reflection.enable_server_reflection((*service_names, *OPEN_SERVICES), server)
    async with AsyncExitStack() as stack:
        if stop is None:
            stop = stopped_by_signal(stack)
        stack.callback(start_tracing(name, settings.otlp_endpoint, settings.trace_ratio))
        count_from_zero(service_names)
        stack.callback(start_metrics(settings.metrics_listen))
        audit.start()
        stack.push_async_callback(audit.stop)
        tasks = await stack.enter_async_context(running(background, stop))
        await stack.enter_async_context(watching(health))
        await start(server, settings.listen)
        log.info("serving", listen=settings.listen)
        await stop.wait()
        log.info("draining")
        stopping.set()
        await health.stop()
        await server.stop(settings.drain_seconds)
    for task in tasks:
        task.result()
    log.info("stopped")


def count_from_zero(service_names: Sequence[str]) -> None:
    """Makes the counter that alerts look at for each method: the first error would be no increase otherwise."""
    for name in service_names:
        for method in descriptor_pool.Default().FindServiceByName(name).methods:
            RPC_UNKNOWN_ERRORS.labels(rpc_method=f"{name}/{method.name}")


async def start(server: grpc.aio.Server, listen: str) -> None:
    try:
        server.add_insecure_port(listen)
    except RuntimeError:
        raise SystemExit(f"HYTHE_LISTEN: cannot listen at {listen}.") from None
    await server.start()


def stopped_by_signal(stack: AsyncExitStack) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
        stack.callback(loop.remove_signal_handler, number)
    return stop


@asynccontextmanager
async def running(background: Sequence[Background], stop: asyncio.Event) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The tasks, told to end when the block does. One that fails ends the process: half a service is none."""
    ending = asyncio.Event()

    async def watched(task: Background) -> None:
        try:
            await task(ending)
        except Exception:
            log.exception("background task failed")
            stop.set()
            raise

    tasks = [asyncio.create_task(watched(task)) for task in background]
    try:
        yield tasks
    finally:
        ending.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=BACKGROUND_STOP_SECONDS)
            for task in late:
                log.error("background task cut off")
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
