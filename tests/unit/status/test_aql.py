"""Queries in AQL as statements: what is refused, and what stands in the text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import AqlError
from schema.assets import objects
from services.status.store.aql_catalogue import Attribute, Catalogue, ObjectSchema, ObjectType, names_in
from services.status.store.aql_conditions import Conditions, Rows
from services.status.store.aql_order import sorted_by

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CATALOGUE = Catalogue(
    (ObjectSchema(1, "IT Assets", "ITSM"), ObjectSchema(2, "People", "HR")),
    (
        ObjectType(1, 1, None, "Machine", is_inherited=False),
        ObjectType(2, 1, 1, "Host", is_inherited=True),
        ObjectType(3, 1, 2, "Cluster", is_inherited=False),
        ObjectType(4, 1, None, "Site", is_inherited=False),
        ObjectType(5, 2, None, "Person", is_inherited=False),
    ),
    {
        "Name": [Attribute(10, 2, "text", is_label=True, is_single=True)],
        "Serial": [Attribute(11, 1, "text", is_label=False, is_single=True)],
        "Cores": [Attribute(12, 2, "integer", is_label=False, is_single=True)],
        "Active": [Attribute(13, 2, "boolean", is_label=False, is_single=True)],
        "Bought": [Attribute(14, 2, "date", is_label=False, is_single=True)],
        "Seen": [Attribute(15, 2, "date_time", is_label=False, is_single=True)],
        "Backup": [Attribute(16, 2, "time", is_label=False, is_single=True)],
        "Tags": [Attribute(17, 2, "select", is_label=False, is_single=False)],
        "Location": [Attribute(18, 2, "referenced_object", is_label=False, is_single=True)],
        "Size": [
            Attribute(19, 2, "integer", is_label=False, is_single=True),
            Attribute(20, 5, "text", is_label=False, is_single=True),
        ],
    },
)


def statement(text: str) -> str:
    """The text that the database gets, without the values."""
    query, rows = parse_aql(text), Rows(objects)
    conditions = Conditions(1, CATALOGUE, NOW)
    asked = select(objects.c.object_id)
    if query.condition:
        asked = asked.where(conditions.holds(query.condition, rows))
    keys = sorted_by(conditions, query.order, rows)
    asked = asked.select_from(rows.joined()).order_by(*keys)
    return str(asked.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]  # Not typed.


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("Name = x AND Colour = red", 13, "No matching attribute for AQL clause (Colour = red)"),
        ("Location.Colour = red", 0, "No matching attribute for AQL clause (Location.Colour = red)"),
        ('"Serial number" IS EMPTY', 0, 'No matching attribute for AQL clause ("Serial number" IS EMPTY)'),
        ("objectType = Car", 0, "No matching object type for AQL clause (objectType = Car)"),
        ("objectType == host", 0, "No matching object type for AQL clause (objectType == host)"),
        ("objectType IN (Host, Car)", 0, "No matching object type for AQL clause (objectType IN (Host, Car))"),
        ("objectType != Car", 0, "No matching object type for AQL clause"),
        ("objectType in objectTypeAndChildren(Car)", 0, "No matching object type for AQL clause"),
        ("objectTypeId = 99", 0, "No matching object type for AQL clause (objectTypeId = 99)"),
        ("objectTypeId = Host", 0, "No matching object type for AQL clause (objectTypeId = Host)"),
        ("objectSchema = Cars", 0, "No matching object schema for AQL clause (objectSchema = Cars)"),
        ("objectSchemaId = ITSM", 0, "No matching object schema for AQL clause (objectSchemaId = ITSM)"),
        ("ORDER BY Colour", 9, "No matching attribute for AQL clause (ORDER BY Colour)"),
        ("ORDER BY Location.Colour", 9, "No matching attribute for AQL clause (ORDER BY Location.Colour)"),
    ],
)
def test_a_name_that_nothing_has_is_refused(text: str, column: int, message: str) -> None:
    with pytest.raises(AqlError) as refusal:
        statement(text)
    assert (refusal.value.reason, refusal.value.column) == ("AQL_NAME_UNKNOWN", column)
    assert refusal.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Cores = many", "This cannot be compared in AQL clause (Cores = many): expected a number"),
        ("Cores = 1e999", "expected a number"),
        ("Cores = 0x10", "expected a number"),
        ("Cores = ٣", "expected a number"),
        ("Cores IN (few, many)", "expected a number"),
        ("Cores = now()", "expected a number"),
        ("Active > true", "expected a truth value"),
        ("Active = yes", "expected a truth value"),
        ("Bought = soon", "expected a date"),
        ("Seen < 2026-02-30", "expected a point in time"),
        ("Backup = noon", "expected a time of day"),
        ("Tags = now()", "expected a text"),
        ("Location = now()", "expected a reference"),
        ("Size > now()", "expected a number or a text"),
        ("Created > soon", "expected a time such as 2026-01-31 12:00"),
        ("Created IN (2026-01-01, soon)", "expected a time such as"),
        ("Updated LIKE 2026", "expected a time such as"),
        ("objectId = web", "expected a whole number"),
        ("objectId IN (1, 1.5)", "expected a whole number"),
        ("objectId LIKE 1", "expected a whole number"),
        ("objectType > Host", "expected =, != or a list"),
        ("objectTypeId LIKE 1", "expected =, != or a list"),
        ("objectType = now()", "expected an object type"),
        ("objectType LIKE objectTypeAndChildren(Host)", "expected an object type"),
        ("objectType IN objectTypeAndChildren()", "expected an object type"),
        ("objectSchema = now()", "expected an object schema"),
        ("Name = now()", "expected a text"),
        ("Name IN objectTypeAndChildren(Host)", "expected a text"),
        ("Cores.Name = x", "Cores is not a reference in AQL clause (Cores.Name = x)"),
        ("ORDER BY Cores.Name", "Cores is not a reference in AQL clause (ORDER BY Cores.Name)"),
        ("ORDER BY objectSchema", "Objects cannot be ordered by objectSchema"),
        (" OR ".join(["Location = x"] * 21), "The query follows more than 20 references"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(text: str, message: str) -> None:
    with pytest.raises(AqlError) as refusal:
        statement(text)
    assert refusal.value.reason == "INVALID_AQL"
    assert message in refusal.value.message


@pytest.mark.parametrize("call", ["currentUser()", "currentReporter()", "user(ada)", 'group("jira-users")'])
def test_functions_of_people_are_not_served(call: str) -> None:
    with pytest.raises(AqlError, match="is not supported in AQL clause") as refusal:
        statement(f"Serial IN (x, {call})")
    assert refusal.value.reason == "AQL_UNSUPPORTED"


def test_a_placeholder_without_a_value_is_refused() -> None:
    query = parse_aql("Name = ${os}", placeholders=True)
    assert query.condition is not None
    with pytest.raises(AqlError, match="Placeholder not supported in current context"):
        Conditions(1, CATALOGUE, NOW).holds(query.condition, Rows(objects))


@pytest.mark.parametrize(
    "clause",
    [
        "Name {}", "label {}", "Key {}", "object {}", "Serial {}", "Tags {}", "Location {}", "Location.Serial {}",
        "Size {}", "NOT Serial {}", "object HAVING inR(Serial {})",
    ],
)  # fmt: skip
@pytest.mark.parametrize("operator", ["=", "==", "!=", "<", "LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH"])
def test_the_text_of_a_statement_does_not_depend_on_values(clause: str, operator: str) -> None:
    assert statement(clause.format(f'{operator} "\'; DROP TABLE objects; --%"')) == statement(
        clause.format(f"{operator} x")
    )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Cores = 1", "Cores = 77"),
        ("Cores IN (1, 2)", "Cores IN (5, 6, 7)"),
        ("Serial IN (1, 2)", "Serial IN (5, 6, 7)"),
        ("Bought = 2026-01-01", "Bought = now()"),
        ("Created > 2026-01-01", "Created > now()"),
        ("objectType = Host", "objectType IN (Site, Person)"),
        ("objectId IN (1)", "objectId IN (1, 2, 3)"),
        ("Key = ITSM-1", "Key IN (ITSM-1, ITSM-2)"),
    ],
)
def test_nor_on_how_many_there_are(left: str, right: str) -> None:
    assert statement(left) == statement(right)


def test_types_below_are_all_and_attributes_come_down_where_they_are_inherited() -> None:
    assert CATALOGUE.below([1]) == {1, 2, 3}
    assert CATALOGUE.having(CATALOGUE.attributes["Serial"]) == [1, 2]
    assert CATALOGUE.owners([2, 5]) == {1, 2, 5}
    assert CATALOGUE.types_of([2]) == [5]
    circle = Catalogue(types=tuple(ObjectType(number, 1, 3 - number, "x", is_inherited=True) for number in (1, 2)))
    assert circle.below([1]) == circle.owners([1]) == {1, 2}


def test_the_names_of_a_query_are_those_of_all_paths() -> None:
    query = parse_aql("a = 1 AND NOT (b.c IS EMPTY OR object HAVING inR(d LIKE x)) ORDER BY e.f")
    assert names_in(query) == set("abcdef")


def test_of_a_type_only_its_own_attributes_are_looked_up() -> None:
    """The ids of attributes are parameters; each is one more."""
    both, one = statement("Size = 5"), statement("objectType = Person AND Size = 5")
    assert both.count("->") == 2
    assert one.count("->") == 1
    assert "jsonb_path_exists" in both
    assert "jsonb_path_exists" not in one
    with pytest.raises(AqlError, match="expected a number"):
        statement("Size = xl AND objectType = Host")
    assert statement("objectType = Host AND NOT (objectType = Site OR Size > 5)").count("->") == 1
    assert "jsonb_path_exists" in statement("objectType = Site AND Cores = 5")


def test_a_name_of_too_many_attributes_is_refused_unless_the_type_is_named() -> None:
    types = tuple(ObjectType(number, 1, None, f"Type {number}", is_inherited=False) for number in range(1, 101))
    many = [Attribute(number, number, "text", is_label=False, is_single=True) for number in range(1, 101)]
    catalogue = Catalogue((ObjectSchema(1, "IT Assets", "ITSM"),), types, {"Serial": many})

    def write(text: str) -> None:
        condition = parse_aql(text).condition
        assert condition is not None
        Conditions(1, catalogue, NOW).holds(condition, Rows(objects))

    write(" OR ".join(["Serial = x"] * 50))
    with pytest.raises(AqlError, match="Serial is an attribute of too many object types"):
        write(" OR ".join(["Serial = x"] * 51))
    write(f'objectType = "Type 7" AND ({" OR ".join(["Serial = x"] * 499)})')
