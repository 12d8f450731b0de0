"""What a document of schema and mapping changes of an object schema, or why it cannot.

It may add object types, attributes, icons and statuses, and change descriptions, icons and cardinalities. It may not
rename, move, retype or remove anything: objects are there already
(https://developer.atlassian.com/cloud/assets/imports-rest-api-guide/schema-and-mapping). What the document leaves out
stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from dialects.assets.mapping_documents import AttributeDocument, Document, TypeDocument
from dialects.assets.problems import Problem, invalid_mapping
from services.importer.assets.object_types import (
    REFERENCE,
    NewAttribute,
    NewType,
    ObjectAttribute,
    ObjectType,
    SchemaChanges,
    SchemaState,
)

NAMED_LIKE_A_LABEL = "name"
"""What becomes the label of a new type that names none, as it does at Atlassian."""


def plan_changes(
    state: SchemaState, document: Document, new_external_id: Callable[[], str] | None = None
) -> SchemaChanges:
    """Raises InvalidArgument INVALID_MAPPING with every reason why not. External ids are made where there are none."""
    planner = _Planner(state, document, new_external_id or generated_id)
    changes = planner.plan()
    if planner.problems:
        raise invalid_mapping(planner.problems)
    return changes


def generated_id() -> str:
    """As Atlassian makes them."""
    return f"cmdb::externalId/{uuid4()}"


@dataclass
class _Planner:
    """Collects changes and problems on its way through the document."""

    state: SchemaState
    document: Document
    new_external_id: Callable[[], str]
    problems: list[Problem] = field(default_factory=list)
    new_types: list[NewType] = field(default_factory=list)
    new_attributes: list[NewAttribute] = field(default_factory=list)
    types: dict[int, dict[str, Any]] = field(default_factory=dict)
    attributes: dict[int, dict[str, Any]] = field(default_factory=dict)
    external_ids: dict[str, str] = field(default_factory=dict)
    """By the path of a type in the document; and by its name."""
    named: dict[str, set[str | int]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    """Of types that are there, by external id."""

    def plan(self) -> SchemaChanges:
        matched: dict[str, ObjectType | None] = {}
        self.numbers = {external_id: each.type_id for external_id, each in self.state.by_external_id.items()}
        positions = len(self.state.types)
        for path, each, parent in self.document.every_type():
            above = path.rpartition(".children[")[0] if parent is not None else ""
            existing = self._match_type(path, each, matched.get(above), is_top=not above)
            matched[path] = existing
            positions += 1
            self._add_or_change_type(path, each, above, existing, positions)
            self.named.setdefault(each.name, set()).add(self.external_ids[path])
        # Only now is every type known that an attribute may refer to.
        for path, each, _ in self.document.every_type():
            self._plan_attributes(path, each, matched[path])
        return SchemaChanges(
            tuple(self.new_types),
            tuple(self.new_attributes),
            self.types,
            self.attributes,
            self._schema_values(),
            frozenset(self.external_ids.values()),
        )

    def _problem(self, code: str, path: str, message: str) -> None:
        self.problems.append(Problem(code, path, message))

    def _match_type(
        self, path: str, each: TypeDocument, above: ObjectType | None, *, is_top: bool
    ) -> ObjectType | None:
        """The type that is meant, where it is there already."""
        found = self.state.by_external_id.get(each.external_id) if each.external_id else None
        if each.external_id in self.state.foreign_types:
            self._problem("EXTERNAL_ID_TAKEN", path, f"Another object schema has {each.external_id[:100]!r}.")
        parent_id = above.type_id if above else None
        if found is not None:
            if found.name != each.name:
                self._problem(
                    "OBJECT_TYPE_RENAMED", f"{path}.name", f"{found.name} cannot get another name, such as {each.name}."
                )
            if found.parent_id != parent_id or (above is None and not is_top):
                self._problem("OBJECT_TYPE_MOVED", path, f"{each.name} cannot be moved under another object type.")
            return found
        if above is None and not is_top:
            return None
        named = next(
            (
                one
                for one in self.state.types
                if one.parent_id == parent_id and one.name.casefold() == each.name.casefold()
            ),
            None,
        )
        if named and each.external_id and named.external_id:
            self._problem("EXTERNAL_ID_CHANGED", path, f"{named.name} has another external id already.")
        elif named and named.name != each.name:
            self._problem("OBJECT_TYPE_RENAMED", f"{path}.name", f"{named.name} is there, in another case.")
        return named

    def _add_or_change_type(
        self, path: str, each: TypeDocument, above: str, existing: ObjectType | None, position: int
    ) -> None:
        if each.icon_key and each.icon_key not in self._icon_keys():
            self._problem("UNKNOWN_ICON", f"{path}.iconKey", f"There is no icon {each.icon_key[:100]!r}.")
        if existing is None:
            external_id = each.external_id or self.new_external_id()
            self.external_ids[path] = external_id
            self.new_types.append(
                NewType(
                    external_id,
                    self.external_ids.get(above, ""),
                    each.name,
                    each.description,
                    each.icon_key,
                    bool(each.inheritance),
                    position,
                )
            )
            return
        external_id = existing.external_id or each.external_id or self.new_external_id()
        self.external_ids[path] = external_id
        self.numbers[external_id] = existing.type_id
        if each.inheritance is not None and each.inheritance != existing.is_inherited:
            self._problem("INHERITANCE_CHANGED", path, f"{each.name} cannot begin or cease to inherit.")
        wanted = {
            "description": each.description,
            "icon": each.icon_key or existing.icon,
            "external_id": external_id,
        }
        _note(self.types, existing.type_id, existing, wanted)

    def _icon_keys(self) -> set[str]:
        return {each["key"] for each in self.state.schema.icons} | {each.key for each in self.document.icons}

    def _plan_attributes(self, path: str, each: TypeDocument, existing: ObjectType | None) -> None:
        own = self.state.own_attributes.get(existing.type_id, ()) if existing else ()
        inherited = {one.name.casefold() for one in self._inherited(existing)}
        has_label = any(one.label for one in each.attributes) or any(one.is_label for one in own)
        labels = {one.attribute_id for one in own if one.is_label}
        for number, document in enumerate(each.attributes):
            here = f"{path}.attributes[{number}]"
            found = self._match_attribute(here, document, own, existing)
            is_label = document.label or (
                not has_label and document.type == "text" and document.name.casefold() == NAMED_LIKE_A_LABEL
            )
            if found is None:
                if document.name.casefold() in inherited:
                    self._problem("NAME_DUPLICATE", here, f"{each.name} inherits an attribute {document.name}.")
                self._add_attribute(here, path, document, len(own) + number, is_label=bool(is_label))
                labels |= {-number - 1} if is_label else set()
                continue
            self._change_attribute(here, document, found)
            if document.label is not None:
                (labels.add if document.label else labels.discard)(found.attribute_id)
        if len(labels) > 1:
            self._problem("SEVERAL_LABELS", path, f"{each.name} can have one label only.")

    def _inherited(self, existing: ObjectType | None) -> Iterator[ObjectAttribute]:
        if existing is not None and existing.is_inherited and existing.parent_id is not None:
            yield from self.state.attributes_of(existing.parent_id)

    def _match_attribute(
        self, path: str, each: AttributeDocument, own: tuple[ObjectAttribute, ...], type_: ObjectType | None
    ) -> ObjectAttribute | None:
        if each.external_id:
            found = self.state.attributes_by_external_id.get(each.external_id)
            is_elsewhere = found is not None and (type_ is None or found.type_id != type_.type_id)
            if is_elsewhere or each.external_id in self.state.foreign_attributes:
                self._problem(
                    "EXTERNAL_ID_TAKEN", path, f"Another object type has an attribute {each.external_id[:100]!r}."
                )
                return None
            if found is not None:
                if found.name != each.name:
                    self._problem("ATTRIBUTE_RENAMED", f"{path}.name", f"{found.name} cannot get another name.")
                return found
        named = next((one for one in own if one.name.casefold() == each.name.casefold()), None)
        if named and each.external_id and named.external_id:
            self._problem("EXTERNAL_ID_CHANGED", path, f"{named.name} has another external id already.")
        elif named and named.name != each.name:
            self._problem("ATTRIBUTE_RENAMED", f"{path}.name", f"{named.name} is there, in another case.")
        return named

    def _add_attribute(
        self, here: str, type_path: str, each: AttributeDocument, position: int, *, is_label: bool
    ) -> None:
        self.new_attributes.append(
            NewAttribute(
                self.external_ids[type_path],
                each.external_id or self.new_external_id(),
                each.name,
                each.description,
                each.type,
                each.type_values or (),
                is_label,
                bool(each.unique),
                each.minimum_cardinality or 0,
                1 if each.maximum_cardinality is None else each.maximum_cardinality,
                self._referred(here, each) if each.type == REFERENCE else None,
                position,
            )
        )

    def _change_attribute(self, path: str, each: AttributeDocument, existing: ObjectAttribute) -> None:
        if each.type != existing.type:
            self._problem(
                "ATTRIBUTE_TYPE_CHANGED",
                f"{path}.type",
                f"{existing.name} is {existing.type} and cannot be {each.type}.",
            )
            return
        if each.type == REFERENCE and self._number_of(self._referred(path, each)) != existing.reference_type_id:
            self._problem("REFERENCE_TARGET_CHANGED", path, f"{existing.name} cannot refer to another object type.")
        maximum = existing.maximum if each.maximum_cardinality is None else each.maximum_cardinality
        if (maximum == 1) != (existing.maximum == 1):
            self._problem(
                "CARDINALITY_CHANGED", path, f"{existing.name} has one value or several, and cannot change that."
            )
        wanted = {
            "description": each.description,
            "external_id": existing.external_id or each.external_id or self.new_external_id(),
            "is_label": existing.is_label if each.label is None else each.label,
            "is_unique": existing.is_unique if each.unique is None else each.unique,
            "minimum": existing.minimum if each.minimum_cardinality is None else each.minimum_cardinality,
            "maximum": maximum,
            # Options go on being used by objects, and imports may have added some.
            "options": tuple(dict.fromkeys((*existing.options, *(each.type_values or ())))),
        }
        _note(self.attributes, existing.attribute_id, existing, wanted)

    def _referred(self, path: str, each: AttributeDocument) -> str | int | None:
        """External id of a type of this schema, or the number of one of another; None, and a problem, for none."""
        if external_id := each.reference_object_type_external_id:
            if external_id in self.external_ids.values() or external_id in self.state.by_external_id:
                return external_id
            if external_id in self.state.foreign_types:
                return self.state.foreign_types[external_id]
            self._problem("UNKNOWN_REFERENCE_TARGET", path, f"There is no object type {external_id[:100]!r}.")
            return None
        name = each.reference_object_type_name
        named = self.named.get(name) or {one.external_id or one.type_id for one in self.state.types if one.name == name}
        if len(named) == 1:
            return next(iter(named))
        found = "are several object types" if named else "is no object type"
        self._problem("UNKNOWN_REFERENCE_TARGET", path, f"There {found} {name[:100]!r}.")
        return None

    def _number_of(self, reference: str | int | None) -> int | None:
        return self.numbers.get(reference) if isinstance(reference, str) else reference

    def _schema_values(self) -> dict[str, Any]:
        """What changes of the object schema itself. Its name is the object schema's own."""
        schema, values = self.state.schema, dict[str, Any]()
        icons = {each["key"]: dict(each) for each in schema.icons}
        icons |= {each.key: {"key": each.key, "name": each.name, "png48": each.png48} for each in self.document.icons}
        statuses = {each["name"].casefold(): dict(each) for each in schema.statuses}
        statuses |= {
            each.name.casefold(): {"name": each.name, "description": each.description, "category": each.category}
            for each in self.document.statuses
        }
        if tuple(icons.values()) != tuple(map(dict, schema.icons)):
            values["icons"] = list(icons.values())
        if tuple(statuses.values()) != tuple(map(dict, schema.statuses)):
            values["statuses"] = list(statuses.values())
        if self.document.description and self.document.description != schema.description:
            values["description"] = self.document.description
        return values


def _note(
    changes: dict[int, dict[str, Any]], number: int, existing: ObjectType | ObjectAttribute, wanted: dict[str, Any]
) -> None:
    """Only what differs, so that a document that says nothing new writes nothing."""
    differing = {name: value for name, value in wanted.items() if getattr(existing, name) != value}
    if differing:
        changes[number] = differing
