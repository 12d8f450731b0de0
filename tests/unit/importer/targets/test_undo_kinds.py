from __future__ import annotations

import pytest
from sqlalchemy import Table

from schema import findings as tables
from services.importer.engine.target import Target
from services.importer.engine.undo_kinds import UndoKind
from services.importer.targets.findings.target import FindingsTarget
from services.importer.targets.objects.target import ObjectsTarget
from services.importer.targets.records.target import RecordsTarget

TARGETS: list[Target] = [FindingsTarget(), RecordsTarget(), ObjectsTarget()]
KINDS = [kind for target in TARGETS for kind in target.undo_kinds]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_children_come_before_their_parents(target: Target) -> None:
    order = [kind.kind for kind in target.undo_kinds]
    for kind in target.undo_kinds:
        for parent in kind.parents.values():
            assert order.index(kind.kind) < order.index(parent)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_kind_names_columns_that_its_table_has(kind: UndoKind) -> None:
    assert {kind.id, "tenant_id", "import_id", *kind.parents, *kind.fixed} <= set(kind.table.c.keys())
    # An edit is told by these two together.
    assert ("updated_at" in kind.table.c) == kind.is_changeable
    assert not kind.is_changeable or "created_at" in kind.table.c
    for attached in kind.attached:
        assert {attached.owner, "tenant_id", "import_id"} <= set(attached.table.c.keys())


def test_every_table_that_findings_are_merged_into_is_undone() -> None:
    undone = {kind.table.name for kind in KINDS} | {each.table.name for kind in KINDS for each in kind.attached}
    written = {name for name, table in vars(tables).items() if isinstance(table, Table)}
    assert written - undone == {"tags"}, "tags are released"
