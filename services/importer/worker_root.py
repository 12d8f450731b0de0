"""Composition root of the worker: settings -> adapters -> worker, with a health service beside it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2_grpc

from runtime.audit import AuditTable, AuditTrail
from runtime.database import Database
from runtime.health import Health, watching
from runtime.jetstream import JobQueue
from runtime.objects import ObjectStore, object_store
from runtime.otlp import start_tracing
from runtime.server import start, stopped_by_signal
from runtime.settings import load, required
from runtime.telemetry import configure_logging, start_metrics
from schema.identity import audit_log
from services.importer.engine.limits import Limits
from services.importer.model import Lane
from services.importer.scan.gate import ScanGate
from services.importer.scan.scanners import scanner_at
from services.importer.settings import WorkerSettings
from services.importer.targets.findings.target import FindingsTarget
from services.importer.targets.objects.target import ObjectsTarget
from services.importer.targets.parser_actions.target import ParserActionsTarget
from services.importer.targets.records.target import RecordsTarget
from services.importer.worker import Worker

log = structlog.get_logger(__name__)


def run() -> None:
    """Works until SIGTERM or SIGINT."""
    settings = load(WorkerSettings)
    configure_logging("worker", settings.log_level)
    uvloop.run(_serve(settings))


async def _serve(settings: WorkerSettings) -> None:
    database = Database(
        settings.database_url.get_secret_value(), application_name="hythe-worker", pool_size=settings.database_pool
    )
    objects = object_store(settings)
    queue = await JobQueue.connect(settings.nats_url.get_secret_value(), name="hythe-worker")
    health = Health((), (database.ping, objects.ping))
    async with AsyncExitStack() as stack:
        stop = stopped_by_signal(stack)
        stack.callback(start_tracing("worker", settings.otlp_endpoint, settings.trace_ratio))
        stack.callback(start_metrics(settings.metrics_listen))
        stack.callback(objects.close)
        stack.push_async_callback(database.close)
        stack.push_async_callback(queue.close)
        gate = await open_gate(settings, stack)
        await stack.enter_async_context(watching(health))
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        await start(server, settings.health_listen)
        stack.push_async_callback(server.stop, 1)
        log.info("working", small_slots=settings.small_slots, large_slots=settings.large_slots)
        working = asyncio.create_task(build_worker(settings, database, objects, queue, gate).run(stop))
        await asyncio.wait({working, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await health.stop()
        # What is in hand goes on to its next chunk, for as long as `drain_seconds` allow.
        await working
    log.info("stopped")


async def open_gate(settings: WorkerSettings, stack: AsyncExitStack) -> ScanGate | None:
    """The scan before reading, when there is a scanner; `stack` closes what it needs."""
    url = settings.scan_url.get_secret_value()
    if not url:
        return None
    audit_url = settings.audit_database_url.get_secret_value() if settings.audit_database_url else None
    database = Database(required(audit_url, "audit_database_url"), application_name="hythe-worker-audit", pool_size=1)
    stack.push_async_callback(database.close)
    trail = AuditTrail(AuditTable(database, audit_log))
    trail.start()
    stack.push_async_callback(trail.stop)
    scanner = scanner_at(url, timeout_seconds=settings.scan_timeout_seconds)
    return ScanGate(scanner, trail, max_bytes=settings.scan_max_bytes)


def build_worker(
    settings: WorkerSettings, database: Database, objects: ObjectStore, queue: JobQueue, gate: ScanGate | None = None
) -> Worker:
    """The worker of these settings."""
    return Worker(
        database,
        objects,
        queue,
        {target.name: target for target in (FindingsTarget(), ParserActionsTarget(), RecordsTarget(), ObjectsTarget())},
        lease=timedelta(seconds=settings.lease_seconds),
        slots={Lane.SMALL: settings.small_slots, Lane.LARGE: settings.large_slots},
        limits=Limits(
            chunk_records=settings.chunk_records,
            chunk_bytes=settings.chunk_bytes,
            chunk_seconds=settings.chunk_seconds,
            parser_memory_bytes=settings.parser_memory_bytes,
            unpacked_bytes=settings.max_unpacked_bytes,
            chunk_statement=timedelta(seconds=settings.lease_seconds),
            drain_seconds=settings.drain_seconds,
            keep_resumable=timedelta(hours=settings.keep_resumable_hours),
        ),
        gate=gate,
    )
