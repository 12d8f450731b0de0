"""What records become by a mapping: keys, labels, documents, references, and what is no object."""

from __future__ import annotations

import json
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.importer.formats.kit.format import DamagedFile
from services.importer.formats.objects import csv
from services.importer.formats.objects.mapping import plans
from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.plans import array_readers, table_reader
from services.importer.formats.objects.mapping.records import Rejection
from services.importer.targets.objects.plan import ObjectPlan, TypePlan
from services.importer.targets.objects.records import Caution, Lookup, ObjectRecord, Skipped, SkipReason
from services.importer.targets.objects.rules import Condition
from tests.formats.mapped import (
    adapted,
    attribute,
    from_csv,
    from_json,
    lookups,
    mapped,
    one_value,
    plan_of,
    type_plan,
    values,
)

HOST = type_plan(attribute(1, "Name"), attribute(2, "Cores", "integer"), attribute(5, "Tags", maximum=-1))


def test_a_row_becomes_an_object() -> None:
    (found,) = from_csv(plan_of(HOST), "Name,Cores,Tags\nweb-1,8,a||b||a\n")
    document = '{"1":"web-1","2":8,"5":["a","b"]}'
    assert found == ObjectRecord(10, 0, '["web-1"]', "web-1", document, (), (), 2)


def test_equal_values_are_equal_documents_whatever_the_source() -> None:
    table = from_csv(plan_of(HOST), 'Cores,Tags,Name\n8.0,"a||b"," w""\\é "\n')
    tree = from_json(plan_of(HOST), [{"Tags": ["a", "b"], "Cores": 8, "Name": 'w"\\é'}])
    assert table[0].document == tree[0].document
    assert json.loads(table[0].document) == {"1": 'w"\\é', "2": 8, "5": ["a", "b"]}
    assert table[0].key == tree[0].key == json.dumps(['w"\\é'], ensure_ascii=False)


def test_members_of_a_document_are_in_the_order_of_their_ids() -> None:
    plan = plan_of(type_plan(*(attribute(each, f"a{each}") for each in (30, 4, 100, 21))))
    (found,) = from_csv(plan, "a30,a4,a100,a21\nw,x,y,z\n")
    assert list(json.loads(found.document)) == ["4", "21", "30", "100"]


def test_identifiers_make_the_key() -> None:
    attributes = [attribute(3, "b", "integer"), attribute(9, "c", "date"), attribute(1, "a")]
    plan = plan_of(type_plan(*attributes, identifiers=(1, 3, 9), label_attribute=1))
    assert from_csv(plan, "a,b,c\nx,05,01/02/2024\n")[0].key == '["x","5","2024-01-02"]'


def test_a_long_key_is_a_digest() -> None:
    for length in (251, 252):
        (found,) = from_csv(plan_of(type_plan(attribute(1, "Name"))), f"Name\n{'x' * length}\n")
        key = f'["{"x" * length}"]'
        assert found.key == (key if length == 251 else sha256(key.encode()).hexdigest())
        assert found.label == "x" * length


def test_identifiers_may_ignore_case() -> None:
    plan = plan_of(type_plan(attribute(1, "Name"), ignores_case=True))
    upper, lower = from_csv(plan, "Name\nSTRASSE\nStraße\n")
    assert upper.key == lower.key == '["strasse"]'
    assert (upper.label, lower.label) == ("STRASSE", "Straße")


def test_a_label_is_the_first_value_and_has_a_limit() -> None:
    plan = plan_of(type_plan(attribute(1, "Id"), attribute(2, "Names", maximum=-1), label_attribute=2))
    first, long = from_csv(plan, f"Id,Names\n1,a||b\n2,{'x' * 2_000}\n")
    assert (first.label, long.label) == ("a", "x" * 1_024)
    unlabelled = plan_of(type_plan(attribute(1, "Id"), label_attribute=None))
    assert from_csv(unlabelled, "Id\n1\n")[0].label == ""


@pytest.mark.parametrize(("policy", "cleared"), [("IGNORE", ()), ("REMOVE", (2, 5))])
def test_empty_values_leave_an_attribute_alone_or_empty_it(policy: str, cleared: tuple[int, ...]) -> None:
    plan = plan_of(type_plan(*HOST.attributes, empty_values=policy))
    empty, full = from_csv(plan, "Name,Cores,Tags\na,,||\nb,1,x\n")
    assert (empty.document, empty.cleared) == ('{"1":"a"}', cleared)
    assert full.cleared == ()


def test_an_empty_reference_is_emptied_too() -> None:
    reference = attribute(7, "Owner", "referenced_object", {"objectMappingIQL": "Name = ${owner}"})
    plan = plan_of(type_plan(attribute(1, "Name"), reference, empty_values="REMOVE"))
    found = from_csv(plan, "Name,owner\na,\nb,Ann\nc, \n")
    assert [each.cleared for each in found] == [(7,), (), (7,)]


def test_what_must_have_a_value_rejects_its_record_without_one() -> None:
    assert mapped("", None, minimum=1) == "REQUIRED_VALUE_MISSING"
    assert mapped("x", None, minimum=1) == "x"
    assert mapped("", {"attributeLocators": ["v"], "default": "d"}, minimum=1) == "d"
    assert mapped(["a"], None, minimum=2, maximum=3) == "TOO_FEW_VALUES"
    assert mapped(["a", "b", "c", "d"], None, minimum=2, maximum=3) == "TOO_MANY_VALUES"
    assert mapped(["a", "a", "b"], None, maximum=2) == ["a", "b"]


def test_several_values_do_not_fit_an_attribute_of_one() -> None:
    assert mapped(["a", "b"], None) == "TOO_MANY_VALUES"
    assert mapped(["a"], None) == "a"
    assert mapped([], None) is None
    assert mapped([None, " ", "a"], None) == "a"
    assert mapped("a", None, maximum=-1) == ["a"]
    assert values(from_csv(plan_of(one_value()), "n,v\nx,a||b\n")) == ["a||b"]


def test_the_sign_between_several_values_can_be_another() -> None:
    plan = plan_of(one_value(maximum=-1), multi_value_separator=";")
    assert values(from_csv(plan, "n,v\nx, a ;;b\n")) == [["a", "b"]]


def test_unknown_values_are_ignored_or_added() -> None:
    for type_ in ("select", "status"):
        known = attribute(2, "Env", type_, "v", options=("prod", "test"))
        for policy, stored in (("IGNORE", None), ("ADD", "new")):
            plan = plan_of(type_plan(attribute(1, "n"), known, unknown_values=policy))
            found = from_csv(plan, "n,v\nx,prod\ny,new\n")
            assert values(found) == ["prod", stored]
            told = [each for each in found if isinstance(each, Caution)]
            assert [each.code for each in told] == ["UNKNOWN_VALUE_IGNORED"] * (policy == "IGNORE")
            assert all('"Env"' in each.message and '"new"' in each.message for each in told)


def test_an_unknown_value_counts_as_empty() -> None:
    env = attribute(2, "Env", "select", {"attributeLocators": ["v"], "default": "test"}, options=("test",))
    assert values(from_csv(plan_of(type_plan(attribute(1, "n"), env)), "n,v\nx,new\n")) == ["test"]
    some = attribute(2, "Env", "select", "v", options=("a", "b"), maximum=-1)
    removing = plan_of(type_plan(attribute(1, "n"), some, empty_values="REMOVE"))
    found = [each for each in from_csv(removing, "n,v\nx,a||z||b\ny,z\n") if isinstance(each, ObjectRecord)]
    assert [each.document for each in found] == ['{"1":"x","2":["a","b"]}', '{"1":"y"}']
    assert [each.cleared for each in found] == [(), (2,)]


def test_what_is_told_of_an_unknown_value_is_no_secret() -> None:
    secret = attribute(2, "Password", "select", "v", options=("a",))
    (_, caution) = from_csv(plan_of(type_plan(attribute(1, "n"), secret)), "n,v\nx,hunter2\n")
    assert "hunter2" not in caution.message


def test_an_object_has_a_limit() -> None:
    plan = plan_of(type_plan(attribute(1, "n"), *(attribute(each, f"a{each}", "text", "v") for each in range(2, 67))))
    found = from_json(plan, [{"n": "x", "v": "y" * (1 << 20)}, {"n": "z", "v": "y"}])
    assert found[0][0] == "OBJECT_TOO_LARGE"
    assert found[1].label == "z"


def test_what_is_remembered_is_bounded_however_many_attributes_there_are() -> None:
    few, many = (
        plan_of(
            *(type_plan(attribute(1, "n"), *(attribute(at, f"a{at}") for at in range(2, count))) for _ in range(10))
        )
        for count in (4, 1_000)
    )
    assert [plans._known(each) for each in (plan_of(HOST), few, many)] == [8_192, 2_000, 16]
    reader = table_reader(few)
    for at in range(5_000):
        reader.read([(f"{name}{at}",) for name in reader.locators], (1,))
    assert max(len(known) for each in reader._types for known in each._known) <= 2_000


def reference(mapping: dict[str, Any], **more: Any) -> ObjectPlan:
    return plan_of(type_plan(attribute(1, "n"), attribute(7, "Ref", "referenced_object", mapping, **more)))


def test_a_reference_is_the_values_of_its_places() -> None:
    plan = reference({"attributeLocators": ["x"], "objectMappingIQL": '"Name" = ${os} AND Site = ${site.id}'})
    found = from_json(
        plan,
        [
            {"n": "a", "os": " Linux ", "site": {"id": 5}},
            {"n": "b", "os": "Linux"},
            {"n": "c", "os": "", "site": {"id": ""}},
        ],
    )
    assert lookups(found) == [[("Linux", "5")], [], []]
    assert [each.document for each in found] == ['{"1":"a"}', '{"1":"b"}', '{"1":"c"}']


def test_several_values_are_several_references() -> None:
    many = reference({"objectMappingIQL": '"Name" IN (${tags})'}, maximum=-1)
    assert lookups(from_csv(many, "n,tags\nx,a||b||a\n")) == [[("a",), ("b",)]]
    (found,) = from_json(many, [{"n": "x", "tags": ["a", "b"]}])
    assert found.lookups == (Lookup(7, ("a",)), Lookup(7, ("b",)))
    pairs = reference({"objectMappingIQL": "A = ${a} AND B = ${b}"}, maximum=-1)
    assert lookups(from_json(pairs, [{"n": "x", "a": ["1", "2"], "b": ["3", "4"]}])) == [[("1", "3"), ("2", "4")]]
    gaps = [{"n": "x", "a": ["1", None, "2"], "b": ["3", "4", "5"]}]
    assert lookups(from_json(pairs, gaps)) == [[("1", "3"), ("2", "5")]]
    one = reference({"objectMappingIQL": "Name = ${tags}"})
    assert values(from_json(one, [{"n": "x", "tags": ["a", "b"]}])) == ["TOO_MANY_VALUES"]


def test_the_value_of_a_reference_may_be_made_like_any_other() -> None:
    plan = reference(
        {
            "objectMappingIQL": "Name = ${os}",
            "conditions": [{"when": {"locator": "virtual", "value": "true"}, "template": "VM ${os}"}],
            "transformations": [{"type": "case", "to": "lower"}],
            "valueMap": {"win": "Windows"},
            "default": "Unknown",
        }
    )
    text = "n,os,virtual\na,WIN,\nb,WIN,true\nc,,\n"
    assert lookups(from_csv(plan, text)) == [[("Windows",)], [("vm win",)], [("Unknown",)]]
    steps = [{"type": "case", "to": "lower"}, {"type": "split", "separator": ";"}]
    several = reference({"objectMappingIQL": "A = ${a} B = ${b}", "transformations": steps})
    assert lookups(from_csv(several, "n,a,b\nx, P ,Q\n")) == [[("p", "q")]]
    assert lookups(from_csv(several, "n,a,b\nx,P,;\n")) == [[]]
    assert values(from_csv(several, "n,a,b\nx,P;R,Q\n")) == ["TOO_MANY_VALUES"]


def test_references_of_several_attributes_are_in_the_order_of_their_ids() -> None:
    later, earlier = (
        attribute(each, f"r{each}", "referenced_object", {"objectMappingIQL": f"Name = ${{r{each}}}"})
        for each in (9, 4)
    )
    plan = plan_of(type_plan(attribute(1, "n"), later, earlier))
    found = from_csv(plan, "n,r9,r4\nx,a,b\ny,,c\nz,d,\n")
    assert [[(each.attribute_id, *each.values) for each in record.lookups] for record in found] == [
        [(4, "b"), (9, "a")],
        [(4, "c")],
        [(9, "d")],
    ]


OWNER = type_plan(attribute(21, "Owner"), attribute(22, "Mail", "email", minimum=1), type_id=20, name="Person")


def test_a_row_may_be_objects_of_several_types() -> None:
    plan = plan_of(type_plan(attribute(1, "Name")), OWNER)
    found = from_csv(plan, "Name,Owner,Mail\nweb,Ann,ann@example.com\n")
    assert [(each.type_id, each.number, each.label) for each in found] == [(10, 0, "web"), (20, 1, "Ann")]


def test_a_record_that_is_not_of_a_type_is_counted_and_else_as_good_as_any() -> None:
    plan = plan_of(type_plan(attribute(1, "Name")), OWNER)
    (host, skipped, person_skipped, person) = from_csv(plan, "Name,Owner,Mail\nweb,,\n,Ann,ann@example.com\n")
    assert host.label == "web"
    assert skipped == Skipped(20, SkipReason.IDENTIFIER_EMPTY)
    assert person_skipped == Skipped(10, SkipReason.IDENTIFIER_EMPTY)
    assert person.label == "Ann"


def test_a_record_that_is_nothing_is_rejected_for_the_types_that_it_is_not() -> None:
    plan = plan_of(type_plan(attribute(1, "Name")), OWNER)
    ((rejection, _),) = adapted(csv.FORMAT, plan).walk(BytesIO(b"Name,Owner,Mail\n,,x\n"))
    message = "An identifier is empty, so this is no object of Host, Person."
    assert rejection == Rejection("IDENTIFIER_EMPTY", "", message, types=(10, 20))


def test_a_value_that_cannot_be_used_rejects_the_record_for_all_types() -> None:
    plan = plan_of(type_plan(attribute(1, "Name")), OWNER)
    assert from_csv(plan, "Name,Owner,Mail\nweb,Ann,nobody\ndb,Bo,bo@example.com\n")[0] == ("TYPE_MISMATCH", "Mail", 2)


def test_an_empty_label_is_told_apart_from_an_empty_identifier() -> None:
    plan = plan_of(type_plan(attribute(1, "Id"), attribute(2, "Name"), label_attribute=2))
    found = from_csv(plan, "Id,Name\n1,\n,a\n2,b\n")
    assert [each if isinstance(each, tuple) else each.label for each in found] == [
        ("LABEL_EMPTY", "", 2),
        ("IDENTIFIER_EMPTY", "", 3),
        "b",
    ]


def test_a_filter_splits_a_source_by_type() -> None:
    kind = attribute(2, "Kind")
    types = [
        type_plan(
            attribute(1, "Name"),
            kind,
            attribute(3, "Size", "integer", minimum=1),
            type_id=each,
            filter=Condition(attribute_id=2, value=value, ignore_case=True),
        )
        for each, value in ((10, "Server"), (20, "PC"))
    ]
    found = from_csv(plan_of(*types), "Name,Kind,Size\na,server,1\nb,pc,2\nc,phone,none\n")
    assert [(each.type_id, isinstance(each, ObjectRecord)) for each in found] == [
        (10, True),
        (20, False),
        (10, False),
        (20, True),
        (10, False),
        (20, False),
    ]
    assert {each.reason for each in found if isinstance(each, Skipped)} == {SkipReason.FILTERED}


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (Condition(attribute_id=2, operator="greaterThan", value="9"), "bc"),
        (Condition(attribute_id=2, operator="lessOrEqual", value="9.0"), "a"),
        (Condition(attribute_id=3, operator="lessThan", value="01/01/2024"), "b"),
        (Condition(attribute_id=3, value="2024-06-01"), "a"),
        (Condition(attribute_id=3, operator="isEmpty"), "c"),
        (Condition(attribute_id=4, operator="in", values=("x", "y")), "ab"),
        (Condition(attribute_id=4, operator="notEquals", value="x"), "bc"),
        (Condition(negated=Condition(attribute_id=4, operator="isNotEmpty")), "c"),
        (Condition(all=(Condition(attribute_id=2, value="10"), Condition(attribute_id=4, operator="isEmpty"))), "c"),
        (Condition(any=(Condition(attribute_id=1, value="a"), Condition(attribute_id=2, value="010"))), "abc"),
    ],
)
def test_a_filter_looks_at_values_as_they_are_stored(condition: Condition, names: str) -> None:
    attributes = [
        attribute(1, "n"),
        attribute(2, "size", "integer"),
        attribute(3, "day", "date"),
        attribute(4, "tags", maximum=-1),
    ]
    plan = plan_of(type_plan(*attributes, filter=condition))
    text = "n,size,day,tags\na,9,06/01/2024,x||z\nb,10,31 Dec 2023,y\nc,010,,\n"
    assert "".join(each.label for each in from_csv(plan, text) if isinstance(each, ObjectRecord)) == names


COLUMN_TEXTS = st.text(st.sampled_from('ab 1,"|\\é\t'), max_size=5)
MANY_TYPES = plan_of(
    type_plan(attribute(1, "n"), attribute(2, "v", "integer"), attribute(3, "w", maximum=2), empty_values="REMOVE"),
    type_plan(
        attribute(21, "w"),
        attribute(22, "Env", "select", "v", options=("1",)),
        attribute(23, "Ref", "referenced_object", {"objectMappingIQL": "a = ${n}"}),
        type_id=20,
        filter=Condition(attribute_id=21, operator="notContains", value="b"),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(COLUMN_TEXTS, COLUMN_TEXTS, COLUMN_TEXTS), max_size=40))
def test_many_records_become_what_each_becomes_alone(rows: list[tuple[str, str, str]]) -> None:
    records = [dict(zip("nvw", row, strict=True)) for row in rows]
    together = from_json(MANY_TYPES, records) if records else []
    alone = [found for record in records for found in from_json(MANY_TYPES, [record])]
    assert together == alone


def test_the_same_record_gives_the_same_whatever_was_read_before() -> None:
    text = "n,v,w\n" + "a,1,x\n" * 3 + "b,bad,y\n" + ",,\n" + "a,1,x\n" * 3
    found = from_csv(MANY_TYPES, text)
    assert found.count(("TYPE_MISMATCH", "v", 5)) == 1
    assert len({repr(each) for each in found if isinstance(each, ObjectRecord) and each.line != 2}) == 10


@pytest.mark.parametrize(
    ("plan", "code", "place"),
    [
        (plan_of(), "TYPES_INVALID", ""),
        (plan_of(TypePlan(1, "Host", (), (1,))), "ATTRIBUTES_INVALID", "Host"),
        (plan_of(*[type_plan(*[attribute(1, "a")] * 2_000)] * 11), "ATTRIBUTES_INVALID", ""),
        (plan_of(type_plan(*(attribute(each, "a") for each in range(2_001)))), "ATTRIBUTES_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a"), attribute(1, "b"))), "ATTRIBUTES_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a"), identifiers=())), "IDENTIFIER_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a"), identifiers=(2,))), "IDENTIFIER_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a"), identifiers=(1, 1))), "IDENTIFIER_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a"), label_attribute=2)), "IDENTIFIER_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a", maximum=2))), "IDENTIFIER_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a", maximum=0))), "CARDINALITY_INVALID", "Host.a"),
        (plan_of(type_plan(attribute(1, "a", maximum=2, minimum=3))), "CARDINALITY_INVALID", "Host.a"),
        (plan_of(one_value("referenced_object")), "REFERENCE_QUERY_INVALID", "Host.Value.objectMappingIQL"),
        (
            reference({"objectMappingIQL": "a = ${a} b = ${b}", "default": "x"}),
            "REFERENCE_QUERY_INVALID",
            "Host.Ref.objectMappingIQL",
        ),
        (plan_of(one_value("integer", {"default": "x"})), "DEFAULT_INVALID", "Host.Value.default"),
        (plan_of(one_value("select", {"default": "x"})), "DEFAULT_INVALID", "Host.Value.default"),
        (plan_of(type_plan(attribute(1, "a"), filter=Condition(locator="a"))), "FILTER_INVALID", "Host"),
        (plan_of(type_plan(attribute(1, "a"), filter=Condition(attribute_id=2))), "FILTER_INVALID", "Host"),
        (
            plan_of(type_plan(attribute(1, "a", "date"), filter=Condition(attribute_id=1, value="x"))),
            "FILTER_INVALID",
            "Host",
        ),
        (plan_of(HOST, date_format="x"), "DATE_FORMAT_INVALID", "dateFormat"),
        (plan_of(HOST, date_time_format="x"), "DATE_FORMAT_INVALID", "dateTimeFormat"),
        (plan_of(HOST, time_zone="Mars/Base"), "TIME_ZONE_UNKNOWN", "timeZone"),
        (plan_of(HOST, delimiter=""), "DELIMITER_INVALID", "delimiter"),
        (plan_of(HOST, delimiter=";;"), "DELIMITER_INVALID", "delimiter"),
        (plan_of(HOST, delimiter='"'), "DELIMITER_INVALID", "delimiter"),
        (plan_of(HOST, delimiter="\n"), "DELIMITER_INVALID", "delimiter"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_and_never_read(plan: ObjectPlan, code: str, place: str) -> None:
    with pytest.raises(InvalidMapping) as caught:
        table_reader(plan)
    assert (caught.value.code, caught.value.place) == (code, place)
    with pytest.raises(DamagedFile) as damaged:
        from_csv(plan, "a\n1\n")
    assert damaged.value.code == "MAPPING_INVALID"


def test_types_are_read_by_their_selector_in_json_alone() -> None:
    plan = plan_of(type_plan(attribute(1, "a"), selector="x"), type_plan(attribute(2, "b"), type_id=20, selector=" y "))
    assert list(array_readers(plan)) == ["x", "y"]
    assert table_reader(plan).locators == ("a", "b")
