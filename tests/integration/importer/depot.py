"""Runs of import sources into a workspace, written as one writes rows; and what the workspace holds then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid4, uuid7

from services.importer.targets.objects.keys import key_of
from services.importer.targets.objects.plan import AttributePlan, ObjectPlan, Reference, TypePlan
from services.importer.targets.objects.records import Lookup, ObjectRecord
from services.importer.targets.objects.rules import AttributeRule
from tests.integration.importer.undoing import Result, Undoer
from tests.integration.importer.workbench import TENANT, Engine

Documents = dict[str, dict[str, Any]]
Row = list[Any]


@dataclass(frozen=True)
class Type:
    """An object type and its attributes, by name."""

    type_id: int
    name: str
    attributes: Mapping[str, AttributePlan]

    def id_of(self, name: str) -> int:
        return self.attributes[name].attribute_id

    def plan(self, *names: str, by: Sequence[str] = ("Name",), label: str | None = "Name", **more: Any) -> TypePlan:
        """A mapping of these attributes, all without names."""
        mapped = tuple(self.attributes[name] for name in names or self.attributes)
        return TypePlan(
            type_id=self.type_id,
            name=self.name,
            attributes=mapped,
            identifiers=tuple(sorted(self.id_of(name) for name in by)),
            label_attribute=None if label is None else self.id_of(label),
            **more,
        )

    def row(
        self,
        /,
        *cleared: str,
        by: Sequence[str] = ("Name",),
        label: str = "Name",
        number: int = 0,
        line: int = 0,
        **values: Any,
    ) -> Row:
        """An item of one object. A reference is given as the value that is looked up, or as several."""
        document, lookups = {}, []
        for name, value in values.items():
            attribute = self.attributes[name]
            if attribute.reference is None:
                document[str(attribute.attribute_id)] = value
                continue
            for each in value if isinstance(value, list) else [value]:
                said = each if isinstance(each, tuple) else (each,)
                lookups.append(Lookup(attribute.attribute_id, said))
        identifiers = sorted((self.id_of(name), str(values[name])) for name in by)
        return [
            ObjectRecord(
                type_id=self.type_id,
                number=number,
                key=key_of([text for _, text in identifiers], ignores_case=False),
                label=str(values.get(label, "")),
                document=json.dumps(document, separators=(",", ":"), ensure_ascii=False),
                cleared=tuple(sorted(self.id_of(name) for name in cleared)),
                lookups=tuple(lookups),
                line=line,
            )
        ]


@dataclass
class Depot:
    """A workspace with one object schema, and import sources of it."""

    engine: Engine
    workspace_id: UUID
    schema_id: int
    source_id: UUID
    plan: ObjectPlan = field(default_factory=ObjectPlan)
    names: dict[int, str] = field(default_factory=dict)

    @classmethod
    async def of(cls, engine: Engine, tenant: int = TENANT) -> Depot:
        workspace_id = UUID(str(uuid4()))
        schema_id = await engine.value(
            "INSERT INTO object_schemas (tenant_id, workspace_id, name, key) VALUES (%s, %s, 'Hardware', 'HW') "
            "RETURNING object_schema_id",
            *(tenant, workspace_id),
        )
        return cls(engine, workspace_id, schema_id, UUID(str(uuid7())))

    async def type(self, name: str, /, parent: Type | None = None, **attributes: str | Mapping[str, Any]) -> Type:
        """An object type; an attribute is said by its type, or by more of it. Each has a `Name`, or its parent's."""
        type_id = await self.engine.value(
            "INSERT INTO object_types (tenant_id, object_schema_id, name, parent_id, is_inherited) "
            "VALUES (1, %s, %s, %s, %s) RETURNING object_type_id",
            *(self.schema_id, name, parent and parent.type_id, parent is not None),
        )
        made = dict(parent.attributes) if parent else {}
        own: dict[str, str | Mapping[str, Any]] = {} if parent else {"Name": "text", **attributes}
        for attribute, said in own.items():
            more = {"type": said} if isinstance(said, str) else said
            made[attribute] = await self._attribute(type_id, attribute, more)
        return Type(type_id, name, made)

    async def _attribute(self, type_id: int, name: str, said: Mapping[str, Any]) -> AttributePlan:
        target = said.get("to")
        target_id = type_id if target == "itself" else target and target.type_id
        stored: Any = said["type"] if target is None else "referenced_object"
        attribute_id = await self.engine.value(
            "INSERT INTO object_attributes (tenant_id, object_type_id, name, type, options, is_unique, "
            "maximum_cardinality, reference_type_id) VALUES (1, %s, %s, %s, %s, %s, %s, %s) RETURNING attribute_id",
            *(type_id, name, stored, list(said.get("options", ()))),
            *(said.get("unique", False), said.get("most", 1), target_id),
        )
        self.names[attribute_id] = name
        reference = None
        if target_id is not None:
            query, places = said.get("query", "Name = ${name}"), tuple(said.get("places", ("name",)))
            reference = Reference(query, places, target_id)
        return AttributePlan(
            attribute_id=attribute_id,
            name=name,
            type=stored,
            rule=AttributeRule(locators=(name,)),
            maximum=said.get("most", 1),
            is_unique=said.get("unique", False),
            reference=reference,
        )

    def columns(self, **more: Any) -> dict[str, Any]:
        """Of a row of imports, as the start of a run leaves it."""
        plan = more.pop("plan", self.plan)
        return {
            "target": "objects",
            "source": "objects-csv",
            "client_id": 0,
            "report_id": None,
            "key": f"{uuid7()}/hosts.csv",
            "workspace_id": self.workspace_id,
            "import_source_id": self.source_id,
            "plan": msgspec.to_builtins(plan),
            "force": False,
            **more,
        }

    async def imported(self, *rows: Row, **columns: Any) -> UUID:
        return await self.engine.imported(rows, **self.columns(**columns))

    async def undo(self, import_id: UUID, *, dry_run: bool = False) -> Result:
        return await Undoer(self.engine).undo(import_id, dry_run=dry_run)

    async def documents(self, type_: Type | None = None) -> Documents:
        """What people see, by label: values by the names of attributes, references as the labels of their objects."""
        rows = await self.engine.rows(
            "SELECT object_id, object_type_id, label, document FROM objects WHERE tenant_id = 1 "
            "AND document IS NOT NULL ORDER BY object_id"
        )
        labels = {row["object_id"]: row["label"] for row in rows}
        references = await self._reference_ids()
        found = {}
        for row in rows:
            if type_ is None or row["object_type_id"] == type_.type_id:
                found[row["label"]] = {
                    self.names[int(key)]: _labelled(value, labels) if int(key) in references else value
                    for key, value in row["document"].items()
                }
        return found

    async def _reference_ids(self) -> set[int]:
        rows = await self.engine.rows("SELECT attribute_id FROM object_attributes WHERE type = 'referenced_object'")
        return {row["attribute_id"] for row in rows}

    async def counters(self, import_id: UUID, type_: Type) -> dict[str, int]:
        """Those above zero."""
        return {name: value for name, value in (await self._told(import_id, type_)).items() if name != "messages"}

    async def messages(self, import_id: UUID, type_: Type) -> list[list[str]]:
        """Codes and messages of its errors."""
        found: list[list[str]] = (await self._told(import_id, type_)).get("messages", [])
        return found

    async def _told(self, import_id: UUID, type_: Type) -> dict[str, Any]:
        found = await self.engine.value("SELECT entities FROM import_progress WHERE import_id = %s", import_id)
        return {name: value for name, value in found.get(str(type_.type_id), {}).items() if value}

    async def cautions(self, import_id: UUID) -> dict[str, int]:
        found = await self.engine.value("SELECT cautions FROM import_progress WHERE import_id = %s", import_id)
        return {each["code"]: each["count"] for each in found}

    async def versions(self) -> dict[str, tuple[str, str]]:
        """Which transaction wrote each row, and where it stands: a row that was rewritten has others."""
        rows = await self.engine.rows("SELECT label, xmin::text AS writer, ctid::text AS place FROM objects")
        return {row["label"]: (row["writer"], row["place"]) for row in rows}

    async def assert_references(self) -> None:
        """The rows of references say what the documents do."""
        told = await self.engine.rows(
            "SELECT object_id, attribute_id, target_id FROM object_references ORDER BY 1, 2, 3"
        )
        references = await self._reference_ids()
        meant = [
            {"object_id": row["object_id"], "attribute_id": int(key), "target_id": target}
            for row in await self.engine.rows("SELECT * FROM objects WHERE document IS NOT NULL")
            for key, value in row["document"].items()
            if int(key) in references
            for target in (value if isinstance(value, list) else [value])
        ]
        assert told == sorted(meant, key=lambda each: tuple(each.values()))


def _labelled(value: Any, labels: Mapping[int, str]) -> Any:
    if isinstance(value, list):
        return [labels.get(each) for each in value]
    return labels.get(value)
