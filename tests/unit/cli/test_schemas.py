from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hythe.importer.v1 import schemas_pb2 as pb
from tests.fakes.channel import FakeChannel
from tests.unit.cli.conftest import Terminal

SERVICE = "/hythe.importer.v1.SchemaService/"
FAMILY = pb.RecordSchema(
    entity_type="wks_family",
    data_source="cc-family",
    published=True,
    columns=[
        pb.RecordColumn(code="entityId", type="string", presence=pb.COLUMN_PRESENCE_VALUE),
        pb.RecordColumn(code="initial", type="string", presence=pb.COLUMN_PRESENCE_COLUMN),
        pb.RecordColumn(code="status", type="string", presence=pb.COLUMN_PRESENCE_OPTIONAL, values=["new", "active"]),
    ],
)


def answering(terminal: Terminal, method: str, answer: Any) -> FakeChannel:
    terminal.channel = FakeChannel({SERVICE + method: lambda _: answer})
    return terminal.channel


def test_schemas_are_listed_with_what_they_require(terminal: Terminal) -> None:
    channel = answering(terminal, "ListRecordSchemas", pb.ListRecordSchemasResponse(schemas=[FAMILY]))
    table = terminal.run("appfile", "schemas", "list", "--workspace", "home").stdout
    assert "published" in table
    assert "entityId, initial" in table
    (request,) = channel.asked("ListRecordSchemas")
    assert request.workspace == "home"


def test_a_schema_that_is_shown_can_be_put_as_it_is(terminal: Terminal, tmp_path: Path) -> None:
    answering(terminal, "GetRecordSchema", pb.GetRecordSchemaResponse(schema=FAMILY))
    table = terminal.run("appfile", "schemas", "show", "wks_family", "cc-family").stdout
    assert "new, active" in table
    shown = terminal.run("appfile", "schemas", "show", "wks_family", "cc-family", "--json").stdout
    file = tmp_path / "family.json"
    file.write_text(shown)
    channel = answering(terminal, "PutRecordSchema", pb.PutRecordSchemaResponse(schema=FAMILY))
    outcome = terminal.run("appfile", "schemas", "put", file)
    assert outcome.stdout == "wks_family of cc-family has 3 columns.\n"
    (request,) = channel.asked("PutRecordSchema")
    assert list(request.schema.columns) == list(FAMILY.columns)


@pytest.mark.parametrize("text", ["", '{"columns": 5}', '{"colums": []}', "\x00", '{"entity_type": "a"'])
def test_a_file_that_is_no_schema_is_told_before_anything_is_sent(
    terminal: Terminal, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "family.json"
    file.write_text(text)
    outcome = terminal.run("appfile", "schemas", "put", file)
    assert outcome.exit_code == 2
    assert "is no schema" in outcome.stderr


def test_a_file_that_is_no_text_is_told_so(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "family.json"
    file.write_bytes(b"\xff\xfe{}")
    assert terminal.run("appfile", "schemas", "put", file).exit_code == 2


def test_a_schema_is_deleted_by_its_pair(terminal: Terminal) -> None:
    channel = answering(terminal, "DeleteRecordSchema", pb.DeleteRecordSchemaResponse())
    outcome = terminal.run("appfile", "schemas", "delete", "wks_bus", "cc-bus")
    assert outcome.exit_code == 0
    (request,) = channel.asked("DeleteRecordSchema")
    assert (request.entity_type, request.data_source) == ("wks_bus", "cc-bus")
