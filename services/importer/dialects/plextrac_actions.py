"""PlexTrac's routes of parser actions and writeups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

import grpc
import msgspec
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from dialects.plextrac import parser_actions as shapes
from dialects.plextrac.bodies import flag
from hythe.dialects.plextrac.v2 import parser_actions_pb2 as pb
from hythe.dialects.plextrac.v2.parser_actions_pb2_grpc import PlextracParserActionsServicer
from runtime.auth import Principal, current_principal
from runtime.errors import InvalidArgument, NotFound
from services.importer.dialects.answers import struct
from services.importer.model import ActionCode
from services.importer.parser_actions import (
    Effect,
    NewAction,
    ParserAction,
    ParserActions,
    Selection,
    Update,
    checked_page,
)
from services.importer.writeups import Writeup, Writeups, WriteupText

Context = grpc.aio.ServicerContext[Any, Any]

SUCCESS = {"status": "success"}
# As many as the official pager asks for.
USUAL_PAGE = 1_000
WRITEUPS_AT_ONCE = 100
PIECE_BYTES = 64 * 1024


class PlextracParserActions(PlextracParserActionsServicer):
    """Converts, calls, converts back."""

    def __init__(self, actions: ParserActions, writeups: Writeups) -> None:
        self._actions = actions
        self._writeups = writeups

    async def ListParsers(self, request: pb.TenantRequest, context: Context) -> Struct:
        of_tenant(request.tenant_id)
        return struct(shapes.parsers([(each.slug, each.display_name) for each in self._actions.parsers()]))

    async def ListParserActions(
        self, request: pb.ListParserActionsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        principal = of_tenant(request.tenant_id)
        limit, skip = checked_page(request.limit, request.skip, default=USUAL_PAGE)
        wanted = code_of(shapes.code_of("type", request.type))
        selection = Selection(request.source, wanted, request.query, skip=skip, limit=limit)
        found, total = await self._actions.list(principal, selection)
        for piece in pieces(
            b'{"status":"success","actions":{"actions":[',
            (shapes.action_item(shown_action(each, principal.tenant_id)) for each in found),
            b'],"total_items":%d}}' % total,
        ):
            yield piece

    async def GetParserAction(self, request: pb.ParserActionRequest, context: Context) -> Struct:
        principal = of_tenant(request.tenant_id)
        found = await self._actions.get(principal, request.source, request.action_id)
        return struct(shapes.action_item(shown_action(found, principal.tenant_id)))

    async def CreateParserAction(self, request: pb.ParserActionsChange, context: Context) -> Struct:
        principal = of_tenant(request.tenant_id)
        body = shapes.action_body(MessageToDict(request.payload))
        if body.severity is None:
            raise InvalidArgument("FIELD_REQUIRED", "severity is required.", field="severity")
        effect = Effect(ActionCode(body.code or shapes.USUAL_CODE), body.severity, body.writeup_id)
        new = NewAction(request.source, body.action_id, effect, body.title, body.description)
        await self._actions.create(principal, new)
        return struct(SUCCESS)

    async def UpdateParserAction(self, request: pb.ParserActionChange, context: Context) -> Struct:
        principal = of_tenant(request.tenant_id)
        body = replace(shapes.action_body(MessageToDict(request.payload)), action_id=request.action_id)
        await self._actions.update(principal, request.source, [update_of(body)])
        return struct(SUCCESS)

    async def UpdateParserActions(self, request: pb.ParserActionsChange, context: Context) -> Struct:
        principal = of_tenant(request.tenant_id)
        bodies = shapes.bulk_body(MessageToDict(request.payload))
        await self._actions.update(principal, request.source, [update_of(body) for body in bodies])
        return struct(SUCCESS)

    async def SetParserConfig(self, request: pb.ParserConfigChange, context: Context) -> Struct:
        principal = of_tenant(request.tenant_id)
        payload = MessageToDict(request.payload)
        if payload.get("enabled") is None:
            raise InvalidArgument("FIELD_REQUIRED", "enabled is required.", field="enabled")
        enabled = flag("enabled", payload["enabled"])
        await self._actions.enable(principal, enabled=enabled)
        return struct({**SUCCESS, "enabled": enabled})

    async def GetParserConfig(self, request: pb.TenantRequest, context: Context) -> Struct:
        return struct({**SUCCESS, "enabled": await self._actions.is_enabled(of_tenant(request.tenant_id))})

    async def ListTemplates(self, request: pb.NoTenantRequest, context: Context) -> AsyncIterator[HttpBody]:
        principal = current_principal()
        opening, after = b"[", 0
        while page := await self._writeups.list(principal, after=after, limit=WRITEUPS_AT_ONCE):
            shown = (shapes.writeup_object(shown_writeup(each, principal.tenant_id)) for each in page)
            for piece in pieces(opening, shown, b""):
                yield piece
            opening, after = b",", page[-1].writeup_id
        yield HttpBody(content_type="application/json", data=b"[]" if opening == b"[" else b"]")

    async def GetTemplate(self, request: pb.TemplateRequest, context: Context) -> Struct:
        principal = current_principal()
        found = await self._writeups.get(principal, number_of(request.writeup_id))
        return struct(shapes.writeup_object(shown_writeup(found, principal.tenant_id)))

    async def CreateTemplate(self, request: pb.NewTemplate, context: Context) -> Struct:
        said = shapes.writeup_members(MessageToDict(request.payload))
        if said.get("severity") is None:
            raise InvalidArgument("FIELD_REQUIRED", "severity is required.", field="severity")
        made = await self._writeups.create(current_principal(), WriteupText(**{"title": "", **said}))
        return struct(shapes.writeup_changed(made.writeup_id))

    async def UpdateTemplate(self, request: pb.TemplateChange, context: Context) -> Struct:
        principal, number = current_principal(), number_of(request.writeup_id)
        said = shapes.writeup_members(MessageToDict(request.payload))
        if said.get("severity", 0) is None:
            del said["severity"]
        now = await self._writeups.get(principal, number)
        await self._writeups.update(principal, number, replace(now.text, **said))
        return struct(shapes.writeup_changed(number))

    async def DeleteTemplate(self, request: pb.TemplateRequest, context: Context) -> Struct:
        number = number_of(request.writeup_id)
        await self._writeups.delete(current_principal(), number)
        return struct(shapes.writeup_changed(number))


def of_tenant(tenant_id: int) -> Principal:
    """The caller, whose tenant is the one in the path; another one does not exist."""
    principal = current_principal()
    if tenant_id != principal.tenant_id:
        raise NotFound("TENANT_NOT_FOUND", f"There is no tenant {tenant_id}.", tenant_id=str(tenant_id))
    return principal


def number_of(writeup_id: str) -> int:
    return shapes.writeup_number(writeup_id) or 0


def code_of(word: str | None) -> ActionCode | None:
    return ActionCode(word) if word else None


def update_of(body: shapes.ActionBody) -> Update:
    return Update(body.action_id, code_of(body.code), body.severity, body.writeup_id)


def shown_action(action: ParserAction, tenant_id: int) -> shapes.ShownAction:
    return shapes.ShownAction(
        action_id=action.action_id,
        code=action.effect.action,
        severity=action.effect.severity,
        original_severity=action.original_severity,
        title=action.title,
        description=action.description,
        writeup=shown_writeup(action.writeup, tenant_id) if action.writeup else None,
        changes=[
            shapes.ShownChange(
                user_id=change.user_id,
                user_email=change.user_email,
                changed_at=change.changed_at,
                code=change.effect.action,
                severity=change.effect.severity,
                writeup_id=change.effect.writeup_id,
            )
            for change in action.changes
        ],
    )


def shown_writeup(writeup: Writeup, tenant_id: int) -> shapes.ShownWriteup:
    return shapes.ShownWriteup(
        writeup_id=writeup.writeup_id,
        tenant_id=tenant_id,
        is_deleted=writeup.is_deleted,
        created_at=writeup.created_at,
        updated_at=writeup.updated_at,
        **asdict(writeup.text),
    )


def pieces(opening: bytes, items: Iterable[dict[str, Any]], closing: bytes) -> Iterator[HttpBody]:
    """A JSON list between two ends, in pieces of some size. Each says what it is; the gateway looks at the first."""
    buffer, separator = bytearray(opening), b""
    for item in items:
        buffer += separator + msgspec.json.encode(item)
        separator = b","
        if len(buffer) >= PIECE_BYTES:
            yield HttpBody(content_type="application/json", data=bytes(buffer))
            buffer.clear()
    buffer += closing
    if buffer:
        yield HttpBody(content_type="application/json", data=bytes(buffer))
