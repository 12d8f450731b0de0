from __future__ import annotations

import pytest

from dialects.assets.aql_tree import Operator
from dialects.assets.problems import Problem
from services.importer.assets.mapping_filters import OPERATORS, read_filter
from services.importer.targets.objects.rules import Condition

KNOWN = {"name": 1, "cores": 2, "serial number": 3}


def read(query: str) -> Condition | Problem | None:
    return read_filter(query, KNOWN, "filter")


def test_every_operator_has_its_comparison() -> None:
    assert OPERATORS.keys() == set(Operator)


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ('Name = "Alpha"', Condition(attribute_id=1, operator="equals", value="Alpha", ignore_case=True)),
        ("name == Alpha", Condition(attribute_id=1, operator="equals", value="Alpha")),
        ("Cores > 2", Condition(attribute_id=2, operator="greaterThan", value="2")),
        (
            '"Serial Number" IN (a, b)',
            Condition(attribute_id=3, operator="in", values=("a", "b"), ignore_case=True),
        ),
        (
            "Name != a",
            Condition(negated=Condition(attribute_id=1, operator="equals", value="a", ignore_case=True)),
        ),
        ("Name IS EMPTY", Condition(attribute_id=1, operator="isEmpty")),
        (
            "Cores = 1 AND (Cores = 2 OR NOT Cores = 3)",
            Condition(
                all=(
                    Condition(attribute_id=2, value="1", ignore_case=True),
                    Condition(
                        any=(
                            Condition(attribute_id=2, value="2", ignore_case=True),
                            Condition(negated=Condition(attribute_id=2, value="3", ignore_case=True)),
                        )
                    ),
                )
            ),
        ),
    ],
)
def test_a_query_becomes_a_condition(query: str, condition: Condition) -> None:
    assert read(query) == condition


def test_an_empty_query_filters_nothing() -> None:
    assert read("  ") is None


@pytest.mark.parametrize(
    "query",
    [
        "Colour = red",
        "Owner.Name = x",
        "Created > now(-1d)",
        "Name = currentUser()",
        "object HAVING inboundReferences(Name = x)",
        "Name = x ORDER BY Name",
        "Name = ${x}",
        "Name =",
    ],
)
def test_what_a_record_cannot_be_asked_is_a_problem(query: str) -> None:
    found = read(query)
    assert isinstance(found, Problem)
    assert (found.code, found.path) == ("FILTER_INVALID", "filter")
