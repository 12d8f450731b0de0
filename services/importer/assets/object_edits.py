"""Objects made, changed and removed by people: docs/adr/0014-objects-edited-by-hand.md.

An edit is one transaction under the lock of the workspace, which merges and undos take, too. It holds to the rules of
an import: values are read by the types of their attributes, references lead to objects that there are, a value that may
be there once is there once, and the identifiers of the type say which object it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog

from dialects.assets.object_bodies import ObjectBody
from dialects.assets.objects import targets_in
from dialects.assets.problems import attribute_path
from runtime.auth import Principal, note_object
from runtime.errors import AlreadyExists, InvalidArgument, NotFound
from services.importer import metrics
from services.importer.assets.object_forms import ObjectForm, form_of
from services.importer.assets.object_values import referred_number, referred_object
from services.importer.assets.places import Workspaces, reached_workspace
from services.importer.targets.objects.keys import key_of

log = structlog.get_logger(__name__)

Row = Mapping[str, Any]
MOST_CHARACTERS = 64 << 20
"""Of a document; what a run may bring, too."""


@dataclass(frozen=True, slots=True)
class Editor:
    """Whose edit it is."""

    user_id: int
    email: str


@dataclass(frozen=True, slots=True)
class Key:
    """What an object is known by from now on; None: by nothing, as an identifier has no value."""

    text: str | None


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What an edit writes: new values of `attribute_ids`, as the `members` of a JSON object.

    `targets` are attributes and the objects that they refer to. `label` and `key` are None where they stay.
    """

    attribute_ids: tuple[int, ...]
    members: str
    targets: tuple[tuple[int, int], ...]
    label: str | None
    key: Key | None


@dataclass(frozen=True, slots=True)
class EditedObject:
    """An object as it is now, with what it is shown by: types, attributes by type, the objects that it refers to."""

    workspace_id: UUID
    row: Row
    types: Mapping[int, Row]
    attributes: Mapping[int, Sequence[Row]]
    targets: Mapping[int, Row]


class ObjectSession(Protocol):
    """One transaction that has the workspace to itself. Objects by number are those that there are, in any one."""

    async def types(self) -> list[Row]:
        """All of the workspace by number, with key and statuses of their schema."""
        ...

    async def attributes(self, type_ids: Collection[int]) -> list[Row]:
        """Those that the types have of their own, in the order in which they are shown."""
        ...

    async def objects(self, object_ids: Collection[int]) -> dict[int, Row]: ...

    async def names(self, object_ids: Collection[int]) -> dict[int, Row]:
        """As `objects`, by number, type and label alone."""
        ...

    async def texts(self, object_id: int, attribute_ids: Sequence[int]) -> list[str | None]:
        """Its values of attributes that have one at most, as its key has them."""
        ...

    async def taken(
        self, object_id: int, attribute_id: int, type_ids: Collection[int], values: Sequence[str]
    ) -> str | None:
        """One of the values, if another object of these types has it."""
        ...

    async def known_by(self, type_id: int, key: str) -> tuple[int, bool] | None:
        """The object that is known by a key, and whether it is there; it may have been removed."""
        ...

    async def insert(self, type_id: int, change: ObjectChange, editor: Editor) -> int: ...

    async def change(self, object_id: int, change: ObjectChange, editor: Editor) -> bool:
        """Whether it was something else before."""
        ...

    async def revive(self, object_id: int, change: ObjectChange, editor: Editor) -> bool:
        """Makes an object of the row of a removed one. False: the row is gone."""
        ...

    async def remove(self, object_id: int, editor: Editor) -> None: ...

    async def forget_key(self, object_id: int) -> None: ...

    async def size(self, object_id: int) -> int:
        """Characters of its document."""
        ...


class ObjectStore(Protocol):
    """Objects of a tenant."""

    def session(self, tenant_id: int, workspace_id: UUID) -> AbstractAsyncContextManager[ObjectSession]:
        """Raises Unavailable WORKSPACE_BUSY where a merge has the workspace for too long."""
        ...


class ObjectEdits:
    """Whoever is limited to certain clients has no part in workspaces."""

    def __init__(self, store: ObjectStore, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces

    async def create(self, principal: Principal, workspace: str, body: ObjectBody) -> EditedObject:
        """An object that no source has brought. Where a removed one has its identifiers, that one comes back.

        Raises AlreadyExists where one that is there has them, InvalidArgument for values that cannot be.
        """
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        editor = Editor(principal.user_id, principal.email)
        async with self._store.session(principal.tenant_id, workspace_id) as session:
            form = await form_of(session, body.type_id)
            form.refuse_abstract()
            change = await _change(session, form, None, form.completed(body.values))
            known = None if change.key is None or change.key.text is None else change.key.text
            holder = None if known is None else await session.known_by(form.type_id, known)
            if holder is None:
                object_id = await session.insert(form.type_id, change, editor)
            else:
                object_id, is_there = holder
                if is_there:
                    raise _known_already(form, object_id)
                if not await session.revive(object_id, change, editor):
                    # Retention takes rows of removed objects away without the workspace's lock.
                    object_id = await session.insert(form.type_id, change, editor)
            edited = await _shown(session, form, workspace_id, object_id)
        _tell("created", edited)
        return edited

    async def update(self, principal: Principal, workspace: str, number: str, body: ObjectBody) -> EditedObject:
        """Gives attributes other values; an edit that changes nothing leaves no trace.

        Raises NotFound for an object that is not there, and what `create` raises.
        """
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        editor = Editor(principal.user_id, principal.email)
        async with self._store.session(principal.tenant_id, workspace_id) as session:
            form, row = await _found(session, number)
            if body.type_id not in {0, form.type_id}:
                raise InvalidArgument(
                    "OBJECT_TYPE_FIXED", "An object does not change its object type.", field="objectTypeId"
                )
            change = await _change(session, form, row, body.values)
            if change.key is not None and change.key.text is not None:
                await _make_way(session, form, row["object_id"], change.key.text)
            await session.change(row["object_id"], change, editor)
            edited = await _shown(session, form, workspace_id, row["object_id"])
        _tell("updated", edited)
        return edited

    async def delete(self, principal: Principal, workspace: str, number: str) -> None:
        """What refers to it leads nowhere until it comes back. Raises NotFound for one that is not there."""
        workspace_id = await reached_workspace(self._workspaces, principal, workspace)
        async with self._store.session(principal.tenant_id, workspace_id) as session:
            form, row = await _found(session, number)
            await session.remove(row["object_id"], Editor(principal.user_id, principal.email))
        _tell("deleted", EditedObject(workspace_id, row, form.types, {}, {}))


async def _found(session: ObjectSession, number: str) -> tuple[ObjectForm, Row]:
    said = referred_number(number)
    found = {} if said is None else await session.objects([said[1]])
    for row in found.values():
        form = await form_of(session, row["object_type_id"], is_of_object=True)
        if referred_object(number, found, form.catalog) is not None:
            return form, row
    raise NotFound("OBJECT_NOT_FOUND", "There is no such object.")


async def _change(
    session: ObjectSession, form: ObjectForm, row: Row | None, said: Mapping[int, tuple[str, ...]]
) -> ObjectChange:
    """`row` is the object as it is; None: it is a new one."""
    read = form.read(said, await session.names(form.named_objects(said)))
    object_id = 0 if row is None else row["object_id"]
    for attribute, values in form.unique_values(read):
        types = form.catalog.owners(attribute["attribute_id"])
        if await session.taken(object_id, attribute["attribute_id"], types, values.texts) is not None:
            raise form.not_unique(attribute)
    key = None
    identifiers = form.catalog.types[form.type_id].identifiers
    if identifiers and (row is None or any(each in read for each in identifiers)):
        before = [None] * len(identifiers) if row is None else await session.texts(object_id, identifiers)
        after = [
            _first(read[each].texts) if each in read else old for each, old in zip(identifiers, before, strict=True)
        ]
        if row is None or after != before:
            known = [text for text in after if text is not None]
            ignores_case = form.catalog.types[form.type_id].ignores_case
            key = Key(key_of(known, ignores_case=ignores_case) if len(known) == len(identifiers) else None)
    return ObjectChange(
        tuple(read),
        "{" + ",".join(each.member for each in read.values() if each.member) + "}",
        tuple((attribute_id, target) for attribute_id, each in read.items() for target in each.targets),
        form.label_of(read),
        key,
    )


def _first(texts: Sequence[str]) -> str | None:
    return texts[0] if texts else None


async def _make_way(session: ObjectSession, form: ObjectForm, object_id: int, key: str) -> None:
    """A removed object with the same identifiers is not known by them any more: a run that has them means this one."""
    holder = await session.known_by(form.type_id, key)
    if holder is None or holder[0] == object_id:
        return
    if holder[1]:
        raise _known_already(form, holder[0])
    await session.forget_key(holder[0])


def _known_already(form: ObjectForm, object_id: int) -> AlreadyExists:
    type_ = form.catalog.types[form.type_id]
    return AlreadyExists(
        "OBJECT_EXISTS",
        f"{type_.schema_key}-{object_id} has the same {form.identifier_names()}: nothing would tell the two apart.",
        field=attribute_path(type_.identifiers[0]),
    )


async def _shown(session: ObjectSession, form: ObjectForm, workspace_id: UUID, object_id: int) -> EditedObject:
    if await session.size(object_id) > MOST_CHARACTERS:
        raise InvalidArgument(
            "OBJECT_TOO_LARGE", f"The values of the object would have more than {MOST_CHARACTERS} characters."
        )
    row = (await session.objects([object_id]))[object_id]
    attributes = {form.type_id: form.shown_attributes}
    targets = await session.names(targets_in([row], attributes))
    return EditedObject(workspace_id, row, form.types, attributes, targets)


def _tell(action: str, edited: EditedObject) -> None:
    object_id = edited.row["object_id"]
    note_object(object_id=object_id, workspace_id=edited.workspace_id)
    metrics.OBJECTS_EDITED.labels(action).inc()
    log.info("object edited", object_id=object_id, action=action)
