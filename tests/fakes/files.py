"""A table of files in memory."""

from __future__ import annotations

from datetime import UTC, datetime

from services.upload.model import File, NewFile


class FakeFiles:
    """`services.upload.ports.Files`, with a limit that tests may set."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.rows: dict[tuple[int, str], File] = {}
        self.added: list[NewFile] = []

    async def max_file_bytes(self, tenant_id: int) -> int | None:
        return self.limit

    async def add(self, tenant_id: int, file: NewFile) -> File:
        now = datetime.now(UTC)
        self.added.append(file)
        self.rows[tenant_id, file.key] = File(file.key, file.file_name, now, now + file.life)
        return self.rows[tenant_id, file.key]

    async def get(self, tenant_id: int, key: str) -> File | None:
        return self.rows.get((tenant_id, key))

    async def remove(self, tenant_id: int, key: str) -> None:
        self.rows.pop((tenant_id, key), None)
