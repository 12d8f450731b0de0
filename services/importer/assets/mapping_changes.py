"""What a source keeps of its schema and mapping: the document that is shown, and the plan that runs go by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from dialects.assets.mapping_documents import Document, TypeMapping, mapping_members
from dialects.assets.problems import Problem, invalid_mapping
from dialects.assets.source_settings import read_settings
from services.importer.assets.mapping_bounds import refuse_large_mapping, refuse_large_schema
from services.importer.assets.mapping_plans import Defaults, ReadRule, find_type, plan_mapping
from services.importer.assets.object_types import REFERENCE, SELECT, STATUS, ObjectAttribute, ObjectType, SchemaState
from services.importer.assets.schema_changes import plan_changes
from services.importer.assets.shared_types import refuse_moved_labels, refuse_other_identifiers
from services.importer.assets.sources import ImportSource, SourceSession
from services.importer.targets.objects.plan import ObjectPlan


async def change_mapping(session: SourceSession, document: Document, read_rule: ReadRule) -> ObjectPlan:
    """Makes the object types, attributes, icons and statuses of the document, and its mapping that of the source.

    Raises InvalidArgument INVALID_MAPPING, and nothing is changed.
    """
    before = await session.state(external_ids_of(document))
    # Large documents take seconds, in which others are to be answered; so in threads, here and below.
    changes = await asyncio.to_thread(plan_changes, before, document)
    refuse_large_schema(before, changes)
    await session.apply(changes)
    stored = session.source.document
    named = changes.named_types | types_of(stored)
    state = await session.state(named | external_ids_of(document))
    await refuse_moved_labels(session, before, state)
    mappings = merged_mappings(state, mappings_of(stored), document.mappings, changes.named_types, named)
    refuse_large_mapping(mappings)
    plan = await asyncio.to_thread(plan_mapping, state, mappings, defaults_of(session.source), read_rule, named)
    await refuse_other_identifiers(session, plan)
    await session.update(
        {"document": written(state, named, mappings, plan), "plan": msgspec.to_builtins(plan, str_keys=True)}
    )
    return plan


async def replan(session: SourceSession, read_rule: ReadRule) -> ObjectPlan:
    """After a change of what the mapping takes over from its source.

    Raises InvalidArgument INVALID_MAPPING, also where the mapping means another label than when it was made.
    """
    stored = session.source.document
    named = types_of(stored)
    state = await session.state(named)
    defaults = defaults_of(session.source)
    plan = await asyncio.to_thread(plan_mapping, state, mappings_of(stored), defaults, read_rule, named)
    if session.source.is_enabled:
        # A disabled one is looked at when it is enabled, and has no other way until then.
        await refuse_other_identifiers(session, plan)
    await session.update({"plan": msgspec.to_builtins(plan, str_keys=True)})
    return plan


def external_ids_of(document: Document) -> frozenset[str]:
    """All that it names, or refers to."""
    found: set[str] = set()
    for _, each, _ in document.every_type():
        found.add(each.external_id)
        for attribute in each.attributes:
            found |= {attribute.external_id, attribute.reference_object_type_external_id}
    return frozenset(found - {""})


def merged_mappings(
    state: SchemaState,
    stored: Iterable[TypeMapping],
    said: tuple[TypeMapping, ...],
    preferred: frozenset[str],
    named: frozenset[str],
) -> tuple[TypeMapping, ...]:
    """The mappings of an object type replace all those that it had; those of others stay."""
    replaced: set[int] = set()
    problems: list[Problem] = []
    for number, each in enumerate(said):
        found = find_type(state, each, preferred or named, f"mapping.objectTypeMappings[{number}]")
        if isinstance(found, Problem):
            problems.append(found)
        else:
            replaced.add(found.type_id)
    if problems:
        raise invalid_mapping(problems)
    kept = []
    for each in stored:
        found = find_type(state, each, named, "")
        if isinstance(found, ObjectType) and found.type_id not in replaced:
            kept.append(each)
    return (*kept, *said)


def defaults_of(source: ImportSource) -> Defaults:
    return Defaults(
        source.type,
        read_settings(source.type, source.settings),
        source.concatenator,
        source.empty_values,
        source.unknown_values,
        source.date_format,
        source.date_time_format,
    )


def mappings_of(stored: Mapping[str, Any] | None) -> tuple[TypeMapping, ...]:
    members = stored["mapping"]["objectTypeMappings"] if stored else []
    return msgspec.convert(members, tuple[TypeMapping, ...])


def types_of(stored: Mapping[str, Any] | None) -> frozenset[str]:
    """External ids of the object types of a stored document."""
    return frozenset(_ids_below(stored["schema"]["objectSchema"]["objectTypes"])) if stored else frozenset()


def _ids_below(types: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for each in types:
        yield each["externalId"]
        yield from _ids_below(each.get("children", ()))


def written(
    state: SchemaState, named: frozenset[str], mappings: tuple[TypeMapping, ...], plan: ObjectPlan
) -> dict[str, Any]:
    """The document as it holds now: with external ids, the object types as they are, and the mapping as it was said."""
    schema: dict[str, Any] = {
        "objectSchema": {
            "name": state.schema.name,
            "description": state.schema.description,
            "objectTypes": _types_below(state, named, None),
        }
    }
    if state.schema.statuses:
        schema["statusSchema"] = {"statuses": [dict(each) for each in state.schema.statuses]}
    mapped = [
        _written_mapping(state, mapping, of_type.type_id) for mapping, of_type in zip(mappings, plan.types, strict=True)
    ]
    return {"schema": schema, "mapping": {"objectTypeMappings": mapped}}


def _types_below(state: SchemaState, named: frozenset[str], parent_id: int | None) -> list[dict[str, Any]]:
    """A type stands at the top where the one that it is under is none of the document's."""
    shown = [each for each in state.types if each.external_id in named]
    shown_ids = {each.type_id for each in shown}
    return [
        _written_type(state, named, each)
        for each in sorted(shown, key=lambda one: (one.position, one.type_id))
        if (each.parent_id if each.parent_id in shown_ids else None) == parent_id
    ]


def _written_type(state: SchemaState, named: frozenset[str], type_: ObjectType) -> dict[str, Any]:
    members: dict[str, Any] = {
        "externalId": type_.external_id,
        "name": type_.name,
        "description": type_.description,
        "inheritance": type_.is_inherited,
        "attributes": [_written_attribute(state, each) for each in state.own_attributes.get(type_.type_id, ())],
    }
    if type_.icon:
        members["iconKey"] = type_.icon
    if children := _types_below(state, named, type_.type_id):
        members["children"] = children
    return members


def _written_attribute(state: SchemaState, attribute: ObjectAttribute) -> dict[str, Any]:
    members: dict[str, Any] = {
        "externalId": attribute.external_id,
        "name": attribute.name,
        "description": attribute.description,
        "type": attribute.type,
        "label": attribute.is_label,
        "minimumCardinality": attribute.minimum,
        "maximumCardinality": attribute.maximum,
        "unique": attribute.is_unique,
    }
    if attribute.type in {STATUS, SELECT} and attribute.options:
        members["typeValues"] = list(attribute.options)
    if attribute.type == REFERENCE:
        target = state.by_id.get(attribute.reference_type_id or 0)
        foreign = next(
            (one for one, number in state.foreign_types.items() if number == attribute.reference_type_id), ""
        )
        members["referenceObjectTypeExternalId"] = (target.external_id if target else "") or foreign
        if target:
            members["referenceObjectTypeName"] = target.name
    return members


def _written_mapping(state: SchemaState, mapping: TypeMapping, type_id: int) -> dict[str, Any]:
    type_ = state.by_id[type_id]
    known = {each.external_id: each for each in state.attributes_of(type_id)}
    by_name = {each.name: each for each in known.values()}
    members = mapping_members(mapping)
    members["objectTypeExternalId"], members["objectTypeName"] = type_.external_id, type_.name
    members["attributesMapping"] = [
        {**each, "attributeExternalId": found.external_id, "attributeName": found.name}
        for each in mapping.attributes_mapping
        if (found := known.get(each.get("attributeExternalId")) or by_name.get(each["attributeName"]))
    ]
    return members
