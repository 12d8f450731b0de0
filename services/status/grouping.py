"""Two sorted streams read side by side: things, and the rows that belong to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable

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
    """The groups of one owner after the other.

    `owner` is the column that names the owner of a row, `rank` tells where an owner stands in the order of the streams.
    """

    def __init__(self, groups: AsyncIterator[Group], owner: str, rank: Callable[[int], int]) -> None:
        self._groups = groups
        self._owner = owner
        self._rank = rank
        self._next: Group | None = None

    async def of(self, owner: int) -> AsyncGenerator[Group, None]:
        """Ask in order. Groups of owners that were not asked for are dropped."""
        mine = self._rank(owner)
        while (group := await self._peek()) is not None and (rank := self._rank(group[0][self._owner])) <= mine:
            self._next = None
            if rank == mine:
                yield group

    async def _peek(self) -> Group | None:
        if self._next is None:
            self._next = await anext(self._groups, None)
        return self._next
