"""What the identity service says of those who have made schedules."""

from __future__ import annotations

from uuid import UUID


class FakeStandings:
    """`runtime.standings.RemoteStandings`: nobody may import who stands in `refusals`, by tenant and user."""

    def __init__(self) -> None:
        self.refusals: dict[tuple[int, int], str] = {}
        self.failure: Exception | None = None
        """What every question fails with."""
        self.asked: list[tuple[int, int, UUID]] = []

    async def refusal(self, tenant_id: int, user_id: int, workspace_id: UUID) -> str:
        self.asked.append((tenant_id, user_id, workspace_id))
        if self.failure is not None:
            raise self.failure
        return self.refusals.get((tenant_id, user_id), "")
