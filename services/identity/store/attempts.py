"""Queries on login attempts, which are counted here for all replicas of the service."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.identity import login_attempts

WINDOW = timedelta(minutes=1)


class AttemptQueries:
    """The time is the database's, and of the statement: a transaction may have waited for its lock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, subjects: Sequence[str]) -> None:
        """Let nobody else count these subjects until this transaction ends; in an order that cannot deadlock."""
        for key in sorted(_lock_key(subject) for subject in subjects):
            await self._connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    async def count(self, subjects: Sequence[str]) -> dict[str, tuple[int, float]]:
        """Attempts in the last minute, and how many seconds until the oldest of them no longer counts."""
        now = func.clock_timestamp()
        wait = func.extract("epoch", func.min(login_attempts.c.attempted_at) + WINDOW - now)
        query = (
            select(login_attempts.c.subject, func.count(), wait)
            .where(login_attempts.c.subject.in_(subjects), login_attempts.c.attempted_at > now - WINDOW)
            .group_by(login_attempts.c.subject)
        )
        return {subject: (count, float(wait)) for subject, count, wait in await self._connection.execute(query)}

    async def add(self, subjects: Sequence[str]) -> None:
        rows = [{"subject": subject, "attempted_at": func.clock_timestamp()} for subject in subjects]
        await self._connection.execute(insert(login_attempts).values(rows))

    async def delete_old(self) -> int:
        """Forget what no longer counts; gives how many."""
        statement = delete(login_attempts).where(login_attempts.c.attempted_at < func.now() - WINDOW)
        return (await self._connection.execute(statement)).rowcount


def _lock_key(subject: str) -> int:
    """64 bits for an advisory lock. Two subjects with the same number would only wait for each other."""
    return int.from_bytes(hashlib.sha256(f"login:{subject}".encode()).digest()[:8], signed=True)
