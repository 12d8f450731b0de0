"""Staging: an import's own UNLOGGED tables, binary COPY by chunks, and the checkpoint that each chunk commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection as PsycopgConnection
from sqlalchemy import Table, delete, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.staging import SCHEMA, checkpoints, errors
from services.importer.engine.frames import Rejected
from services.importer.engine.target import Tally

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

# Type names that psycopg's binary COPY needs for each column type that staging uses.
COPY_TYPES = {
    "INTEGER": "int4",
    "SMALLINT": "int2",
    "BIGINT": "int8",
    "TEXT": "text",
    'TEXT COLLATE "C"': "text",
    "TEXT[]": "text[]",
    "INTEGER[]": "int4[]",
    "JSONB": "jsonb",
    "UUID": "uuid",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an import was staged, and what was counted up to there."""

    ordinal: int
    is_complete: bool
    format: str
    family: str
    tally: Tally
    digest: bytes | None = None
    """SHA-256 of all bytes of all inputs, once they have been read."""


class Staging:
    """The staging tables of one import."""

    def __init__(self, tenant_id: int, import_id: UUID, templates: Sequence[Table]) -> None:
        self._tenant_id = tenant_id
        self._import_id = import_id
        self.names = {table: staged_name(table, import_id) for table in templates}
        self._errors = staged_errors(import_id)
        self.all_names = (*self.names.values(), self._errors)

    async def prepare(self, connection: AsyncConnection) -> Checkpoint | None:
        """Makes the tables, or finds what an earlier attempt left. None: start from the beginning, on empty tables.

        What an earlier release has left in tables of other columns is dropped.
        """
        found = await connection.execute(
            select(checkpoints).where(checkpoints.c.import_id == self._import_id, checkpoints.c.slice == 0)
        )
        row = found.mappings().first()
        if row is not None and await self._has_columns_of_templates(connection):
            kept = msgspec.convert(row["tally"], _Kept)
            digest = bytes.fromhex(kept.sha256) or None
            # Without a digest the file has to be read to its end once more; what is staged stays staged.
            is_complete = row["complete"] and digest is not None
            return Checkpoint(row["ordinal"], is_complete, kept.format, kept.family, kept.tally, digest)
        # A crash of PostgreSQL empties the tables and the checkpoints alike; rows without a checkpoint are of no use.
        await self.drop(connection)
        statements = [creation(table, name) for table, name in self.names.items()]
        # Names the tenant for the janitor, which has nothing else after a crash of PostgreSQL.
        statements.append(f"COMMENT ON TABLE {next(iter(self.names.values()))} IS '{self._tenant_id:d}'")
        await connection.execute(text("; ".join(statements)))
        return None

    async def _has_columns_of_templates(self, connection: AsyncConnection) -> bool:
        """Whether rows can go on into these tables. That of rejected items may be missing."""
        templates = {name: f"{SCHEMA}.{table.name}" for table, name in self.names.items()}
        templates[self._errors] = f"{SCHEMA}.{errors.name}"
        columns = await _columns_of(connection, [*templates, *templates.values()])
        return all(
            columns[name] == columns[template] or (name == self._errors and not columns[name])
            for name, template in templates.items()
        )

    async def write(
        self, connection: AsyncConnection, rows: Mapping[Table, list[tuple[Any, ...]]], rejected: Sequence[Rejected]
    ) -> None:
        """Copies one chunk in."""
        for table, table_rows in rows.items():
            await self._copy(connection, table, self.names[table], table_rows)
        if rejected:
            # Made by the first chunk that needs it: most files have no rejected item.
            await connection.execute(text(creation(errors, self._errors)))
            error_rows = [
                (
                    *(self._tenant_id, 0, each.ordinal, each.position, each.field, each.code, each.message),
                    *(each.value, each.raw or None),
                )
                for each in rejected
            ]
            await self._copy(connection, errors, self._errors, error_rows)

    async def _copy(self, connection: AsyncConnection, table: Table, name: str, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        types = [COPY_TYPES[column.type.compile(DIALECT)] for column in table.columns]
        raw = await connection.get_raw_connection()
        driver: PsycopgConnection[Any] | Any = raw.driver_connection
        statement = f"COPY {name} ({columns}) FROM STDIN (FORMAT BINARY)"
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                await copy.write_row(row)

    async def save(self, connection: AsyncConnection, attempt: int, kept: Checkpoint) -> None:
        """Writes the checkpoint, in the transaction of its chunk."""
        values = {
            "tenant_id": self._tenant_id,
            "attempt": attempt,
            "input": 0,
            "ordinal": kept.ordinal,
            "bytes": kept.tally.bytes,
            "complete": kept.is_complete,
            "tally": msgspec.to_builtins(
                _Kept(kept.format, kept.family, kept.tally, kept.digest.hex() if kept.digest else "")
            ),
            "updated_at": text("now()"),
        }
        statement = upsert(checkpoints).values(import_id=self._import_id, slice=0, **values)
        await connection.execute(statement.on_conflict_do_update(index_elements=["import_id", "slice"], set_=values))

    async def analyze(self, connection: AsyncConnection) -> None:
        """Gives the planner statistics of tables that are minutes old.

        Without them it loops (DESIGN: 260 s against 10).
        """
        for name in self.names.values():
            await connection.execute(text(f"ANALYZE {name}"))

    async def drop(self, connection: AsyncConnection) -> None:
        """Leaves nothing of this import in staging."""
        await connection.execute(text(f"DROP TABLE IF EXISTS {', '.join(self.all_names)}"))
        await connection.execute(delete(checkpoints).where(checkpoints.c.import_id == self._import_id))


class _Kept(msgspec.Struct):
    """What a checkpoint's JSON column holds."""

    format: str
    family: str
    tally: Tally
    sha256: str = ""


def staged_name(template: Table, import_id: UUID) -> str:
    """The qualified name of an import's copy of a template."""
    return f'{SCHEMA}."{template.name}_{import_id.hex}"'


def creation(template: Table, name: str) -> str:
    """The statement that makes a copy of a template, unless there is one."""
    return f"CREATE UNLOGGED TABLE IF NOT EXISTS {name} (LIKE {SCHEMA}.{template.name} INCLUDING DEFAULTS)"


async def _columns_of(connection: AsyncConnection, names: Sequence[str]) -> dict[str, list[str]]:
    """The columns of each table, in words; none of one that is not there."""
    found = await connection.execute(
        text("""
            SELECT name, array_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull)
                                   ORDER BY attname) FILTER (WHERE attname IS NOT NULL) AS columns
            FROM unnest(CAST(:names AS text[])) name
            LEFT JOIN pg_attribute ON attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped
            GROUP BY name
        """),
        {"names": list(names)},
    )
    return {row.name: row.columns or [] for row in found}


def staged_errors(import_id: UUID) -> str:
    """The qualified name of the table of an import's rejected items, which is there once one was staged."""
    return staged_name(errors, import_id)


async def has_errors(connection: AsyncConnection, import_id: UUID) -> bool:
    """Whether a rejected item was staged."""
    found = await connection.scalar(text("SELECT to_regclass(:name)"), {"name": staged_errors(import_id)})
    return found is not None


async def staged_imports(connection: AsyncConnection) -> dict[UUID, int]:
    """Every import that has tables in staging, by their names, and its tenant, by their comments."""
    found = await connection.execute(
        text(
            "SELECT right(relname, 32), max(obj_description(oid, 'pg_class')) FROM pg_class "
            "WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r' AND relname ~ '_[0-9a-f]{32}$' "
            "GROUP BY 1"
        ),
        {"schema": SCHEMA},
    )
    return {UUID(hex=name): int(tenant or 0) for name, tenant in found}
