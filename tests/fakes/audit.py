"""An audit log that keeps events in a list."""

from __future__ import annotations

from runtime.audit import AuditEvent


class FakeAudit:
    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.is_running = False

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)

    def start(self) -> None:
        self.is_running = True

    async def stop(self) -> None:
        self.is_running = False
