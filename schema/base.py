"""The one MetaData, and the column shorthands that every table uses."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, Integer, MetaData, func

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


def tenant_id() -> Column[int]:
    """The tenant a row belongs to, first in every primary key. 0 is nobody's (audit of unauthenticated calls)."""
    return Column("tenant_id", Integer, primary_key=True, autoincrement=False)


def timestamp(name: str, *, default: bool = False, nullable: bool = False) -> Column[Any]:
    """A point in time, always with a zone; `default` takes the database's clock."""
    server_default = func.now() if default else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)
