"""Composition root of the fetcher: settings -> adapters -> fetcher, with a health service beside it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import certifi
import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2_grpc

from runtime.database import Database
from runtime.health import Health, watching
from runtime.jetstream import JobQueue
from runtime.objects import ObjectStore, object_store
from runtime.otlp import start_tracing
from runtime.sealing import Sealer
from runtime.server import start, stopped_by_signal
from runtime.settings import load
from runtime.telemetry import configure_logging, start_metrics
from services.fetcher.attempt import Bounds
from services.fetcher.fetcher import Fetcher
from services.fetcher.settings import FetcherSettings
from services.fetcher.store import FetchStore

log = structlog.get_logger(__name__)


def main() -> None:
    """Works until SIGTERM or SIGINT."""
    settings = load(FetcherSettings)
    configure_logging("fetcher", settings.log_level)
    uvloop.run(_serve(settings))


async def _serve(settings: FetcherSettings) -> None:
    database = Database(
        settings.database_url.get_secret_value(), application_name="hythe-fetcher", pool_size=settings.database_pool
    )
    objects = object_store(settings)
    queue = await JobQueue.connect(settings.nats_url.get_secret_value(), name="hythe-fetcher")
    health = Health((), (database.ping, objects.ping))
    async with AsyncExitStack() as stack:
        stop = stopped_by_signal(stack)
        stack.callback(start_tracing("fetcher", settings.otlp_endpoint, settings.trace_ratio))
        stack.callback(start_metrics(settings.metrics_listen))
        stack.callback(objects.close)
        stack.push_async_callback(database.close)
        stack.push_async_callback(queue.close)
        authorities = trusted_authorities(settings.fetch_authorities_file, stack)
        await stack.enter_async_context(watching(health))
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        await start(server, settings.health_listen)
        stack.push_async_callback(server.stop, 1)
        fetcher = build_fetcher(settings, database, objects, queue, authorities)
        log.info("fetching", slots=settings.fetch_slots)
        working = asyncio.create_task(fetcher.run(stop))
        await asyncio.wait({working, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await health.stop()
        await working
    log.info("stopped")


def trusted_authorities(extra: str, stack: AsyncExitStack) -> str:
    """The file of the authorities that browsers trust, and of those in `extra`. A file of ours goes with the stack."""
    if not extra:
        return certifi.where()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hythe-fetcher-")))
    file = folder / "authorities.pem"
    file.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + Path(extra).read_bytes())
    return str(file)


def build_fetcher(
    settings: FetcherSettings, database: Database, objects: ObjectStore, queue: JobQueue, authorities: str
) -> Fetcher:
    """The fetcher of these settings."""
    lease = timedelta(seconds=settings.lease_seconds)
    return Fetcher(
        FetchStore(database, lease=lease, small_file_bytes=settings.small_file_bytes),
        objects,
        queue,
        Sealer(settings.secrets_key.get_secret_value()),
        Bounds(
            exemptions=settings.fetch_allow,
            allow_http=settings.fetch_allow_http,
            authorities=authorities,
            max_bytes=settings.fetch_max_bytes,
            max_rows=settings.fetch_max_rows,
            seconds=settings.fetch_seconds,
            object_bytes=settings.fetch_object_bytes,
            row_bytes=min(settings.fetch_row_bytes, settings.fetch_object_bytes),
            memory_bytes=settings.fetch_memory_bytes,
            connect_seconds=settings.fetch_connect_seconds,
            idle_seconds=settings.fetch_idle_seconds,
            drain_seconds=settings.drain_seconds,
        ),
        slots=settings.fetch_slots,
    )


if __name__ == "__main__":
    main()
