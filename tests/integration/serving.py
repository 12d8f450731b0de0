"""One service in this process, by `serve` as in production, whose callers name themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog

import dialects.assets.envelope
import dialects.plextrac.envelope
from deploy.local.ports import address, free_ports
from runtime.auth import Authenticated, Principal
from runtime.channels import channel
from runtime.database import Database
from runtime.errors import Unauthenticated
from runtime.objects import ObjectStore
from runtime.server import serve
from runtime.settings import Settings
from runtime.wire import error_info
from tests.fakes.audit import FakeAudit
from tests.stack import Database as TestDatabase
from tests.stack import ObjectStore as Bucket

PUBLIC_URL = "http://gateway.example"


class NamedCallers:
    """`authorization` is a name, and each name a principal."""

    def __init__(self, people: Mapping[str, Principal]) -> None:
        self._people = people

    async def authenticate(self, metadata: dict[str, str]) -> Authenticated:
        name = metadata.get("authorization", "")
        if name not in self._people:
            raise Unauthenticated("NO_CREDENTIAL", "Who are you?")
        return Authenticated(self._people[name], name)


@asynccontextmanager
async def served(
    registrations: Sequence[Any], people: Mapping[str, Principal], *, audit: FakeAudit | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server with these servicers, which is up."""
    ports = free_ports().named()
    settings = Settings.model_validate(
        {
            "listen": address(ports["upload"]),
            "metrics_listen": address(ports["upload_metrics"]),
            "database_url": "not used",
            "audit_database_url": "not used",
        }
    )
    # The server configures the logging of its process, and the process here is that of all tests.
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stop = asyncio.Event()
    task = asyncio.create_task(
        serve(
            settings,
            name="test",
            registrations=registrations,
            service_names=(),
            envelopes={
                "plextrac": dialects.plextrac.envelope.error_envelope,
                "assets": dialects.assets.envelope.error_envelope,
            },
            authenticator=NamedCallers(people),
            audit=audit or FakeAudit(),
            stop=stop,
        )
    )
    connection = channel(settings.listen)
    try:
        await asyncio.wait_for(connection.channel_ready(), 10)
        yield connection
    finally:
        await connection.close(None)
        stop.set()
        await task
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()


@asynccontextmanager
async def connected(database: TestDatabase, role: str) -> AsyncIterator[Database]:
    adapter = Database(database.url(role), application_name="test", pool_size=5)
    try:
        yield adapter
    finally:
        await adapter.close()


def objects_in(bucket: Bucket) -> ObjectStore:
    return ObjectStore(
        bucket.endpoint,
        bucket.access_key,
        bucket.secret_key,
        bucket=bucket.bucket,
        prefix="uploads",
        region=bucket.region,
        secure=bucket.secure,
        public_url=PUBLIC_URL,
    )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in the ErrorInfo of a refusal."""
    info = error_info(error)
    return info.reason if info is not None else ""
