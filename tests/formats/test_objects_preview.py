"""What a mapping makes of the first records of a source, before anything is imported."""

from __future__ import annotations

from io import BytesIO

import msgspec

from services.importer.formats.objects.preview import Preview, Syntax, preview
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import Lookup, Skipped, SkipReason
from tests.formats.mapped import attribute, one_value, plan_of, type_plan

PLAN = plan_of(
    type_plan(
        attribute(1, "Name"),
        attribute(2, "Cores", "integer"),
        attribute(3, "Runs", "referenced_object", {"objectMappingIQL": "Name = ${OS}"}),
        empty_values="REMOVE",
    ),
    type_plan(attribute(21, "Owner"), type_id=20, name="Person"),
)
ROWS = "Name,Cores,OS,Owner\nweb,8,Linux,Ann\ndb,many,,Bo\n,,,\ncache,,,\n,,,\n"


def shown(text: str, limit: int = 10, plan: ObjectPlan = PLAN, syntax: Syntax = "csv") -> Preview:
    return preview(syntax, plan, BytesIO(text.encode()), limit)


def test_records_are_shown_as_they_would_be_stored() -> None:
    first = shown(ROWS).records[0]
    host, person = first.objects
    assert (host.type_id, host.key, host.label) == (10, '["web"]', "web")
    assert host.values == {1: "web", 2: 8}
    assert host.lookups == (Lookup(3, ("Linux",)),)
    assert (person.type_id, person.values) == (20, {21: "Ann"})
    assert (first.position.line, first.position.path) == (2, "row 1")


def test_what_is_wrong_with_a_record_is_shown_in_its_place() -> None:
    found = shown(ROWS)
    assert [each.error and (each.error.code, each.error.field, each.error.value) for each in found.records] == [
        None,
        ("TYPE_MISMATCH", "Cores", "many"),
        None,
    ]
    assert found.records[2].skipped == (Skipped(20, SkipReason.IDENTIFIER_EMPTY),)
    assert found.records[2].objects[0].cleared == (2, 3)
    assert found.damage is None


def test_only_so_many_are_read() -> None:
    text = "Name\n" + "x\n" * 5_000 + '"open'
    plan = plan_of(type_plan(attribute(1, "Name")))
    assert len(shown(text, 2, plan).records) == 2
    assert len(shown(text, 100_000, plan).records) == 1_000
    assert shown(text, 0, plan).records == ()


def test_damage_is_shown_behind_the_records_before_it() -> None:
    found = shown('[{"n": "a", "v": "1"}, {"n": "b"', plan=plan_of(one_value()), syntax="json")
    assert [each.objects[0].label for each in found.records] == ["a"]
    assert found.damage is not None
    assert found.damage.code == "TRUNCATED"
    wrong = shown("a;b\n1;2\n").damage
    assert wrong is not None
    assert wrong.code == "WRONG_FORMAT"
    invalid = shown(ROWS, plan=plan_of()).damage
    assert invalid is not None
    assert invalid.code == "MAPPING_INVALID"


def test_remarks_about_the_source_are_shown() -> None:
    plan = plan_of(type_plan(attribute(1, "Name"), attribute(2, "Gone")))
    assert [each.code for each in shown("Name\nx\n", plan=plan).remarks] == ["COLUMN_MISSING"]


def test_a_chunk_is_shown_like_the_rest_and_all_of_it_is_data() -> None:
    plan = plan_of(msgspec.structs.replace(one_value("select", options=("1",)), selector="hosts"))
    found = shown('{"data": {"hosts": [{"n": "a", "v": "2"}]}}', plan=plan, syntax="chunk")
    assert [each.code for each in found.records[0].cautions] == ["UNKNOWN_VALUE_IGNORED"]
    assert msgspec.json.decode(msgspec.json.encode(found))["records"][0]["objects"][0]["values"] == {"1": "a"}
