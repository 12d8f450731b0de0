"""The use cases over fakes, with one client, report and uploaded file of tenant 1."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runtime.auth import Principal
from runtime.errors import ServiceError
from runtime.objects import ObjectInfo, ObjectMissing
from services.importer.commands import Commands
from services.importer.imports import Imports, Thresholds, Trigger
from services.importer.repeats import Repeats
from services.importer.sources import FileFormat, Source, Sources
from tests.fakes.imports import FakeImportStore
from tests.fakes.people import IMPORTER

KEY = "c0123/a.nessus"
TRIGGER = Trigger(client_id=1000, report_id=500_000, source="nessus", key=KEY)
SOURCES = Sources(
    [
        Source("nessus", "Nessus", report_formats=(FileFormat("nessus"),)),
        Source("nmap-xml", "Nmap", asset_formats=(FileFormat("nmap_assets"),)),
    ]
)
OUTCOMES_KEPT = timedelta(days=90)


class Heads:
    """Objects of which only size and ETag are known."""

    def __init__(self) -> None:
        self.known: dict[str, ObjectInfo] = {}
        self.asked: list[str] = []

    def object_key(self, key: str) -> str:
        return f"uploads/{key}"

    async def head(self, object_key: str) -> ObjectInfo:
        self.asked.append(object_key)
        if object_key not in self.known:
            raise ObjectMissing
        return self.known[object_key]


class Bench:
    def __init__(self) -> None:
        self.store = FakeImportStore()
        self.objects = Heads()
        thresholds = Thresholds(max_file_bytes=1_000, small_file_bytes=100)
        self.imports = Imports(self.store, self.objects, SOURCES, thresholds)
        self.commands = Commands(self.store)
        self.repeats = Repeats(self.store, self.objects, thresholds, OUTCOMES_KEPT, max_running_executions=4)
        self.store.clients[1, 1000] = "Client"
        self.store.reports[1, 1000, 500_000] = "Report"
        self.upload(KEY, ObjectInfo(100, "etag"))

    def upload(self, key: str, info: ObjectInfo) -> None:
        self.store.files[1, key] = "uploaded as.nessus"
        self.objects.known[f"uploads/{key}"] = info

    async def refused(self, trigger: Trigger, principal: Principal = IMPORTER) -> ServiceError:
        with pytest.raises(ServiceError) as refusal:
            await self.imports.create(principal, trigger)
        assert not self.store.imports
        return refusal.value
