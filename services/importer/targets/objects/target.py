"""The objects target as the engine sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from schema import staging
from services.importer.engine.failures import ImportFailure
from services.importer.engine.row_errors import reject_staged
from services.importer.engine.statements import Statements
from services.importer.engine.target import ErrorFile, Job, Outcomes, Step, Tally
from services.importer.engine.undo_kinds import UndoKind
from services.importer.model import TargetName
from services.importer.targets.objects import merge, references, unique
from services.importer.targets.objects.catalog import Catalog, load
from services.importer.targets.objects.counters import Counter, count, tell
from services.importer.targets.objects.merge import INSERTED, REJECTED, UNCHANGED, UPDATED, Staged
from services.importer.targets.objects.missing import Missing, is_outdated, treat_missing, unjudged_types
from services.importer.targets.objects.options import MOST_OPTIONS, add_options
from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.objects.records import ObjectsRecord
from services.importer.targets.objects.rekey import rekey_changed
from services.importer.targets.objects.resolution import Resolved, forget, resolve
from services.importer.targets.objects.rows import ObjectsStager
from services.importer.targets.objects.stored_plan import stored_plan
from services.importer.targets.objects.undo import UNDO_KINDS, release
from services.importer.targets.objects.unique import Unique

Cautions = list[tuple[str, str, int]]


class ObjectsTarget:
    """The objects of one workspace, by the mapping of one import source."""

    name = TargetName.OBJECTS.value
    record_type: Any = ObjectsRecord
    templates: Sequence[Table] = (staging.objects,)
    merge_steps = 5
    undo_kinds: Sequence[UndoKind] = UNDO_KINDS
    error_file: ErrorFile | None = None

    def reads_assets(self, job: Job) -> bool:
        """Never."""
        del job
        return False

    async def demands(self, connection: AsyncConnection, job: Job) -> ObjectPlan:
        """The mapping, as it was when the run began."""
        del connection
        return plan_of(job)

    def stager(self, job: Job, tally: Tally) -> ObjectsStager:
        """A stager that counts into `tally`."""
        return ObjectsStager(job, tally)

    async def lock(self, connection: AsyncConnection, job: Job) -> None:
        """The lock of the job's workspace."""
        await merge.lock(connection, job)

    async def merge(
        self, connection: AsyncConnection, job: Job, staged: Mapping[Table, str], family: str, tally: Tally, step: Step
    ) -> Outcomes:
        """Ids first, then what the objects refer to, then the objects."""
        del family
        return await _Merge(merge.statements(connection, job, staged), job, tally).run(step)

    async def release(self, sql: Statements) -> None:
        """References, keys and missed runs."""
        await release(sql)


def plan_of(job: Job) -> ObjectPlan:
    """Raises ImportFailure for an import without one, or with one that an earlier release has kept otherwise."""
    plan = stored_plan(job.plan)
    if plan is None or not plan.types:
        raise ImportFailure("MAPPING_MISSING", "The run has no mapping that can be read; start another one.")
    return plan


class _Merge:
    """One merge, and what it has to say."""

    def __init__(self, sql: Statements, job: Job, tally: Tally) -> None:
        self._sql = sql
        self._job = job
        self._plan = plan_of(job)
        self._tally = tally
        self._cautions: Cautions = []

    async def run(self, step: Step) -> Outcomes:
        sql, plan = self._sql, self._plan
        await step("comparing objects")
        staged = await merge.begin(sql)
        catalog = await self._rekey(await self._catalog())
        # What is rejected from here on is there all the same.
        is_old = await is_outdated(sql, self._job)
        unjudged = unjudged_types(plan, self._tally, is_outdated=is_old)
        for type_id, rows in (await merge.leave_last(sql)).items():
            count(self._tally, type_id, Counter.DUPLICATES, rows)
        has_known = await merge.give_ids(sql, staged)
        await step("finding references")
        claimed = unique.unique_attributes(plan, catalog)
        await self._settle(catalog, staged, claimed)
        rejected = await self._tell_rejected(catalog, staged, claimed) if claimed.attributes else 0
        await step("changing objects")
        if has_known:
            await merge.compare(sql, plan)
            await merge.change(sql)
            await references.derive(sql, "SELECT object_id FROM merge_known WHERE is_referring")
        await step("looking for missing objects")
        self._tell_missing(await treat_missing(sql, plan, unjudged))
        if unjudged:
            self._tell_unjudged(catalog, unjudged, is_old=is_old)
        await step("adding objects")
        await merge.insert_new(sql, plan)
        await references.write_new(sql)
        await references.note_targets(sql)
        await self._add_options()
        return await self._outcomes(staged, rejected, has_known=has_known)

    async def _catalog(self) -> Catalog:
        """Raises ImportFailure when the mapping is of types that are not there any more."""
        catalog = await load(self._sql)
        if any(each.type_id not in catalog.types for each in self._plan.types):
            raise ImportFailure("OBJECT_TYPE_MISSING", "An object type of the mapping is not there any more.")
        return catalog

    async def _rekey(self, catalog: Catalog) -> Catalog:
        catalog, lost = await rekey_changed(self._sql, self._plan, catalog)
        if lost:
            told = "An object is not found any more by its new identifiers, which an older one has as well."
            self._cautions.append(("IDENTIFIER_NOT_UNIQUE", told, lost))
        return catalog

    async def _settle(self, catalog: Catalog, staged: Staged, claimed: Unique) -> None:
        """What the objects refer to, and which of them are rejected because others have their values."""
        resolved = Resolved({}, ())

        async def again() -> None:
            nonlocal resolved
            await forget(self._sql)
            resolved = await resolve(self._sql, self._plan, catalog, list(staged.types))

        await unique.settle(self._sql, claimed, catalog, again)
        for type_id, number in resolved.not_found.items():
            count(self._tally, type_id, Counter.NOT_FOUND, number)
        self._cautions += resolved.cautions

    async def _tell_rejected(self, catalog: Catalog, staged: Staged, claimed: Unique) -> int:
        """Answers how many items nothing has come of."""
        rejected = await unique.rejected_by_type(self._sql)
        for type_id, rows in rejected.items():
            count(self._tally, type_id, Counter.ERRORS, rows)
        if not rejected:
            return 0
        for type_id, attribute_id in await unique.contested(self._sql):
            name = catalog.attributes[attribute_id].name
            tell(self._tally, type_id, "VALUE_NOT_UNIQUE", f"{name}: {unique.NOT_UNIQUE}")
        names = json.dumps({str(each): catalog.attributes[each].name for each in claimed.attributes})
        query = unique.errors_of_rejected(has_siblings=staged.has_siblings)
        items = await reject_staged(
            self._sql, self._job.import_id, query, names=names, references=list(claimed.references)
        )
        if items < sum(rejected.values()):
            told = "An object of an item was rejected because another has its value; others of the item were imported."
            self._cautions.append(("VALUE_NOT_UNIQUE", told, sum(rejected.values()) - items))
        return items

    def _tell_missing(self, missing: Missing) -> None:
        for counter, by_type in (
            (Counter.MISSING_UPDATED, missing.updated),
            (Counter.MISSING_DELETED, missing.removed),
        ):
            for type_id, rows in by_type.items():
                count(self._tally, type_id, counter, rows)

    def _tell_unjudged(self, catalog: Catalog, unjudged: Sequence[int], *, is_old: bool) -> None:
        why = "A younger run of the source has been merged" if is_old else "Not all data of the source could be used"
        names = ", ".join(f'"{catalog.types[each].name}"' for each in unjudged)
        self._cautions.append(("MISSING_NOT_JUDGED", f"{why}, so no object of {names} was taken for missing.", 1))

    async def _add_options(self) -> None:
        left_out = await add_options(self._sql, self._plan)
        if left_out:
            told = f"A value did not become an option, because its attribute has {MOST_OPTIONS} already."
            self._cautions.append(("OPTIONS_TOO_MANY", told, left_out))

    async def _outcomes(self, staged: Staged, rejected: int, *, has_known: bool) -> Outcomes:
        words = {INSERTED: Counter.CREATED, UPDATED: Counter.UPDATED, UNCHANGED: Counter.IDENTICAL}
        for type_id, outcome, rows, referring in await merge.by_type(self._sql, has_known=has_known):
            count(self._tally, type_id, words[outcome], rows)
            count(self._tally, type_id, Counter.UPDATED_REFERENCES, referring)
        items = await merge.outcomes(self._sql, staged, has_known=has_known)
        return Outcomes(
            inserted=items.get(INSERTED, 0),
            updated=items.get(UPDATED, 0),
            unchanged=items.get(UNCHANGED, 0),
            skipped=self._tally.staged - sum(items.values()),
            rejected=items.get(REJECTED, 0),
            entities=dict(self._tally.entities),
            cautions=self._cautions,
        )
