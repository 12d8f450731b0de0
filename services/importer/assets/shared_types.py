"""Object types that several sources map: all of them must tell its objects apart by the same attributes."""

from __future__ import annotations

from dialects.assets.problems import Problem, invalid_mapping
from runtime.errors import FailedPrecondition
from services.importer.assets.object_types import SchemaState
from services.importer.assets.sources import SourceSession
from services.importer.targets.objects.identities import ForeignLabel, identities, own_words, told
from services.importer.targets.objects.plan import ObjectPlan


async def refuse_other_identifiers(session: SourceSession, plan: ObjectPlan) -> None:
    """Of a mapping that is to be saved. Raises InvalidArgument INVALID_MAPPING (IDENTIFIERS_DIFFER)."""
    if problems := await _problems(session, plan):
        raise invalid_mapping(problems)


async def refuse_enabling(session: SourceSession, plan: ObjectPlan) -> None:
    """Of a source that was disabled while others were mapped. Raises FailedPrecondition IDENTIFIERS_DIFFER."""
    if problems := await _problems(session, plan):
        raise FailedPrecondition("IDENTIFIERS_DIFFER", problems[0].message, field="is_enabled")


async def refuse_moved_labels(session: SourceSession, before: SchemaState, after: SchemaState) -> None:
    """Labels that other sources tell objects apart by stay where they are, or their mappings would mean another one.

    Raises InvalidArgument INVALID_MAPPING (IDENTIFIERS_DIFFER).
    """
    if _labels(before) == _labels(after):
        return
    problems = {}
    for each in await session.foreign_labels():
        label = _label_of(after, each)
        if label not in {each.label, _label_of(before, each)} and each.type_id not in problems:
            message = (
                f'The import source "{each.source_name[:60]}" ({each.source_id}) tells objects of '
                f'"{after.by_id[each.type_id].name}" apart by their label, which cannot be another attribute.'
            )
            problems[each.type_id] = Problem("IDENTIFIERS_DIFFER", "schema.objectSchema.objectTypes", message)
    if problems:
        raise invalid_mapping(list(problems.values()))


def _labels(state: SchemaState) -> set[int]:
    return {each.attribute_id for each in state.attributes if each.is_label}


def _label_of(state: SchemaState, mapped: ForeignLabel) -> int | None:
    """What the mapping would take for the label (assets/mapping_plans.py)."""
    known = state.attributes_of(mapped.type_id)
    return next(
        (each.attribute_id for each in known if each.is_label and each.attribute_id in mapped.attribute_ids), None
    )


async def _problems(session: SourceSession, plan: ObjectPlan) -> list[Problem]:
    """One for each type that another enabled source tells apart otherwise: the first such source."""
    own = identities(plan)
    foreign = await session.foreign_identities(frozenset(own))
    others = {each.type_id: each for each in reversed(foreign) if each.identity != own[each.type_id]}
    problems = []
    for number, type_ in enumerate(plan.types):
        other = others.pop(type_.type_id, None)
        if other is not None:
            message = (
                f'The import source "{other.source_name[:60]}" ({other.source_id}) tells objects of "{type_.name}" '
                f"apart by {told(other.names, other.identity)}, and not by {own_words(type_)}."
            )
            problems.append(Problem("IDENTIFIERS_DIFFER", f"mapping.objectTypeMappings[{number}]", message))
    return problems
