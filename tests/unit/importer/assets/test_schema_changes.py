from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

from dialects.assets.mapping_documents import read_document
from services.importer.assets.object_types import ObjectAttribute, ObjectSchema, ObjectType, SchemaChanges, SchemaState
from services.importer.assets.schema_changes import generated_id, plan_changes
from tests.mapping_samples import attribute, document, first, object_type, second

EMPTY = SchemaState(ObjectSchema(1, UUID(int=1), "Hardware", "HW", ""))
# One that was made without external ids.
HOST = SchemaState(
    EMPTY.schema,
    (ObjectType(5, None, "Host", "Every Host", "", None, 1),),
    (ObjectAttribute(7, 5, "Name", "", "text", (), True, False, 0, 1, None, None, 0),),
)


def planned(state: SchemaState, payload: dict[str, Any]) -> SchemaChanges:
    numbers = count(1)
    return plan_changes(state, read_document(payload, is_partial=True), lambda: f"made/{next(numbers)}")


def test_what_has_no_external_id_gets_one() -> None:
    changes = planned(EMPTY, first())
    types = [each.external_id for each in changes.new_types]
    ids = types + [each.external_id for each in changes.new_attributes]
    assert ids == [f"made/{number}" for number in range(1, 8)]
    assert generated_id().startswith("cmdb::externalId/")
    assert generated_id() != generated_id()


def test_parents_come_before_what_stands_under_them() -> None:
    device, phone = planned(EMPTY, second()).new_types
    assert (device.external_id, phone.parent_external_id) == ("device", "device")


def test_a_reference_may_lead_to_a_type_that_comes_later() -> None:
    wanted = document(
        object_type("Host", attribute("At", "referenced_object", referenceObjectTypeName="Site")), object_type("Site")
    )
    changes = planned(EMPTY, wanted)
    assert changes.new_attributes[0].reference == changes.new_types[1].external_id


def test_the_attribute_called_name_is_the_label_where_none_is_said() -> None:
    (name,) = planned(EMPTY, document(object_type("Host", attribute("Name")))).new_attributes
    assert name.is_label
    said = document(object_type("Host", attribute("Name"), attribute("Serial", label=True)))
    assert [each.is_label for each in planned(EMPTY, said).new_attributes] == [False, True]
    number = document(object_type("Host", attribute("Name", "integer")))
    assert not planned(EMPTY, number).new_attributes[0].is_label


def test_what_is_there_without_an_external_id_gets_the_one_that_is_said() -> None:
    wanted = document(object_type("Host", attribute("Name", externalId="host/name"), externalId="host"))
    changes = planned(HOST, wanted)
    assert not changes.new_types
    assert not changes.new_attributes
    assert changes.types == {5: {"external_id": "host"}}
    assert changes.attributes == {7: {"external_id": "host/name"}}


def test_a_document_that_says_nothing_new_changes_nothing() -> None:
    state = SchemaState(
        HOST.schema,
        (ObjectType(5, None, "Host", "Every Host", "", "host", 1),),
        (ObjectAttribute(7, 5, "Name", "", "text", (), True, False, 0, 1, None, "name", 0),),
    )
    changes = planned(state, {**document(object_type("Host", attribute("Name")))})
    assert (changes.types, changes.attributes, changes.new_types, changes.new_attributes) == ({}, {}, (), ())


def test_options_are_added_and_none_is_taken_away() -> None:
    state = SchemaState(
        HOST.schema,
        HOST.types,
        (ObjectAttribute(7, 5, "State", "", "select", ("old", "kept"), False, False, 0, 1, None, "s", 0),),
    )
    wanted = document(object_type("Host", attribute("State", "select", typeValues=["kept", "new"])))
    assert planned(state, wanted).attributes[7]["options"] == ("old", "kept", "new")
