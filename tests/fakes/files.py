"""A table of files in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.upload.model import File, NewFile


class FakeLock:
    def __init__(self, files: FakeFiles, at: tuple[int, str]) -> None:
        self._files = files
        self._at = at

    @property
    def file(self) -> File:
        return self._files.rows[self._at]

    async def complete(self) -> None:
        self._files.rows[self._at] = replace(self.file, completed_at=datetime.now(UTC))


class FakeFiles:
    """`services.upload.ports.Files`, with a limit that tests may set."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.rows: dict[tuple[int, str], File] = {}
        self.added: list[NewFile] = []
        self._locks: dict[tuple[int, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def max_file_bytes(self, tenant_id: int) -> int | None:
        return self.limit

    async def add(self, tenant_id: int, file: NewFile) -> File:
        now = datetime.now(UTC)
        self.added.append(file)
        self.rows[tenant_id, file.key] = File(
            file.key,
            file.file_name,
            now,
            now + file.life,
            file.declared_size,
            file.sha256,
            file.multipart_id,
            file.part_size,
        )
        return self.rows[tenant_id, file.key]

    async def get(self, tenant_id: int, key: str) -> File | None:
        return self.rows.get((tenant_id, key))

    @asynccontextmanager
    async def lock(self, tenant_id: int, key: str) -> AsyncIterator[FakeLock | None]:
        at = tenant_id, key
        async with self._locks[at]:
            yield FakeLock(self, at) if at in self.rows else None

    async def older(self, tenant_id: int, age: timedelta, after: tuple[datetime, str] | None, limit: int) -> list[File]:
        found = sorted(
            (file.created_at, key)
            for (owner, key), file in self.rows.items()
            if owner == tenant_id and file.created_at < datetime.now(UTC) - age
        )
        return [self.rows[tenant_id, key] for at, key in found if after is None or (at, key) > after][:limit]

    async def remove(self, tenant_id: int, key: str) -> None:
        self.rows.pop((tenant_id, key), None)
