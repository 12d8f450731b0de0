"""Two sorted streams read side by side: things, and the rows that belong to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from services.status.model import Batches, Row

Group = list[Row]


async def group_rows(batches: Batches, *keys: str) -> AsyncGenerator[Group, None]:
    """Neighbouring rows that are equal in these columns. Only one group is held."""
    group: Group = []
    current: tuple[object, ...] | None = None
    async for batch in batches:
        for row in batch:
            key = tuple([row[name] for name in keys])
            if key != current and group:
                yield group
                group = []
            current = key
            group.append(row)
    if group:
        yield group


class Belongings:
    """The groups of one owner after the other. `owner` is the column that names it; both streams are sorted by it."""

    def __init__(self, groups: AsyncIterator[Group], owner: str) -> None:
        self._groups = groups
        self._owner = owner
        self._next: Group | None = None

    async def of(self, owner: int) -> AsyncGenerator[Group, None]:
        """Ask in ascending order. Groups of owners that were not asked for are dropped."""
        while (group := await self._peek()) is not None and group[0][self._owner] <= owner:
            self._next = None
            if group[0][self._owner] == owner:
                yield group

    async def _peek(self) -> Group | None:
        if self._next is None:
            self._next = await anext(self._groups, None)
        return self._next
