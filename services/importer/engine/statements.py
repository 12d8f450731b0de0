"""Set-based SQL of one transaction: names and parameters that are given once, and temporary tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

# The planner does well enough with a temporary table of fewer rows, of which it knows nothing.
SMALL_TABLE_ROWS = 2_000


class Statements:
    """`{name}` in a statement is replaced by a name of ours, `:name` is bound; a statement uses those that it needs."""

    def __init__(self, connection: AsyncConnection, names: Mapping[str, str], parameters: Mapping[str, Any]) -> None:
        self.connection = connection
        self._names = names
        self._parameters = parameters

    def named(self, names: Mapping[str, str]) -> Statements:
        """The same with more names."""
        return Statements(self.connection, {**self._names, **names}, self._parameters)

    async def run(self, statement: str, **more: Any) -> CursorResult[Any]:
        """Runs a statement."""
        clause, parameters = self.bound(statement, **more)
        return await self.connection.execute(clause, parameters)

    def bound(self, statement: str, **more: Any) -> tuple[TextClause, dict[str, Any]]:
        """The statement with its names in place, and the parameters that it uses."""
        parameters = {**self._parameters, **more}
        clause = text(statement.format(**self._names))
        return clause, {name: parameters[name] for name in clause._bindparams}  # noqa: SLF001  (text() refuses none, psycopg refuses more)

    async def table(self, name: str, query: str, **more: Any) -> int:
        """Makes a temporary table of this transaction; answers its rows. One of some size is analysed."""
        result = await self.run(f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query}", **more)
        if result.rowcount > SMALL_TABLE_ROWS:
            await self.run(f"ANALYZE {name}")
        return result.rowcount

    async def count(self, query: str, **more: Any) -> int:
        """One number."""
        return int((await self.run(query, **more)).scalar_one())
