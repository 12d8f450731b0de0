"""The plan of a mapping: what a document says by names and external ids, by the ids of types and attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from dialects.assets.mapping_documents import MissingDocument, TypeMapping, rule_of
from dialects.assets.problems import Problem, invalid_mapping
from dialects.assets.source_settings import CsvSettings, JsonSettings, Settings
from services.importer.assets.mapping_filters import read_filter
from services.importer.assets.object_types import REFERENCE, ObjectAttribute, ObjectType, SchemaState
from services.importer.assets.reference_queries import plan_reference
from services.importer.targets.objects.identities import identity_of
from services.importer.targets.objects.plan import (
    AttributePlan,
    AttributeType,
    EmptyValues,
    MissingObjects,
    ObjectPlan,
    TypePlan,
    UnknownValues,
)
from services.importer.targets.objects.rules import AttributeRule

ReadRule = Callable[[Mapping[str, Any]], AttributeRule | Problem]
"""The rule in the mapping of an attribute, or what is wrong with it, by its path within the mapping."""
# Where rows are all there is, a selector selects nothing.
FLAT_SOURCES = frozenset({"csv", "database", "ldap"})


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a source says for all of its mapping."""

    type: str
    settings: Settings
    concatenator: str = ","
    empty_values: str = "IGNORE"
    unknown_values: str = "IGNORE"
    date_format: str = ""
    date_time_format: str = ""


@dataclass
class _Planner:
    state: SchemaState
    defaults: Defaults
    read_rule: ReadRule
    preferred: frozenset[str]
    problems: list[Problem] = field(default_factory=list)

    def problem(self, code: str, path: str, message: str) -> None:
        self.problems.append(Problem(code, path, message))


def plan_mapping(
    state: SchemaState,
    mappings: tuple[TypeMapping, ...],
    defaults: Defaults,
    read_rule: ReadRule,
    preferred: frozenset[str] = frozenset(),
) -> ObjectPlan:
    """Raises InvalidArgument INVALID_MAPPING.

    Of several types of one name that of the document is meant (`preferred` are the external ids of its types).
    """
    planner = _Planner(state, defaults, read_rule, preferred)
    types = [_plan_type(planner, f"mapping.objectTypeMappings[{number}]", each) for number, each in enumerate(mappings)]
    _check_identities(planner, types)
    if planner.problems:
        raise invalid_mapping(planner.problems)
    plan = ObjectPlan(
        types=tuple(each for each in types if each is not None),
        concatenator=defaults.concatenator,
        date_format=defaults.date_format,
        date_time_format=defaults.date_time_format,
        time_zone=defaults.settings.time_zone,
    )
    if isinstance(defaults.settings, CsvSettings):
        csv = defaults.settings
        return msgspec.structs.replace(
            plan,
            encoding=csv.encoding,
            delimiter=csv.delimiter,
            quote=csv.quote,
            multi_value_separator=csv.multi_value_separator,
        )
    return plan


def _check_identities(planner: _Planner, types: list[TypePlan | None]) -> None:
    """A key has one meaning, also where a type is mapped from several arrays."""
    first: dict[int, TypePlan] = {}
    for number, each in enumerate(types):
        if each is not None and identity_of(first.setdefault(each.type_id, each)) != identity_of(each):
            message = f"Another mapping of {each.name} tells its objects apart by other attributes."
            planner.problem("IDENTIFIERS_DIFFER", f"mapping.objectTypeMappings[{number}]", message)


def find_type(state: SchemaState, mapping: TypeMapping, preferred: frozenset[str], path: str) -> ObjectType | Problem:
    """The object type that a mapping is for: by its external id, or else by its name."""
    external_id, name = mapping.object_type_external_id, mapping.object_type_name
    if external_id:
        found = state.by_external_id.get(external_id)
        return found or Problem(
            "UNKNOWN_EXTERNAL_ID_MAPPING", f"{path}.objectTypeExternalId", f"No object type has {external_id[:100]!r}."
        )
    named = [each for each in state.types if each.name == name]
    own = [each for each in named if each.external_id in preferred]
    if len(own or named) == 1:
        return (own or named)[0]
    reason = "There are several object types" if named else "There is no object type"
    return Problem("UNKNOWN_OBJECT_TYPE_MAPPING", f"{path}.objectTypeName", f"{reason} {name[:100]!r}.")


def _plan_type(planner: _Planner, path: str, mapping: TypeMapping) -> TypePlan | None:
    found = find_type(planner.state, mapping, planner.preferred, path)
    if isinstance(found, Problem):
        planner.problems.append(found)
        return None
    known = list(planner.state.attributes_of(found.type_id))
    attributes: dict[int, AttributePlan] = {}
    identifiers: list[int] = []
    for number, each in enumerate(mapping.attributes_mapping):
        here = f"{path}.attributesMapping[{number}]"
        attribute = _find_attribute(planner, here, each, known, found)
        if attribute is None:
            continue
        if attribute.attribute_id in attributes:
            planner.problem("NAME_DUPLICATE", here, f"{attribute.name} is mapped twice.")
            continue
        attributes[attribute.attribute_id] = _plan_attribute(planner, here, each, attribute)
        if each.get("externalIdPart"):
            if attribute.type == REFERENCE or attribute.maximum != 1:
                message = f"{attribute.name} is a reference, or may have several values."
                planner.problem("IDENTIFIER_INVALID", here, message)
            identifiers.append(attribute.attribute_id)
    label = next((each.attribute_id for each in known if each.is_label and each.attribute_id in attributes), None)
    if not identifiers and label is None:
        planner.problem(
            "NO_IDENTIFIER", path, f"Neither the label of {found.name} nor an attribute with externalIdPart is mapped."
        )
    names = {each.name.casefold(): each.attribute_id for each in attributes.values() if each.type != REFERENCE}
    filter_ = read_filter(mapping.selector_ql_query, names, f"{path}.selectorQlQuery")
    if isinstance(filter_, Problem):
        planner.problems.append(filter_)
        filter_ = None
    fixed = {*identifiers, label}
    free = [each for each in known if each.type != REFERENCE and not each.is_unique and each.attribute_id not in fixed]
    missing, values = _plan_missing(planner, path, mapping.missing_objects, free)
    return TypePlan(
        found.type_id,
        found.name,
        tuple(attributes[number] for number in sorted(attributes)),
        tuple(sorted(identifiers)) or ((label,) if label is not None else ()),
        selector=_selector(planner.defaults, mapping.selector),
        label_attribute=label,
        ignores_case=mapping.match_identifier_ignore_case,
        filter=filter_,
        empty_values=cast(EmptyValues, mapping.empty_values or planner.defaults.empty_values),
        unknown_values=cast(UnknownValues, mapping.unknown_values or planner.defaults.unknown_values),
        missing=missing,
        missing_runs=mapping.missing_objects.after_runs if mapping.missing_objects else 1,
        missing_values=values,
    )


def _selector(defaults: Defaults, selector: str) -> str:
    if defaults.type in FLAT_SOURCES:
        return ""
    start = defaults.settings.selector if isinstance(defaults.settings, JsonSettings) else ""
    return ".".join(filter(None, (start, selector)))


def _find_attribute(
    planner: _Planner, path: str, mapping: Mapping[str, Any], known: list[ObjectAttribute], type_: ObjectType
) -> ObjectAttribute | None:
    external_id, name = mapping.get("attributeExternalId", ""), mapping["attributeName"]
    if external_id:
        found = next((each for each in known if each.external_id == external_id), None)
        if found is None:
            planner.problem(
                "UNKNOWN_EXTERNAL_ID_MAPPING",
                f"{path}.attributeExternalId",
                f"{type_.name} has no attribute {external_id[:100]!r}.",
            )
        return found
    found = next((each for each in known if each.name == name), None)
    if found is None:
        planner.problem(
            "UNKNOWN_ATTRIBUTE_MAPPING", f"{path}.attributeName", f"{type_.name} has no attribute {name[:100]!r}."
        )
    return found


def _plan_attribute(
    planner: _Planner, path: str, mapping: Mapping[str, Any], attribute: ObjectAttribute
) -> AttributePlan:
    rule = planner.read_rule(rule_of(mapping))
    if isinstance(rule, Problem):
        planner.problem(rule.code, f"{path}.{rule.path}".rstrip("."), rule.message)
        rule = AttributeRule()
    reference = plan_reference(planner.state, rule, attribute, path) if attribute.type == REFERENCE else None
    if isinstance(reference, Problem):
        planner.problems.append(reference)
        reference = None
    return AttributePlan(
        attribute.attribute_id,
        attribute.name,
        cast(AttributeType, attribute.type),
        rule,
        minimum=attribute.minimum,
        maximum=attribute.maximum,
        is_unique=attribute.is_unique,
        options=attribute.options,
        reference=reference,
    )


def _plan_missing(
    planner: _Planner, path: str, missing: MissingDocument | None, free: list[ObjectAttribute]
) -> tuple[MissingObjects, tuple[tuple[int, str], ...]]:
    """`free` are attributes that many objects can have the same value of."""
    if missing is None:
        return "IGNORE", ()
    if missing.action != "UPDATE":
        return cast(MissingObjects, missing.action), ()
    here = f"{path}.missingObjects"
    attribute = next((each for each in free if each.name == missing.attribute_name), None)
    if attribute is None:
        message = "UPDATE needs the name of an attribute that is no reference, no identifier, no label and not unique."
        planner.problem("UNKNOWN_ATTRIBUTE_MAPPING", here, message)
        return "UPDATE", ()
    value = _missing_value(attribute, missing.value)
    if value is None:
        planner.problem("INVALID_VALUE", here, f"{missing.value[:100]!r} is no value of {attribute.name}.")
        return "UPDATE", ()
    text = msgspec.json.encode(value if attribute.maximum == 1 else [value]).decode()
    return "UPDATE", ((attribute.attribute_id, text),)


def _missing_value(attribute: ObjectAttribute, text: str) -> str | bool | int | float | None:
    """As the document of an object has it; None for what it cannot have."""
    match attribute.type:
        case "text" | "textarea":
            return text or None
        case "select" | "status":
            return text if text in attribute.options or (text and not attribute.options) else None
        case "boolean":
            return {"true": True, "false": False}.get(text.strip().lower())
        case "integer" | "double":
            try:
                number: int | float = msgspec.convert(
                    text.strip(), int if attribute.type == "integer" else float, strict=False
                )
            except msgspec.ValidationError:
                return None
            return number if math.isfinite(number) else None
        case _:
            return None
