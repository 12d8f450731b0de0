from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.openapi.__main__ import FOLDER, PROTOS, rendered
from gateway.openapi.contract import Contract, ContractError, read_contract
from gateway.openapi.dialects import DIALECTS, PLEXTRAC
from gateway.openapi.document import Dialect, document
from gateway.openapi.messages import message_schema

PACKAGE = "test.v1"
PROTO = """
syntax = "proto3";
package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/struct.proto";
import "hythe/options/v1/options.proto";

service TestThings {
  // Makes a thing.
  rpc MakeThing(MakeThingRequest) returns (Thing) {
    option (google.api.http) = {
      post: "/shelf/{shelf_id}/thing" body: "payload"
      additional_bindings {put: "/thing" body: "payload"}
    };
    option (hythe.options.v1.authorization) = {role: ROLE_IMPORTER};
    option (hythe.options.v1.json_shape) = {request: "NewThing" request_media_type: "application/json, text/plain"};
  }
  rpc GetStatus(Thing) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/status"};
    option (hythe.options.v1.authorization) = {anonymous: true};
    option (hythe.options.v1.json_shape) = {response: "Status"};
  }
  rpc MoveThing(MakeThingRequest) returns (google.protobuf.Struct) {
    option (google.api.http) = {patch: "/shelf/{shelf_id}/thing" body: "payload"};
    option (hythe.options.v1.authorization) = {role: ROLE_VIEWER scopes: ["read:thing", "move:thing"]};
    option (hythe.options.v1.json_shape) = {request: "Empty" response: "Empty"};
  }
  rpc Unrouted(Thing) returns (Thing);
}
message MakeThingRequest {
  int32 shelf_id = 1;
  google.protobuf.Struct payload = 2;
  // How many.
  int32 copy_count = 3;
}
// One thing.
message Thing {
  string name = 1;
  int64 size_bytes = 2 [json_name = "size_bytes"];
  repeated Part parts = 3;
  google.protobuf.Value note = 4;
  optional bool is_new = 5;
  Colour colour = 6;
  Part main_part = 7;
}
message Part {
  double weight = 1;
}
enum Colour {
  COLOUR_UNSPECIFIED = 0;
  COLOUR_RED = 1;
}
"""
SHAPES = {"NewThing": {"type": "object"}, "Status": {"$ref": "#/components/schemas/Word"}, "Word": {"type": "string"}}
DIALECT = Dialect("test", PACKAGE, "Test", "A test.", {"type": "object"}, {})


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return compiled(tmp_path_factory.mktemp("protos"), PROTO)


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "plextrac.json").read_text())
    return loaded


def compiled(folder: Path, proto: str) -> Contract:
    (folder / "hythe").symlink_to(PROTOS / "hythe")
    (folder / "test.proto").write_text(proto)
    return read_contract(folder)


def test_the_committed_documents_are_what_the_protos_give() -> None:
    contract = read_contract(PROTOS)
    for dialect in DIALECTS:
        assert (FOLDER / f"{dialect.name}.json").read_text() == rendered(dialect, contract)


def test_the_document_is_valid_openapi(committed: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(committed).iter_errors()) == []


def test_a_path_variable_of_several_segments_is_so_many_parameters(committed: dict[str, Any]) -> None:
    operation = committed["paths"]["/api/v2/uploads/{key1}/{key2}/complete"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["key1", "key2"]


def test_a_schema_written_by_hand_has_every_member_of_its_message() -> None:
    contract = read_contract(PROTOS)
    shapes = json.loads((PROTOS / PLEXTRAC.shapes).read_text())
    in_both = {name: shapes[name] for name in shapes if f"{PLEXTRAC.package}.{name}" in contract.messages}

    assert {"ImportStarted", "ImportJob"} <= in_both.keys()
    for name, shape in in_both.items():
        if name == "ListRequest":  # The message carries the path, the shape is its payload.
            continue
        members = {member.json_name for member in contract.messages[f"{PLEXTRAC.package}.{name}"].field}
        if members != {"payload"} and not name.endswith("Request"):
            assert members <= shape["properties"].keys(), name


def test_a_route_becomes_an_operation(contract: Contract) -> None:
    operation = document(DIALECT, contract, SHAPES)["paths"]["/shelf/{shelf_id}/thing"]["post"]

    assert operation["operationId"] == "makeThing"
    assert operation["description"] == "Makes a thing. Needs the role importer or a higher one."
    assert operation["tags"] == ["Things"]
    assert operation["parameters"] == [
        {"name": "shelf_id", "in": "path", "required": True, "schema": {"type": "integer", "format": "int32"}},
        {
            "name": "copyCount",
            "in": "query",
            "schema": {"type": "integer", "format": "int32"},
            "description": "How many.",
        },
    ]
    reference = {"schema": {"$ref": "#/components/schemas/NewThing"}}
    assert operation["requestBody"]["content"] == {"application/json": reference, "text/plain": reference}
    answer = operation["responses"]["200"]["content"]["application/json"]
    assert answer == {"schema": {"$ref": "#/components/schemas/Thing"}}
    assert {"401", "403", "413", "415", "default"} <= operation["responses"].keys()


def test_an_additional_route_is_another_operation(contract: Contract) -> None:
    operation = document(DIALECT, contract, SHAPES)["paths"]["/thing"]["put"]

    assert operation["operationId"] == "makeThing2"
    assert [parameter["name"] for parameter in operation["parameters"]] == ["shelfId", "copyCount"]


def test_an_anonymous_route_needs_no_credential(contract: Contract) -> None:
    operation = document(DIALECT, contract, SHAPES)["paths"]["/status"]["get"]

    assert operation["security"] == []
    assert "403" not in operation["responses"]
    assert "requestBody" not in operation


def test_nothing_read_and_nothing_answered_need_no_schema(contract: Contract) -> None:
    operation = document(DIALECT, contract, SHAPES)["paths"]["/shelf/{shelf_id}/thing"]["patch"]

    assert operation["requestBody"]["required"] is False
    assert operation["responses"]["200"] == {"description": "Done."}


def test_an_rpc_has_the_statuses_that_its_dialect_says(contract: Contract) -> None:
    dialect = replace(DIALECT, statuses={"MoveThing": {"204": "Moved.", "303": "It moves."}})
    responses = document(dialect, contract, SHAPES)["paths"]["/shelf/{shelf_id}/thing"]["patch"]["responses"]

    assert "200" not in responses
    assert responses["204"] == {"description": "Moved."}
    assert responses["303"]["headers"].keys() == {"Location"}
    assert "default" in responses
    with pytest.raises(ContractError, match="no RPC Nothing"):
        document(replace(DIALECT, statuses={"Nothing": {"204": "Done."}}), contract, SHAPES)


def test_scopes_are_told(contract: Contract) -> None:
    operation = document(DIALECT, contract, SHAPES)["paths"]["/shelf/{shelf_id}/thing"]["patch"]

    assert operation["description"].endswith("A credential with scopes needs one of: `read:thing`, `move:thing`.")


def test_a_method_without_a_route_is_not_in_the_document(contract: Contract) -> None:
    assert "unrouted" not in json.dumps(document(DIALECT, contract, SHAPES)).lower()


def test_a_message_is_described_as_the_transcoder_prints_it(contract: Contract) -> None:
    schema = message_schema(contract, f"{PACKAGE}.Thing", is_answer=True)

    assert schema["description"] == "One thing."
    assert schema["properties"] == {
        "name": {"type": "string"},
        "size_bytes": {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
        "note": {},
        "isNew": {"type": "boolean"},
        "colour": {"type": "string", "enum": ["COLOUR_UNSPECIFIED", "COLOUR_RED"]},
        "mainPart": {"$ref": "#/components/schemas/Part"},
    }
    assert schema["required"] == ["name", "size_bytes", "parts", "colour"]
    assert "required" not in message_schema(contract, f"{PACKAGE}.Thing", is_answer=False)


def test_schemas_are_found_through_other_schemas(contract: Contract) -> None:
    schemas = document(DIALECT, contract, SHAPES)["components"]["schemas"]

    assert schemas.keys() == {"Error", "NewThing", "Part", "Status", "Thing", "Word"}


def test_a_schema_that_is_not_there_fails_by_name(contract: Contract) -> None:
    shapes = {name: shape for name, shape in SHAPES.items() if name != "NewThing"}

    with pytest.raises(ContractError, match="no schema NewThing"):
        document(DIALECT, contract, shapes)


def test_a_schema_that_nothing_names_fails_by_name(contract: Contract) -> None:
    with pytest.raises(ContractError, match="nothing names: Forgotten"):
        document(DIALECT, contract, {**SHAPES, "Forgotten": {}})


def test_an_opaque_body_without_a_shape_fails_by_method(tmp_path: Path) -> None:
    without = compiled(tmp_path, PROTO.replace('option (hythe.options.v1.json_shape) = {response: "Status"};', ""))

    with pytest.raises(ContractError, match="GetStatus needs a json_shape with a response"):
        document(DIALECT, without, SHAPES)


def test_a_path_variable_without_a_field_fails_by_name(tmp_path: Path) -> None:
    wrong = compiled(tmp_path, PROTO.replace("int32 shelf_id = 1;", "int32 rack_id = 1;"))

    with pytest.raises(ContractError, match="MakeThing has path variables without a field: shelf_id"):
        document(DIALECT, wrong, SHAPES)


def test_a_type_without_a_json_schema_fails_by_field(contract: Contract) -> None:
    odd = copy.deepcopy(contract)
    odd.messages[f"{PACKAGE}.Part"].field[0].type = FieldDescriptorProto.TYPE_GROUP

    with pytest.raises(ContractError, match="weight"):
        message_schema(odd, f"{PACKAGE}.Part", is_answer=True)


def test_protos_that_do_not_compile_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="protoc refuses"):
        compiled(tmp_path, "nonsense")
