"""What the schemas of a workspace do to the files that are sent to it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from hythe.importer.v1 import schemas_pb2 as pb
from hythe.importer.v1.schemas_pb2_grpc import SchemaServiceStub
from tests.e2e.appfile import AppFile, appfile
from tests.stack import LiveStack

BUS = pb.RecordSchema(
    entity_type="wks_bus",
    data_source="cc-bus",
    columns=[
        pb.RecordColumn(code="id", presence=pb.COLUMN_PRESENCE_VALUE),
        pb.RecordColumn(code="line", presence=pb.COLUMN_PRESENCE_COLUMN),
        pb.RecordColumn(code="seats", type="int"),
        pb.RecordColumn(code="colour", values=["red", "blue"]),
    ],
)
COLUMNS = ("id", "line", "seats: int", "colour")


@pytest.fixture
def caller(stack: LiveStack) -> Iterator[AppFile]:
    with appfile(stack) as made:
        yield made


@pytest.fixture
def schemas(stack: LiveStack) -> Iterator[SchemaServiceStub]:
    with grpc.insecure_channel(stack.grpc) as channel:
        yield SchemaServiceStub(channel)


def put(schemas: SchemaServiceStub, stack: LiveStack, caller: AppFile, schema: pb.RecordSchema) -> None:
    request = pb.PutRecordSchemaRequest(workspace=caller.workspace_id, schema=schema)
    schemas.PutRecordSchema(request, timeout=30, metadata=(("x-api-key", stack.api_key),))


def buses(caller: AppFile, *rows: str, columns: tuple[str, ...] = COLUMNS) -> str:
    return caller.file(*rows, entity_type="wks_bus", data_source="cc-bus", keys=["id"], columns=columns)


def test_a_pair_without_a_schema_is_taken_as_it_declares_itself(caller: AppFile) -> None:
    file = caller.imported(buses(caller, "10|1||many|green", columns=("id", "line", "seats", "colour")))
    assert (file["Status"], file["DataSource"]) == ("Imported", "cc-bus")


def test_a_workspaces_schema_holds_for_its_files(stack: LiveStack, caller: AppFile, schemas: SchemaServiceStub) -> None:
    put(schemas, stack, caller, BUS)
    file = caller.imported(buses(caller, "10|1||40|Red", "10|2|N9|40|green", "10|3|N9||"))
    assert [(each["ErrorCode"], each["Field"], each["Value"]) for each in file["RowErrors"]] == [
        ("ValueNotAllowed", "colour", "green")
    ]
    assert file["Progress"]["RowsInserted"] == 2
    refused = caller.imported(buses(caller, "10|4", columns=("id",)))
    assert (refused["Status"], refused["Error"]["ErrorCode"]) == ("Failed", "HeaderColumnMissing")
    assert "line" in refused["Error"]["Message"]
    warned = caller.imported(buses(caller, "10|5|N9|40|red", columns=("id", "line", "seats: string", "colour")))
    assert warned["Status"] == "Imported"
    assert any("ColumnTypeDiffers" in log["Message"] for log in warned["Logs"])
    with appfile(stack) as other:
        assert other.imported(buses(other, "10|2|N9|40|green"))["Status"] == "Imported"


def test_a_published_schema_can_be_replaced_and_comes_back(
    stack: LiveStack, caller: AppFile, schemas: SchemaServiceStub
) -> None:
    columns = ("entityId", "title")
    content = caller.file("10|F1|a", columns=columns)
    file_id = caller.upload(content)
    caller.start(file_id)
    assert caller.wait(file_id)["Error"]["ErrorCode"] == "HeaderColumnMissing"
    own = pb.RecordSchema(entity_type="wks_family", data_source="cc-family", columns=[pb.RecordColumn(code="entityId")])
    put(schemas, stack, caller, own)
    assert caller.forced(file_id)["Status"] == "Imported"
    request = pb.DeleteRecordSchemaRequest(
        workspace=caller.workspace_id, entity_type="wks_family", data_source="cc-family"
    )
    schemas.DeleteRecordSchema(request, timeout=30, metadata=(("x-api-key", stack.api_key),))
    assert caller.forced(file_id)["Error"]["ErrorCode"] == "HeaderColumnMissing"
