"""Object types that several sources map: all of them must tell its objects apart by the same attributes."""

from __future__ import annotations

from dialects.assets.problems import Problem, invalid_mapping
from runtime.errors import FailedPrecondition
from services.importer.assets.sources import SourceSession
from services.importer.targets.objects.identities import identities, own_words, told
from services.importer.targets.objects.plan import ObjectPlan


async def refuse_other_identifiers(session: SourceSession, plan: ObjectPlan) -> None:
    """Of a mapping that is to be saved. Raises InvalidArgument INVALID_MAPPING (IDENTIFIERS_DIFFER)."""
    if problems := await _problems(session, plan):
        raise invalid_mapping(problems)


async def refuse_enabling(session: SourceSession, plan: ObjectPlan) -> None:
    """Of a source that was disabled while others were mapped. Raises FailedPrecondition IDENTIFIERS_DIFFER."""
    if problems := await _problems(session, plan):
        raise FailedPrecondition("IDENTIFIERS_DIFFER", problems[0].message, field="is_enabled")


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
