"""How the objects are found that an attribute refers to: the query of its mapping, checked before any run of it."""

from __future__ import annotations

from collections.abc import Iterator

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import (
    And,
    AqlError,
    Comparison,
    Condition,
    Having,
    Not,
    Operator,
    Or,
    Placeholder,
    write_condition,
)
from dialects.assets.problems import Problem
from services.importer.assets.object_types import ObjectAttribute, SchemaState
from services.importer.targets.objects import catalog
from services.importer.targets.objects.matches import refuse_unanswerable
from services.importer.targets.objects.plan import Reference
from services.importer.targets.objects.queries import compile_query
from services.importer.targets.objects.rules import AttributeRule


def plan_reference(
    state: SchemaState, rule: AttributeRule, attribute: ObjectAttribute, path: str
) -> Reference | Problem:
    """Where the mapping has no query, objects are found by their labels."""
    target = attribute.reference_type_id
    if target is None:
        return Problem("REFERENCE_TARGET_MISSING", path, f"{attribute.name} refers to no object type.")
    query = rule.query or _usual_query(state, rule, target)
    if not query:
        message = f"{attribute.name} needs objectMappingIQL, which says what it refers to."
        return Problem("REFERENCE_QUERY_MISSING", path, message)
    try:
        condition = parse_aql(query, placeholders=True).condition
        refuse_unanswerable(condition)
        placeholders = tuple(dict.fromkeys(_placeholders(condition)))
        reference = Reference(query, placeholders, target)
        if target in state.by_id:
            compile_query(reference, _catalog(state))
    except AqlError as error:
        return Problem(_code_of(error), f"{path}.objectMappingIQL", error.message)
    if not placeholders:
        message = "It names no value of a record, such as ${locator}."
        return Problem("REFERENCE_QUERY_INVALID", f"{path}.objectMappingIQL", message)
    return reference


def _code_of(error: AqlError) -> str:
    return error.reason if error.reason.startswith("REFERENCE_") else "REFERENCE_QUERY_INVALID"


def _usual_query(state: SchemaState, rule: AttributeRule, type_id: int) -> str:
    """By the label of what is referred to; "" where there is more than one locator to take its value from."""
    if len(rule.locators) != 1:
        return ""
    label = next((each.name for each in state.attributes_of(type_id) if each.is_label), "label")
    return write_condition(Comparison((label,), Operator.EQUAL, (Placeholder(rule.locators[0]),)))


def _placeholders(condition: Condition | None) -> Iterator[str]:
    match condition:
        case And(parts) | Or(parts):
            for each in parts:
                yield from _placeholders(each)
        case Not(part):
            yield from _placeholders(part)
        case Having(_, inner):
            yield from _placeholders(inner)
        case Comparison():
            yield from (each.locator for each in condition.values if isinstance(each, Placeholder))


def _catalog(state: SchemaState) -> catalog.Catalog:
    """The object schema as a merge sees it."""
    schema = state.schema
    types = {
        each.type_id: catalog.ObjectType(
            each.type_id,
            each.parent_id,
            each.name,
            each.is_inherited,
            (),
            ignores_case=False,
            schema_id=schema.object_schema_id,
            schema_name=schema.name,
            schema_key=schema.key,
        )
        for each in state.types
    }
    attributes = {
        each.attribute_id: catalog.Attribute(
            each.attribute_id, each.type_id, each.name, each.type, each.is_unique, each.maximum != 1
        )
        for each in state.attributes
    }
    return catalog.Catalog(types, attributes)
