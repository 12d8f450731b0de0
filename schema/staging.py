"""Staging: where records wait for the flip. Owned by the worker's role; nobody else sees it.

The tables here are templates. Each import gets UNLOGGED copies of its target's templates, named `<template>_<import
id in hex>`, and drops them in its flip: emptying is a DROP, nothing is left for vacuum (docs/adr/). Every row
carries its tenant. Checkpoints are UNLOGGED as well, so a crash of PostgreSQL empties both together and the import
starts over.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schema.base import metadata, timestamp

SCHEMA = "staging"


def _place() -> tuple[Column[int], Column[int], Column[int]]:
    return (
        Column("tenant_id", Integer, nullable=False),
        Column("slice", SmallInteger, nullable=False),
        Column("ordinal", BigInteger, nullable=False, comment="of the item in the file, from 1"),
    )


findings = Table(
    "findings",
    metadata,
    *_place(),
    Column("key", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("recommendations", Text, nullable=False),
    Column("references", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("cves", ARRAY(Text), nullable=False),
    Column("cwes", ARRAY(Integer), nullable=False),
    Column("scores", JSONB, nullable=False),
    Column("fields", JSONB, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

assets = Table(
    "assets",
    metadata,
    *_place(),
    Column("ref", Text, nullable=False),
    Column("keys", ARRAY(Text), nullable=False, comment="`kind:value`, normalised, as in asset_keys"),
    Column("name", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("ips", ARRAY(Text), nullable=False),
    Column("mac", Text, nullable=False),
    Column("netbios", Text, nullable=False),
    Column("operating_systems", ARRAY(Text), nullable=False),
    Column("type", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("ports", JSONB, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

affected = Table(
    "affected",
    metadata,
    *_place(),
    Column("number", Integer, nullable=False, comment="of the record within its item"),
    Column("finding", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("place", UUID(as_uuid=True), nullable=False),
    Column("port", Integer, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("parameters", ARRAY(Text), nullable=False),
    Column("notes", Text, nullable=False),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

evidence = Table(
    "evidence",
    metadata,
    *_place(),
    Column("number", Integer, nullable=False, comment="of the affected asset within its item"),
    Column("digest", UUID(as_uuid=True), nullable=False),
    Column("caption", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

errors = Table(
    "errors",
    metadata,
    *_place(),
    Column("position", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("raw", Text, comment="the item as it stands in the file, of targets that repeat it"),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

records = Table(
    "records",
    metadata,
    *_place(),
    Column("key", Text(collation="C"), nullable=False, comment="as in records"),
    # Made JSONB by the merge: text is copied faster.
    Column("document", Text, comment="JSON of what the row says; null: it deletes the record"),
    # Always null: what a document lacks is empty. It stays until no release is left that writes it.
    Column("cleared", Text, comment="columns that it empties, U+001F between them; null: none"),
    Column("line", BigInteger, nullable=False),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

objects = Table(
    "objects",
    metadata,
    *_place(),
    Column("number", Integer, nullable=False, comment="of the object within its item"),
    Column("object_type_id", Integer, nullable=False),
    Column("key", Text(collation="C"), comment="as in objects"),
    Column("label", Text, nullable=False),
    Column("document", Text, nullable=False, comment="JSON {attribute id: value}, without references"),
    Column("cleared", ARRAY(Integer), comment="attributes that it empties; null: none"),
    # A table of their own would have several rows for each object, and the same few values over and over.
    Column("lookups", Text, comment="its references: JSON [[attribute id, [value of each placeholder]]]; null: none"),
    Column("line", BigInteger, nullable=False),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)

# How far an import's staging has come. One row per import and slice, written in the transaction of each chunk.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("import_id", UUID(as_uuid=True), primary_key=True),
    Column("slice", SmallInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("input", Integer, nullable=False, comment="number of the input being read"),
    Column("ordinal", BigInteger, nullable=False, comment="last item staged"),
    Column("bytes", BigInteger, nullable=False, comment="of all inputs, read so far"),
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    Column("tally", JSONB, nullable=False, comment="counters and cautions up to here"),
    timestamp("updated_at", default=True),
    schema=SCHEMA,
    prefixes=["UNLOGGED"],
)
