"""The native ParserActionService."""

from __future__ import annotations

from typing import Any

import grpc

from hythe.importer.v1 import parser_actions_pb2 as pb
from hythe.importer.v1.parser_actions_pb2_grpc import ParserActionServiceServicer
from runtime.auth import current_principal
from runtime.errors import InvalidArgument
from runtime.timestamps import timestamp
from services.importer.messages import import_message
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

CODES = {
    pb.ACTION_CODE_PASS_THROUGH: ActionCode.PASS_THROUGH,
    pb.ACTION_CODE_FORCE_SEVERITY: ActionCode.DEFAULT,
    pb.ACTION_CODE_LINK: ActionCode.LINK,
    pb.ACTION_CODE_IGNORE: ActionCode.IGNORE,
}
NUMBERS = {code: number for number, code in CODES.items()}
# A page ends early where the next action would bring the answer near the limit of a message, which is 4 MiB.
PAGE_BYTES = 3 * 1024 * 1024


class ParserActionService(ParserActionServiceServicer):
    """Converts, calls, converts back."""

    def __init__(self, actions: ParserActions, writeups: Writeups) -> None:
        self._actions = actions
        self._writeups = writeups

    async def GetParserActionSettings(
        self, request: pb.GetParserActionSettingsRequest, context: Context
    ) -> pb.GetParserActionSettingsResponse:
        enabled = await self._actions.is_enabled(current_principal())
        return pb.GetParserActionSettingsResponse(settings=pb.ParserActionSettings(enabled=enabled))

    async def SetParserActionSettings(
        self, request: pb.SetParserActionSettingsRequest, context: Context
    ) -> pb.SetParserActionSettingsResponse:
        await self._actions.enable(current_principal(), enabled=request.settings.enabled)
        return pb.SetParserActionSettingsResponse(settings=request.settings)

    async def ListParserActions(
        self, request: pb.ListParserActionsRequest, context: Context
    ) -> pb.ListParserActionsResponse:
        size, _ = checked_page(request.page_size)
        selection = Selection(
            request.source, code_of(request.action), request.query, after=request.page_token, limit=size + 1
        )
        found, total = await self._actions.list(current_principal(), selection)
        page, token = fit([action_message(each) for each in found], size)
        return pb.ListParserActionsResponse(actions=page, next_page_token=token, total_size=total)

    async def GetParserAction(self, request: pb.GetParserActionRequest, context: Context) -> pb.GetParserActionResponse:
        found = await self._actions.get(current_principal(), request.source, request.action_id)
        return pb.GetParserActionResponse(action=action_message(found))

    async def CreateParserAction(
        self, request: pb.CreateParserActionRequest, context: Context
    ) -> pb.CreateParserActionResponse:
        principal, asked = current_principal(), request.action
        severity = severity_of(asked.severity)
        if severity is None:
            raise InvalidArgument("FIELD_REQUIRED", "severity is required.", field="severity")
        effect = Effect(code_of(asked.action) or ActionCode.DEFAULT, severity, asked.writeup_id or None)
        new = NewAction(asked.source, asked.action_id, effect, asked.title, asked.description)
        await self._actions.create(principal, new)
        made = await self._actions.get(principal, asked.source, asked.action_id)
        return pb.CreateParserActionResponse(action=action_message(made))

    async def UpdateParserActions(
        self, request: pb.UpdateParserActionsRequest, context: Context
    ) -> pb.UpdateParserActionsResponse:
        updates = [
            Update(each.action_id, code_of(each.action), severity_of(each.severity), each.writeup_id or None)
            for each in request.updates
        ]
        count = await self._actions.update(current_principal(), request.source, updates)
        return pb.UpdateParserActionsResponse(updated_count=count)

    async def LearnParserActions(
        self, request: pb.LearnParserActionsRequest, context: Context
    ) -> pb.LearnParserActionsResponse:
        snapshot = await self._actions.learn(
            current_principal(), request.source, request.key, request.file_name, request.request_id
        )
        return pb.LearnParserActionsResponse(**{"import": import_message(snapshot)})

    async def ListWriteups(self, request: pb.ListWriteupsRequest, context: Context) -> pb.ListWriteupsResponse:
        size, _ = checked_page(request.page_size)
        after = number_after(request.page_token)
        found = await self._writeups.list(current_principal(), after=after, limit=size + 1)
        page, token = fit([writeup_message(each) for each in found], size)
        return pb.ListWriteupsResponse(writeups=page, next_page_token=token)

    async def GetWriteup(self, request: pb.GetWriteupRequest, context: Context) -> pb.GetWriteupResponse:
        found = await self._writeups.get(current_principal(), request.writeup_id)
        return pb.GetWriteupResponse(writeup=writeup_message(found))

    async def CreateWriteup(self, request: pb.CreateWriteupRequest, context: Context) -> pb.CreateWriteupResponse:
        made = await self._writeups.create(current_principal(), text_of(request.writeup))
        return pb.CreateWriteupResponse(writeup=writeup_message(made))

    async def UpdateWriteup(self, request: pb.UpdateWriteupRequest, context: Context) -> pb.UpdateWriteupResponse:
        asked = request.writeup
        changed = await self._writeups.update(current_principal(), asked.writeup_id, text_of(asked))
        return pb.UpdateWriteupResponse(writeup=writeup_message(changed))

    async def DeleteWriteup(self, request: pb.DeleteWriteupRequest, context: Context) -> pb.DeleteWriteupResponse:
        await self._writeups.delete(current_principal(), request.writeup_id)
        return pb.DeleteWriteupResponse()


def code_of(number: int) -> ActionCode | None:
    """None: it is not said."""
    if number == pb.ACTION_CODE_UNSPECIFIED:
        return None
    if number not in CODES:
        raise InvalidArgument("UNKNOWN_ACTION", "There is no such action.", field="action")
    return CODES[pb.ActionCode.ValueType(number)]


def severity_of(number: int) -> int | None:
    """0 Critical to 4 Informational; None: it is not said."""
    return None if number == pb.SEVERITY_UNSPECIFIED else number - 1


def number_after(page_token: str) -> int:
    if page_token and not (page_token.isascii() and page_token.isdigit() and len(page_token) <= len("999999999")):
        raise InvalidArgument("INVALID_PAGE_TOKEN", "page_token is not one that this list gave.", field="page_token")
    return int(page_token or 0)


def fit(messages: list[Any], size: int) -> tuple[list[Any], str]:
    """As many as were asked for and fit, one at least; and the id of the last of them when there are more."""
    total, kept = 0, 0
    for message in messages[:size]:
        total += message.ByteSize()
        if kept and total > PAGE_BYTES:
            break
        kept += 1
    page = messages[:kept]
    if kept == len(messages):
        return page, ""
    last = page[-1]
    return page, last.action_id if isinstance(last, pb.ParserAction) else str(last.writeup_id)


def action_message(action: ParserAction) -> pb.ParserAction:
    writeup = action.writeup
    return pb.ParserAction(
        source=action.source,
        action_id=action.action_id,
        action=NUMBERS[action.effect.action],
        severity=severity_number(action.effect.severity),
        original_severity=severity_number(action.original_severity),
        title=action.title,
        description=action.description,
        writeup_id=action.effect.writeup_id or 0,
        writeup_title=writeup.text.title if writeup else "",
        writeup_deleted=writeup.is_deleted if writeup else False,
        changes=[
            pb.ParserActionChange(
                user_id=change.user_id,
                user_email=change.user_email,
                change_time=timestamp(change.changed_at),
                action=NUMBERS[change.effect.action],
                severity=severity_number(change.effect.severity),
                writeup_id=change.effect.writeup_id or 0,
            )
            for change in action.changes
        ],
        create_time=timestamp(action.created_at),
        update_time=timestamp(action.updated_at),
    )


def severity_number(severity: int) -> pb.Severity.ValueType:
    return pb.Severity.ValueType(severity + 1)


def text_of(message: pb.Writeup) -> WriteupText:
    severity = severity_of(message.severity)
    if severity is None:
        raise InvalidArgument("FIELD_REQUIRED", "severity is required.", field="severity")
    return WriteupText(
        title=message.title,
        severity=severity,
        description=message.description,
        recommendations=message.recommendations,
        references=message.references,
        source=message.source,
        fields=dict(message.fields),
        abbreviation=message.abbreviation,
        repository_id=message.repository_id,
    )


def writeup_message(writeup: Writeup) -> pb.Writeup:
    text = writeup.text
    return pb.Writeup(
        writeup_id=writeup.writeup_id,
        title=text.title,
        severity=severity_number(text.severity),
        description=text.description,
        recommendations=text.recommendations,
        references=text.references,
        source=text.source,
        fields=text.fields,
        abbreviation=text.abbreviation,
        repository_id=text.repository_id,
        deleted=writeup.is_deleted,
        create_time=timestamp(writeup.created_at),
        update_time=timestamp(writeup.updated_at),
    )
