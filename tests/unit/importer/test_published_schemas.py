from __future__ import annotations

import msgspec
import pytest

from services.importer.targets.records.published import PUBLISHED, with_published
from services.importer.targets.records.schemas import (
    COLUMN_TYPES,
    Presence,
    RecordSchema,
    SchemaColumn,
    find_schema,
)

# The vendor's table of entity metadata, and what its pages mark as required.
REQUIRED = {
    ("wks_family", "cc-family"): "entityId name disabled",
    ("wks_family_member", "cc-family-member"): (
        "entityId familyEntityId firstName lastName middleInitial status isParent isChild primaryParent minorParent "
        "disabled"
    ),
    ("wks_family_extensions", "cc-family-income"): "entityId",
    ("wks_family_extensions", "cc-family-need"): "entityId",
    ("wks_case", "cc-family-case"): "entityId",
    ("wks_billing", "cc-family-invoice"): "entityId",
    ("wks_provider", "cc-provider"): "entityId name email address taxId disabled",
    ("wks_provider_extensions", "cc-provider-holiday"): "entityId",
    ("wks_billing", "cc-provider-payment"): "entityId",
    ("wks_service", "cc-service-care"): "entityId",
    ("wks_claim", "cc-claim"): (
        "entityId childId providerId providerType startDate endDate fundingSource isAdjustment familyId disabled"
    ),
    ("wks_attendance", "cc-claim-attendance"): "entityId",
    ("wks_document", "cc-document"): "entityId",
    ("wks_note", "cc-note"): "entityId",
}


def published(entity_type: str, data_source: str) -> RecordSchema:
    found = find_schema(PUBLISHED, entity_type, data_source)
    assert found is not None
    return found


def test_the_fourteen_published_kinds_are_there_with_their_required_columns() -> None:
    found = {
        each.pair: " ".join(column.code for column in each.columns if column.presence is not Presence.OPTIONAL).split()
        for each in PUBLISHED
    }
    assert {pair: sorted(codes) for pair, codes in found.items()} == {
        pair: sorted(codes.split()) for pair, codes in REQUIRED.items()
    }
    assert len(PUBLISHED) == 14


@pytest.mark.parametrize("schema", PUBLISHED, ids=lambda schema: "/".join(schema.pair))
def test_a_published_column_stands_once_and_has_a_type_that_files_know(schema: RecordSchema) -> None:
    codes = [column.code for column in schema.columns]
    assert len(codes) == len(set(codes))
    assert {column.type for column in schema.columns} <= set(COLUMN_TYPES)
    assert all(column.type == "string" for column in schema.columns if column.values)


@pytest.mark.parametrize(
    ("pair", "allowed", "refused"),
    [
        (("wks_family", "cc-family"), "new pending active inactive void", "received processed returned"),
        (("wks_claim", "cc-claim"), "new pending active received processed returned void", "inactive"),
        (("wks_billing", "cc-provider-payment"), "new pending active processed void", "inactive returned"),
        (("wks_billing", "cc-family-invoice"), "new overdue", ""),
    ],
)
def test_the_status_of_a_kind_has_its_own_vocabulary(pair: tuple[str, str], allowed: str, refused: str) -> None:
    asked = published(*pair).expectations([("entityId", "string"), ("status", "string")])
    assert all(asked.allows("status", value) for value in allowed.split())
    assert not any(asked.allows("status", value) for value in refused.split())
    # The vendor's own examples write it with a capital.
    assert asked.allows("status", "Active")


def test_what_a_header_lacks_is_told_apart_from_what_a_row_may_leave_empty() -> None:
    declared = [("entityId", "string"), ("middleInitial", "string"), ("isParent", "string")]
    asked = published("wks_family_member", "cc-family-member").expectations(declared)
    assert "familyEntityId" in asked.missing
    assert not {"entityId", "middleInitial"} & set(asked.missing)
    assert asked.required == {"entityId", "isParent"}
    assert asked.retyped == (("isParent", "string", "bool"),)


def test_a_column_that_no_schema_knows_is_asked_for_nothing() -> None:
    asked = published("wks_note", "cc-note").expectations([("entityId", "string"), ("ours", "object")])
    assert asked.allows("ours", "anything")
    assert "ours" not in asked.required
    assert asked.retyped == ()


def test_a_workspaces_own_schema_goes_before_the_published_one_of_its_pair() -> None:
    own = RecordSchema("wks_note", "cc-note", (SchemaColumn("id"),))
    other = RecordSchema("wks_note", "elsewhere", (SchemaColumn("id"),))
    known = with_published([own, other])
    assert len(known) == len(PUBLISHED) + 1
    assert find_schema(known, "wks_note", "cc-note") is own
    assert find_schema(known, "wks_note", "elsewhere") is other
    assert find_schema(known, "WKS_NOTE", "cc-note") is None


def test_a_schema_survives_the_way_to_the_parser() -> None:
    sent = msgspec.msgpack.encode(PUBLISHED)
    assert msgspec.msgpack.decode(sent, type=tuple[RecordSchema, ...]) == PUBLISHED
